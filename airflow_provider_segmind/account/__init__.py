"""What an account has spent and made, read on the API server for the page "Segmind"."""
