"""More requests than a key has room for, waited for in one process or several: simulated, in no time at all."""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import Any

from airflow_provider_segmind.api.answers import RequestReport, RequestState
from airflow_provider_segmind.api.call import Call, Rank
from airflow_provider_segmind.api.early_results import EarlyResults, UnclearAnswer
from airflow_provider_segmind.api.expectation import Experience
from airflow_provider_segmind.api.follow import FollowedRequest, Wait, advance, follow
from airflow_provider_segmind.api.schedule import KeyLoad
from airflow_provider_segmind.hooks.budget import LONGEST_WAITING_EVERY

LONGEST_WAIT = 9000.0


@dataclass(frozen=True)
class Plan:
    """
    What is simulated.

    :param rate: Requests a minute that each process takes the key to allow. Submits come from elsewhere.
    :param typical: Seconds that a clip takes; half of them take longer.
    :param spread: Of the logarithm of that.
    :param expected: What is expected of them; None for what they take.
    :param submits: In a second.
    :param early: What is said of the result of a clip that is not done; None for its state.
    """

    clips: int = 100
    rate: float = 120.0
    typical: float = 29.0
    spread: float = 0.25
    expected: float | None = None
    submits: float = 5.0
    processes: int = 2
    early: UnclearAnswer | None = None


@dataclass
class Clip:
    """A request, and when it was looked at."""

    submitted_at: float
    duration: float
    looks: list[float] = field(default_factory=list)

    @property
    def ends_at(self) -> float:
        """When it is done."""
        return self.submitted_at + self.duration

    @property
    def delay(self) -> float:
        """Seconds from its end to the first look after it."""
        return next(look for look in self.looks if look >= self.ends_at) - self.ends_at

    @property
    def longest_unseen(self) -> float:
        """Seconds for which it was not looked at."""
        moments = [self.submitted_at, *self.looks]
        return max(later - earlier for earlier, later in pairwise(moments))


@dataclass
class Saturation:
    """What came of it."""

    plan: Plan
    clips: list[Clip] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def per_clip(self) -> float:
        """Requests for each clip, its submit included."""
        return 1 + self.calls.total() / self.plan.clips

    @property
    def against_bound(self) -> float:
        """How many times as long as with two requests for each clip, one after the other at the key's pace."""
        return self.seconds / (2 * self.plan.clips / self.plan.rate * 60 + self.plan.typical)


def saturate(plan: Plan, seed: int = 1) -> Saturation:
    """Make all clips."""
    random.seed(seed)
    chance = random.Random(seed)
    found, clock = Saturation(plan), _Clock()
    processes = [_Process(plan, clock, found) for _ in range(plan.processes)]

    def start(number: int) -> None:
        clip = Clip(clock.now, plan.typical * math.exp(chance.gauss(0, plan.spread)))
        found.clips.append(clip)
        processes[number % len(processes)].follow(clip)

    for number in range(plan.clips):
        clock.at(number / plan.submits, lambda number=number: start(number))  # type: ignore[misc]
    clock.run()
    found.seconds = clock.now
    return found


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def at(self, moment: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (moment, next(self._numbers), do))

    def run(self) -> None:
        while self._queue:
            self.now, _, do = heapq.heappop(self._queue)
            do()


Waiting = tuple[Call[Any], Clip, Generator[Any, Any, Any]]


class _Process:
    """One triggerer: it hands out turns as `hooks.budget.Budget` does."""

    def __init__(self, plan: Plan, clock: _Clock, found: Saturation) -> None:
        self._plan, self._clock, self._found = plan, clock, found
        self._interval = 60 / plan.rate
        self._early, self._experience = EarlyResults(), Experience()
        self._queue: list[Waiting] = []
        self._free_at = 0.0
        self._followed = self._granted = 0

    def follow(self, clip: Clip) -> None:
        self._followed += 1
        expected = self._plan.expected or self._plan.typical
        begun = clip.submitted_at
        request = FollowedRequest("r", begun, begun + LONGEST_WAIT, model="some", expected_duration=expected)
        steps = follow(
            request,
            lambda: self._clock.now,
            self._experience,
            self._early,
            lambda: KeyLoad(self._followed, self._interval),
        )
        self._advance(clip, steps, None)

    def _advance(self, clip: Clip, steps: Generator[Any, Any, Any], outcome: Any) -> None:
        try:
            step = advance(steps, outcome)
        except StopIteration:
            self._followed -= 1
            return
        if isinstance(step, Wait):
            self._clock.at(self._clock.now + step.seconds, lambda: self._advance(clip, steps, None))
            return
        self._queue.append((step, clip, steps))
        self._serve()

    def _serve(self) -> None:
        now = self._clock.now
        if not self._queue or now < self._free_at:
            return
        call, clip, steps = self._next(now)
        self._free_at = now + self._interval
        self._clock.at(self._free_at, self._serve)
        self._advance(clip, steps, self._answer(call, clip))

    def _next(self, now: float) -> Waiting:
        self._granted += 1
        polls = [each for each in self._queue if each[0].turn is not None and each[0].turn.rank is Rank.POLL]
        first = [each for each in self._queue if each not in polls] or polls
        if self._granted % LONGEST_WAITING_EVERY == 0 and polls:
            chosen = polls[0]
        else:
            chosen = max(first, key=lambda each: each[0].turn.likelihood(now) if each[0].turn else 1.0)
        self._queue.remove(chosen)
        return chosen

    def _answer(self, call: Call[Any], clip: Clip) -> RequestReport | UnclearAnswer:
        now = self._clock.now
        is_status = call.path.endswith("/status")
        self._found.calls["status" if is_status else "result"] += 1
        clip.looks.append(now)
        done = now >= clip.ends_at
        if not done and not is_status and self._plan.early is not None:
            return self._plan.early
        state = RequestState.COMPLETED if done else RequestState.PROCESSING
        return RequestReport("r", state, {"status": state, "output": "x"})
