"""Watching an account for requests that have ended, for event triggers of assets."""
