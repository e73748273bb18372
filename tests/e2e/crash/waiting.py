"""Waiting for what must come, never for long."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from demo.log_tail import last_lines

PAUSE = 0.25

T = TypeVar("T")


class Waiting:
    """Looks at something until it is there; has the form that the demo's functions expect."""

    def __init__(self, seconds: float) -> None:
        self._give_up_at = time.monotonic() + seconds

    def until(self, what: str, look: Callable[[], T | None], log: Path | None = None) -> T:
        """
        Return what `look` returns, as soon as that is not None.

        :raises TimeoutError: If the time is up.
        """
        while True:
            found = look()
            if found is not None:
                return found
            if time.monotonic() > self._give_up_at:
                told = "\n".join(last_lines(log)) if log is not None and log.is_file() else ""
                raise TimeoutError(f"gave up waiting for {what}\n{told}")
            time.sleep(PAUSE)
