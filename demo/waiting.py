"""Waiting for something without ever waiting for too long."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, TypeVar

from demo.failure import DemoError, StoppedError
from demo.telling import elapsed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

PAUSE = 0.25

T = TypeVar("T")


class Waiting:
    """
    Looks at something until it is there; meanwhile minds signals, processes that died and the time limit.

    Signals are only noted when they come, and acted upon at the next look: so no process can slip away
    between being started and being known.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._signal: int | None = None
        self._checks: list[Callable[[], None]] = []
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def mind(self, check: Callable[[], None]) -> None:
        """Call this, too, at each look: it raises if waiting is pointless."""
        self._checks.append(check)

    def until(self, what: str, look: Callable[[], T | None], log: Path | None = None) -> T:
        """
        Return what `look` returns, as soon as that is not None.

        :param log: The file that may tell why it is not there.

        :raises StoppedError: If a signal came.
        :raises DemoError: If the time is up, or a check says so.
        """
        while True:
            self._check()
            found = look()
            if found is not None:
                return found
            if elapsed() > self._limit:
                raise DemoError(f"gave up waiting for {what}: the demo may take {self._limit:.0f} s", log=log)
            time.sleep(PAUSE)

    def for_a_signal(self) -> None:
        """Return when a signal asks to stop; there is no time limit."""
        while self._signal is None:
            self._check()
            time.sleep(PAUSE)

    def _check(self) -> None:
        if self._signal is not None:
            raise StoppedError(self._signal)
        for check in self._checks:
            check()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._signal = number
