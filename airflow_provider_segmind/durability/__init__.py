"""Paying once: what a task remembers of its request from one try to the next."""
