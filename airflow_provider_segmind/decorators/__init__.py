"""Functions that become tasks."""
