"""Tasks that run Segmind's models."""
