"""Tasks that wait for requests which something else submitted."""
