"""Waiting for something, but never for too long, and never through a signal."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

from harness.failure import HarnessError, StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType, TracebackType

PAUSE = 0.25

T = TypeVar("T")


class Waiting:
    """
    Looks at something until it is there, and before each look calls the checks.

    :param seconds: How long one wait may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._checks: list[Callable[[], None]] = []

    def add_check(self, check: Callable[[], None]) -> None:
        """Call this, too, before each look. It raises an error if waiting is pointless."""
        self._checks.append(check)

    def check(self) -> None:
        """Call all checks."""
        for check in self._checks:
            check()

    def until(
        self, what: str, look: Callable[[], T | None], *, seconds: float | None = None, log: Path | None = None
    ) -> T:
        """
        Return what `look` returns, as soon as that is neither None nor False.

        :param seconds: How long this wait may take, if not as long as usual.
        :param log: The file that may say why it is not there.

        :raises HarnessError: If the time is up, or a check says so.
        :raises StoppedError: If a signal came, and the signals are checked.
        """
        limit = self._seconds if seconds is None else seconds
        give_up_at = time.monotonic() + limit
        while True:
            self.check()
            found = look()
            if found is not None and found is not False:
                return found
            if time.monotonic() > give_up_at:
                raise HarnessError(f"gave up waiting for {what} after {limit:.0f} s", log=log)
            time.sleep(PAUSE)


class NotedSignals:
    """
    Notes SIGINT, SIGTERM and SIGHUP for the length of a `with` block, instead of acting on them at once.

    `check` acts on them. So no process can slip away between being started and being known, and a second Ctrl-C
    does not disturb the end of the processes. Outside of the main thread, this does nothing.
    """

    def __init__(self) -> None:
        self._noted: int | None = None
        self._reported = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> NotedSignals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, action in self._before.items():
            signal.signal(number, action)
        if self._noted is not None and not self._reported and error is None:
            raise StoppedError(self._noted)

    def check(self) -> None:
        """
        See that nothing asked this process to stop.

        :raises StoppedError: If a signal did.
        """
        if self._noted is not None:
            self._reported = True
            raise StoppedError(self._noted)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._noted = number
