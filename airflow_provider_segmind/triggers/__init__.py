"""Waiting for requests in the triggerer."""
