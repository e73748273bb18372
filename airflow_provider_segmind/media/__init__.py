"""Files on their way to Segmind: read from where a pipeline has them, checked, and uploaded once."""
