"""How long a model usually takes, and the probability that a request is done by now."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from statistics import NormalDist

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

    def age_when_done(self, seen: float, probability: float) -> float:
        """
        Return the age at which a request is done with a probability, given that it was not when it was seen last.

        It is the inverse of ``done_between``.
        """
        beyond = (1 - probability) * _beyond(self._spreads_from_typical(seen))
        if beyond <= 0:  # it takes so long that the belief is of no use
            return seen
        return self.typical * math.exp(-self.spread * NormalDist().inv_cdf(beyond))

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

GIVEN_SPREAD = 0.25
"""The spread around an `expected_duration`, which is a number alone."""

_LEAST_SPREAD = 0.1
SHORTEST_DURATION = 0.001
LONGEST_DURATION = 86400.0
"""Seconds. A longer one that an answer claims is a mistake: the slowest models take minutes."""

_LIFETIME = 3600.0
"""Seconds in which what was seen loses two thirds of its weight: what is usual changes with Segmind's load."""

_LEAST_WEIGHT = 5.0
"""What is left of it, in requests, until something else is seen."""

_SPREAD_OF_VARIANTS = 0.6
"""Of a variant of which only the model is known: a clip of twice the length may take twice as long (ln 2: 0.7)."""

MOST_KINDS = 200
"""Models, and variants of them, that a process remembers. More of them are names that somebody makes up."""

MOST_ENDED = 1000
"""Requests of one kind that have ended and do not count yet. The oldest of more than that count at once."""


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


@dataclass
class _Kind:
    """
    What was seen of one kind of request.

    :param ended: A heap of those that have ended and do not count yet: when each will, a number at random for
        those of the same moment, and the logarithm of its duration.
    """

    seen: _Estimate | None = None
    ended: list[tuple[float, float, float]] = field(default_factory=list)

    def expectation(self) -> Expectation | None:
        if self.seen is None:
            return None
        spread = min(max(math.sqrt(self.seen.variance), _LEAST_SPREAD), UNKNOWN.spread)
        return Expectation(math.exp(self.seen.mean), spread)


class Experience:
    """
    What a process has seen of the durations of requests: a running estimate for each model, and for each variant
    of its requests, such as the clips of 10 s. A variant that was not seen yet is expected to be like the others
    of its model, within a wide range. Of more than 200 kinds, it forgets the one that came up longest ago.

    Of requests that were submitted together the short ones end first. So a duration counts only when the request
    would be as old as one that takes long: by then, those that have not ended count too, with what can be expected
    of them. A first request that took another time than what was expected weighs as much as the expectation did,
    so that a wrong expectation is abandoned quickly.
    """

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str | None], _Kind] = {}

    def expect(
        self,
        model: str | None,
        now: float = math.inf,
        expected_duration: float | None = None,
        variant: str | None = None,
    ) -> Expectation:
        """
        Return what to expect of a request, with all durations that count by now.

        :param now: Seconds since the epoch, on the same clock as ``counts_from`` of ``learn``.
        :param expected_duration: Seconds that the user gave; they take precedence over what was seen.
        :param variant: What tells requests to the model apart, as ``usual_duration.variant_of`` returns it.
        """
        if expected_duration is not None:
            return Expectation(expected_duration, GIVEN_SPREAD)
        if model is None:
            return UNKNOWN
        for each in _kinds_of(model, variant):
            self._count_ended(each, now)
        return self._expect_kind(model, variant)

    def learn(self, model: str | None, duration: object, counts_from: float, variant: str | None = None) -> None:
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
        for each in _kinds_of(model, variant):
            ended = self._kind(each).ended
            heappush(ended, (counts_from, order, math.log(duration)))
            if len(ended) > MOST_ENDED:
                self._count_ended(each, ended[0][0])

    def learn_overdue(
        self, model: str | None, age: float, now: float, expected: Expectation, variant: str | None = None
    ) -> None:
        """
        Take into account that a request is taking long.

        :param age: Seconds for which it has been running.
        :param now: Seconds since the epoch.
        :param expected: What was expected of it.
        """
        if model is None or age <= 0:
            return
        logarithm = math.log(expected.typical) + expected.spread**2 * expected.ending_rate(age)
        for each in _kinds_of(model, variant):
            self._count(each, logarithm, now)

    def _expect_kind(self, model: str, variant: str | None) -> Expectation:
        own = self._known_kind(model, variant).expectation()
        if own is not None:
            return own
        of_model = self._known_kind(model, None).expectation()
        if of_model is not None:
            return Expectation(of_model.typical, max(of_model.spread, _SPREAD_OF_VARIANTS))
        return KNOWN.get(model, UNKNOWN)

    def _known_kind(self, model: str, variant: str | None) -> _Kind:
        return self._kinds.get((model, variant)) or _Kind()

    def _kind(self, kind: tuple[str, str | None]) -> _Kind:
        """Return where to write what is seen of a kind, as the one that came up last."""
        found = self._kinds.pop(kind, None)
        if found is None:
            found = _Kind()
            while len(self._kinds) >= MOST_KINDS:
                del self._kinds[next(iter(self._kinds))]
        self._kinds[kind] = found
        return found

    def _count_ended(self, kind: tuple[str, str | None], now: float) -> None:
        ended = self._known_kind(*kind).ended
        while ended and ended[0][0] <= now:
            counts_from, _, logarithm = heappop(ended)
            self._count(kind, logarithm, counts_from)

    def _count(self, kind: tuple[str, str | None], logarithm: float, now: float) -> None:
        before = self._expect_kind(*kind)
        found = self._kind(kind)
        seen = found.seen or _Estimate(1, math.log(before.typical), before.spread**2, now)
        found.seen = seen.with_one_more(logarithm, now)


def _kinds_of(model: str, variant: str | None) -> tuple[tuple[str, str | None], ...]:
    """Return what a request tells something about: its variant, before its model as a whole."""
    return ((model, None),) if variant is None else ((model, variant), (model, None))
