"""Killing the triggerer while all wait, and starting another one."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.triggerer.outcome import Outcome, Restart
from benchmarks.triggerer.watch import Watch

KILL_AFTER = 50.0
"""Seconds after which it is killed, before the scale: no job has ended by then."""


@dataclass
class RestartWatch(Watch):
    """The same, with an accident."""

    _killed: float | None = None
    _waiting: int = 0

    def look(self) -> None:
        """Kill the triggerer when it is time to; then go on looking."""
        if self._killed is None and time.time() >= self.begun.at + KILL_AFTER * self.bench.scale:
            self._waiting = self.bench.clerk.ask("left", self.rig.database)
            self.rig.kill_triggerer()
            self._killed = time.time()
            self.rig.start_triggerer()
        super().look()

    def outcome(self) -> Outcome:
        """Return the figures; those of CPU and memory mean nothing here."""
        return replace(super().outcome(), restart=self._restart())

    def _restart(self) -> Restart | None:
        times = sorted(self.rig.segmind.seen()["status_times"])
        if self._killed is None:
            return None
        cut = bisect_left(times, self._killed)
        before, after = times[:cut], times[cut:]
        quiet = after[0] - self._killed if after else float("inf")
        return Restart(self._waiting, quiet, most_in_a_second(before), most_in_a_second(after))


def most_in_a_second(times: Sequence[float]) -> int:
    """Return the largest number of moments, in order, in any one second."""
    return max((index + 1 - bisect_left(times, at - 1) for index, at in enumerate(times)), default=0)
