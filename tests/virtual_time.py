"""A clock that jumps to the next moment at which a coroutine wakes up, instead of waiting for it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


class VirtualTime:
    """
    The time of a running loop, and of ``time.time`` and ``time.monotonic`` for all who look at them.

    A test that waits takes no time, and what it measures does not depend on the machine. Threads that the loop
    started are waited for in real time, because the clock does not know how long they take.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._epoch = time.time()
        self._elapsed = 0.0
        self._threads = 0
        self._selector = loop._selector  # type: ignore[attr-defined]
        self._select = self._selector.select
        self._run_in_executor = loop.run_in_executor

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._elapsed += seconds

    def time(self) -> float:
        """Return the seconds since the epoch."""
        return self._epoch + self._elapsed

    def monotonic(self) -> float:
        """Return the seconds since this clock began."""
        return self._elapsed

    def rule(self, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
        """Be the clock of a loop and of the module ``time`` until the end of the test."""
        for name in ("time", "monotonic"):
            monkeypatch.setattr(time, name, getattr(self, name))
        monkeypatch.setattr(loop, "time", self.monotonic)
        monkeypatch.setattr(loop, "run_in_executor", self._count_thread)
        monkeypatch.setattr(self._selector, "select", self._jump)

    def _jump(self, timeout: float | None = None) -> Any:
        if timeout is None or timeout <= 0:
            return self._select(timeout)
        ready = self._select(None if self._threads else 0)
        if not ready:
            self._elapsed += timeout
        return ready

    def _count_thread(self, executor: Any, function: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        future = self._run_in_executor(executor, function, *args)
        self._threads += 1
        future.add_done_callback(self._forget_thread)
        return future

    def _forget_thread(self, _: object) -> None:
        self._threads -= 1
