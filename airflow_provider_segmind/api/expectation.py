"""How long a model usually takes, and how likely a request is done by now."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

_SQRT_2 = math.sqrt(2)
_FAR_OUT = 6.0
"""Spreads beyond the typical duration from where the tail is computed by its asymptote: it would underflow."""


@dataclass(frozen=True)
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
_MEMORY = 20
"""So many requests, about, are remembered: what is usual changes with the load at Segmind."""


class Experience:
    """
    What a process has seen of the durations of each model: a running estimate, a few bytes a model.

    A first request that took another time than what was expected weighs as much as the expectation did, so that a
    wrong one is left soon.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, float, float]] = {}

    def expectation(self, model: str | None, expected_duration: float | None = None) -> Expectation:
        """
        Return what to expect of a request.

        :param expected_duration: Seconds that the user said; it goes before what was seen.
        """
        if expected_duration is not None:
            return Expectation(expected_duration, TOLD_SPREAD)
        if model is None or model not in self._seen:
            return KNOWN.get(model or "", UNKNOWN)
        _, mean, variance = self._seen[model]
        return Expectation(math.exp(mean), min(max(math.sqrt(variance), _LEAST_SPREAD), UNKNOWN.spread))

    def learn(self, model: str | None, duration: object) -> None:
        """Take a finished request's ``metrics.total_time`` into account, if it is a positive number."""
        if model is None or isinstance(duration, bool) or not isinstance(duration, (int, float)):
            return
        if not 0 < duration < math.inf:
            return
        before = KNOWN.get(model, UNKNOWN)
        count, mean, variance = self._seen.get(model, (1, math.log(before.typical), before.spread**2))
        count = min(count + 1, _MEMORY)
        step = math.log(duration) - mean
        mean += step / count
        variance += (step * step * (count - 1) / count - variance) / count
        self._seen[model] = (count, mean, variance)


SEEN = Experience()
"""Of this process."""
