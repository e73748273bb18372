"""Paying once: what a task remembers of its request from one attempt to the next."""
