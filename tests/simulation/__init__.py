"""Attempts, people and neighbors against a simulated Segmind, in virtual time: who pays for what."""
