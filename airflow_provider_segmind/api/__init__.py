"""The Segmind protocol, without any I/O: builds calls, reads answers, names errors, decides when to ask next."""
