"""What a delivered request tells the data platform."""
