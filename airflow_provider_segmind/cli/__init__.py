"""The command line: what a person on call needs to know of Segmind. Nothing here submits anything."""
