"""How long a model usually takes, and how likely a request is done by now."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heappop, heappush

_SQRT_2 = math.sqrt(2)
_FAR_OUT = 6.0
"""Spreads beyond the typical duration from where the tail is computed by its asymptote: it would underflow."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """
    A lognormal belief in the duration of a request, from submission to its end.

    :param typical: Seconds; half of all requests take longer.
    :param spread: The standard deviation of the duration's logarithm. With 0.25, 95 of 100 requests take between
        0.6 and 1.6 times the typical duration.
    """

    typical: float
    spread: float

    def earliest(self) -> float:
        """Return the age, in seconds, before which hardly any request is done: about one in 40."""
        return self.typical * math.exp(-2 * self.spread)

    def latest(self) -> float:
        """Return the age, in seconds, at which hardly any request still runs: about one in 40."""
        return self.typical * math.exp(2 * self.spread)

    def ending_rate(self, age: float) -> float:
        """
        Return how fast requests of this age end: the share of those still running that ends while the age grows
        by a small fraction, divided by that fraction.
        """
        z = self._spreads_from_typical(age)
        if z > _FAR_OUT:
            return z / self.spread
        return math.exp(-z * z / 2) / math.sqrt(2 * math.pi) / _beyond(z) / self.spread

    def done_between(self, seen: float, age: float) -> float:
        """Return how likely a request is done at an age, given that it was not when it was seen last."""
        if age <= seen:
            return 0.0
        before = _beyond(self._spreads_from_typical(seen))
        after = _beyond(self._spreads_from_typical(age))
        return 1 - after / before if before > 0 else 1.0

    def _spreads_from_typical(self, age: float) -> float:
        # A negative age is that of a request from a clock that is ahead of this one.
        return (math.log(age) - math.log(self.typical)) / self.spread if age > 0 else -math.inf


def _beyond(z: float) -> float:
    """Return the share of a normal distribution beyond z standard deviations."""
    return math.erfc(z / _SQRT_2) / 2


KNOWN: Mapping[str, Expectation] = {"kling-o1-image-to-video": Expectation(144.5, 0.25)}
"""Before a process has seen any itself. Kling O1: the mean latency on Segmind's page of the model."""

UNKNOWN = Expectation(30.0, 1.2)
"""Of a model that nothing is known of: an image takes seconds, a video minutes."""

TOLD_SPREAD = 0.25
"""The spread around an `expected_duration`, which is a number alone."""

_LEAST_SPREAD = 0.1
SHORTEST_DURATION = 0.001
LONGEST_DURATION = 86400.0
"""Seconds. A longer one that an answer claims is a mistake: the slowest models take minutes."""

_LIFETIME = 3600.0
"""Seconds in which what was seen loses two thirds of its weight: what is usual changes with Segmind's load."""

_LEAST_WEIGHT = 5.0
"""What is left of it, in requests, until something else is seen."""


@dataclass(frozen=True)
class _Estimate:
    """
    A running estimate of the logarithm of a duration.

    :param weight: That of so many requests.
    :param at: When the last one was added, in seconds since the epoch.
    """

    weight: float
    mean: float
    variance: float
    at: float

    def with_one_more(self, logarithm: float, now: float) -> _Estimate:
        faded = self.weight * math.exp(-max(now - self.at, 0) / _LIFETIME)
        weight = max(faded, min(self.weight, _LEAST_WEIGHT)) + 1
        step = logarithm - self.mean
        variance = self.variance + (step * step * (weight - 1) / weight - self.variance) / weight
        return _Estimate(weight, self.mean + step / weight, variance, max(now, self.at))


class Experience:
    """
    What a process has seen of the durations of each model: a running estimate, a few numbers for each request.

    Of requests that were submitted together the short ones end first. So a duration counts only when the request
    would be as old as one that takes long: by then, those that have not ended count too, with what can be expected
    of them. A first request that took another time than what was expected weighs as much as the expectation did,
    so that a wrong one is left soon.
    """

    def __init__(self) -> None:
        self._seen: dict[str, _Estimate] = {}
        self._ended: dict[str, list[tuple[float, float, float]]] = {}

    def expectation(
        self, model: str | None, now: float = math.inf, expected_duration: float | None = None
    ) -> Expectation:
        """
        Return what to expect of a request.

        :param now: Seconds since the epoch, on the clock by which ``learn`` was told when a duration counts.
        :param expected_duration: Seconds that the user said; it goes before what was seen.
        """
        if expected_duration is not None:
            return Expectation(expected_duration, TOLD_SPREAD)
        if model is None:
            return UNKNOWN
        ended = self._ended.get(model, ())
        while ended and ended[0][0] <= now:
            counts_from, _, logarithm = heappop(ended)
            self._count(model, logarithm, counts_from)
        if model not in self._seen:
            return KNOWN.get(model, UNKNOWN)
        seen = self._seen[model]
        return Expectation(math.exp(seen.mean), min(max(math.sqrt(seen.variance), _LEAST_SPREAD), UNKNOWN.spread))

    def learn(self, model: str | None, duration: object, counts_from: float) -> None:
        """
        Take a finished request's ``metrics.total_time`` into account, if it is a number of seconds up to a day.

        :param counts_from: When it may: seconds since the epoch.
        """
        if model is None or isinstance(duration, bool) or not isinstance(duration, (int, float)):
            return
        if not SHORTEST_DURATION <= duration <= LONGEST_DURATION:
            return
        # Those that count at the same moment do so in any order but that of their ends.
        order = random.random()  # noqa: S311 - no secret
        heappush(self._ended.setdefault(model, []), (counts_from, order, math.log(duration)))

    def outlasted(self, model: str | None, age: float, now: float, expected: Expectation) -> None:
        """
        Take into account that a request takes long.

        :param age: Seconds for which it has been running.
        :param now: Seconds since the epoch.
        :param expected: What was expected of it.
        """
        if model is not None and age > 0:
            self._count(model, math.log(expected.typical) + expected.spread**2 * expected.ending_rate(age), now)

    def _count(self, model: str, logarithm: float, now: float) -> None:
        known = KNOWN.get(model, UNKNOWN)
        before = self._seen.get(model, _Estimate(1, math.log(known.typical), known.spread**2, now))
        self._seen[model] = before.with_one_more(logarithm, now)


SEEN = Experience()
"""Of this process."""
