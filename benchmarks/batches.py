"""Many requests waited for in one process, which learns from each: simulated, in no time at all."""

from __future__ import annotations

import heapq
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from airflow_provider_segmind.api.answers import RequestReport, RequestState
from airflow_provider_segmind.api.call import Rank
from airflow_provider_segmind.api.expectation import Experience
from airflow_provider_segmind.api.follow import FollowedRequest, Wait, advance, follow

LONGEST_WAIT = 9000.0


@dataclass
class Job:
    """A request, when it is submitted and how long it takes, and what waiting for it came to."""

    submitted_at: float
    duration: float
    looks: int = 0
    seen_at: float = 0.0

    @property
    def delay(self) -> float:
        """The delay between its end and knowing of it, as a share of its duration."""
        return (self.seen_at - self.submitted_at) / self.duration - 1


def simulate(jobs: Sequence[Job], model: str, experience: Experience) -> tuple[float, float]:
    """Wait for all of them; return the mean number of looks, and the mean delay."""
    clock = _Clock()
    for job in jobs:
        request = FollowedRequest("r", job.submitted_at, job.submitted_at + LONGEST_WAIT, model=model)
        clock.later(job.submitted_at, job, follow(request, lambda: clock.now, experience))
    clock.run()
    return mean(job.looks for job in jobs), mean(job.delay for job in jobs)


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Job, Generator[Any, Any, Any]]] = []
        self._number = 0

    def later(self, moment: float, job: Job, steps: Generator[Any, Any, Any]) -> None:
        self._number += 1
        heapq.heappush(self._queue, (moment, self._number, job, steps))

    def run(self) -> None:
        while self._queue:
            self.now, _, job, steps = heapq.heappop(self._queue)
            self._advance(job, steps)

    def _advance(self, job: Job, steps: Generator[Any, Any, Any]) -> None:
        outcome: RequestReport | None = None
        while True:
            try:
                step = advance(steps, outcome)
            except StopIteration:
                job.seen_at = self.now
                return
            if isinstance(step, Wait):
                self.later(self.now + step.seconds, job, steps)
                return
            job.looks += step.turn.rank is Rank.POLL
            outcome = _report(job, self.now)


def _report(job: Job, now: float) -> RequestReport:
    done = now - job.submitted_at >= job.duration
    state = RequestState.COMPLETED if done else RequestState.PROCESSING
    return RequestReport("r", state, {"status": state, "output": "x", "metrics": {"total_time": job.duration}})
