"""What the README claims, measurable by anyone: `make bench`."""
