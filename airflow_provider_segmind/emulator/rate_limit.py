"""The rate limit: a fixed number of requests per key and window, counted from the key's first request."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allowance:
    """Whether a request may pass, and the epoch second at which the window ends."""

    granted: bool
    reset_at: float


class RateLimit:
    """Fixed windows of `seconds`, `limit` requests each, one window per API key."""

    def __init__(self, limit: int, seconds: float = 60.0) -> None:
        self._limit = limit
        self._seconds = seconds
        self._windows: dict[str, tuple[float, int]] = {}

    def take(self, api_key: str, now: float) -> Allowance:
        """Count one request of this key, unless its window is spent."""
        opened, used = self._windows.get(api_key, (now, 0))
        if now >= opened + self._seconds:
            opened, used = now, 0
        granted = used < self._limit
        self._windows[api_key] = (opened, used + granted)
        return Allowance(granted, opened + self._seconds)
