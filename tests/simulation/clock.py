"""Virtual time for processes that take turns: each runs until it waits, and no two run at once."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import greenlet

from airflow_provider_segmind.durability import claims, store, submission
from airflow_provider_segmind.hooks import driving

START = 1_800_000_000.0
_TOLD_THE_TIME = (claims, store, submission, driving)


class Clock:
    """
    Stands in for the module ``time`` in the provider.

    Of processes that go on at the same moment, chance says which goes first.
    """

    def __init__(self, chance: random.Random) -> None:
        self.now = START
        self.steps = 0
        self._chance = chance
        self._waiting: list[tuple[float, float, int, greenlet.greenlet]] = []
        self._number = 0
        self._offsets: dict[greenlet.greenlet, float] = {}
        self._hub = greenlet.getcurrent()

    def spawn(self, process: Callable[[], object], after: float = 0.0) -> None:
        self._wait(greenlet.greenlet(process, self._hub), after)

    def time(self) -> float:
        """The time as the running process knows it: the clock of its machine may be wrong."""
        return self.now + self._offsets.get(greenlet.getcurrent(), 0.0)

    def sleep(self, seconds: float) -> None:
        self.steps += 1
        self._wait(greenlet.getcurrent(), max(seconds, 0.0))
        self._hub.switch()

    def set_offset(self, seconds: float) -> None:
        self._offsets[greenlet.getcurrent()] = seconds

    def run(self, until: float) -> None:
        """Let the processes run until all have ended, or that moment has come."""
        while self._waiting and self._waiting[0][0] <= until:
            self.now, _, _, process = heapq.heappop(self._waiting)
            process.switch()

    def _wait(self, process: greenlet.greenlet, seconds: float) -> None:
        self._number += 1
        heapq.heappush(self._waiting, (self.now + seconds, self._chance.random(), self._number, process))


@contextmanager
def used_by_the_provider(clock: Clock) -> Iterator[None]:
    before = [module.time for module in _TOLD_THE_TIME]
    for module in _TOLD_THE_TIME:
        module.time = clock  # type: ignore[assignment]
    try:
        yield
    finally:
        for module, real in zip(_TOLD_THE_TIME, before, strict=True):
            module.time = real
