"""A watch of an account on a clock that jumps, for tests: hours of it take no time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.hooks.segmind import SegmindHook
from airflow_provider_segmind.triggers.request_ended import SegmindRequestEndedTrigger
from airflow_provider_segmind.watching import homes, watch

MODEL = "mock-inference"


class EnoughError(BaseException):
    """The time that a test watches for is over. Not an ``Exception``: a watch survives those."""


class JumpingClock:
    """The time and the sleep of a watch, and of the emulator that it looks at."""

    def __init__(self, emulator: RunningEmulator) -> None:
        self._emulator = emulator
        self._elapsed = 0.0
        self._until = 0.0
        self._due: list[tuple[float, Callable[[], object]]] = []

    def time(self) -> float:
        """Return the seconds since the epoch."""
        return time.time() + self._elapsed

    def monotonic(self) -> float:
        """Return the seconds since some moment."""
        return self.time()

    async def sleep(self, seconds: float) -> None:
        """Let time pass, and do what is due then."""
        await asyncio.sleep(0)
        if self._elapsed >= self._until:
            raise EnoughError
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._elapsed += seconds
        self._emulator.advance(seconds)
        for due in [each for each in self._due if each[0] <= self._elapsed]:
            self._due.remove(due)
            due[1]()

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something once so many seconds have passed from now on."""
        self._due.append((self._elapsed + seconds, action))

    def watch(
        self, seconds: float, trigger: SegmindRequestEndedTrigger | None = None, **arguments: Any
    ) -> list[Any]:
        """Run a trigger for so long, and return its events. By default, it looks every five minutes."""
        given = trigger or SegmindRequestEndedTrigger(**{"poll_interval": 300, **arguments})
        return asyncio.run(self.events(seconds, given))

    async def events(self, seconds: float, trigger: SegmindRequestEndedTrigger) -> list[Any]:
        """Run a trigger for so long, and return its events."""
        self._until = self._elapsed + seconds
        found = []
        try:
            async for event in trigger.run():
                found.append(event.payload)
        except EnoughError:
            pass
        return found


@pytest.fixture
def clock(emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch) -> JumpingClock:
    """The clock of all watches of a test."""
    jumping = JumpingClock(emulator)
    monkeypatch.setattr(watch, "time", jumping)
    for module in (watch, homes):
        monkeypatch.setattr(module, "asyncio", jumping)
    return jumping


def submit(seconds: float = 0.0, model: str = MODEL) -> str:
    """Submit a request, which takes so long if it is of the default model, and return its id."""
    parameters = {"sleep": seconds, "credits": 0.01} if model == MODEL else {"prompt": "a fox"}
    return SegmindHook().submit(model, parameters).request_id
