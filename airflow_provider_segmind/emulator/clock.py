"""The emulator's clock: wall time, plus whatever a test has asked to skip."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """Wall time in epoch seconds that can be moved forward, never back."""

    def __init__(self) -> None:
        self._skipped = 0.0

    def now(self) -> float:
        """Epoch seconds as every part of the emulator sees them."""
        return time.time() + self._skipped

    def advance(self, seconds: float) -> None:
        """Skip `seconds` of real time, so that no test has to sleep through them."""
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        self._skipped += seconds

    def reset(self) -> None:
        """Go back to plain wall time."""
        self._skipped = 0.0


def utc_iso(epoch: float) -> str:
    """Epoch seconds as ISO 8601 in UTC with milliseconds, such as `2026-01-31T12:00:00.250Z`."""
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
