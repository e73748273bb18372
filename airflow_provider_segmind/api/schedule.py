"""
When to poll a request again.

Seldom while it can hardly be done, often around the time at which it usually is, and slower again if it takes
longer. The wait is the one that makes the expected delay worth the expected number of polls: where requests end at
a rate h, polling every sqrt(2 c / h) costs the least for a given delay (J. B. Keller, "Optimum checking schedules
for systems subject to random failure", Management Science 21, 1974). Both are taken relative to the request's
age, because a delay of two seconds is much for an image and nothing for a video.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from airflow_provider_segmind.api.expectation import Expectation

FIRST_POLL = 3.0
"""Seconds after submission: a request with bad input has failed by then."""

SHORTEST = 2.0
LONGEST = 60.0
LONGEST_BLIND = 600.0
"""The most that is waited for the earliest usual end: a wrong expectation may be far too long."""

OVERDUE_GROWTH = 0.04
"""Of the age, that a wait is at least for a request that takes longer than 39 of 40: it may take much longer."""

JITTER = 0.1
LARGEST_JITTER = 3.0
COST_OF_A_POLL = 0.0064
"""What a poll is worth in delay, as a share of duration and spread: it makes about 14 polls, and 2 % of delay."""

LOOKS = 14.0
"""Polls of a request while no turn is scarce."""

SHARE_OF_LOOKS = 0.4
"""Of what the key allows, the part that polls may use up. The rest is for submits, and for other processes."""

LEAST_FOR_FIRST_POLL = 6.0
"""Polls of a request that the key has to allow if one of them is to go to errors that come early."""

PROBABLY = 0.9
"""The probability that a request is done which is worth any turn: 1.1 polls then make one request."""

NOT_WORTH_A_WAIT = 0.1
"""Seconds. A wait that is shorter would be lost in the rounding of clocks."""

MOST_ROUNDS = 4.0
"""A quarter of what the key allows is always enough to poll all requests that may be done: none starves."""


@dataclass(frozen=True, slots=True)
class KeyLoad:
    """
    How scarce the turns of a key are, as far as this process knows.

    :param waiting: Requests that it waits for with the key.
    :param request_interval: Seconds between two calls that the key allows, or is taken to allow; 0 if that does
        not matter.
    """

    waiting: int = 1
    request_interval: float = 0.0

    @property
    def round(self) -> float:
        """Seconds in which the key allows one poll of each request; 0 if that does not matter."""
        return self.waiting * self.request_interval


def first_wait(age: float, poll_interval: float | None, expected: Expectation) -> float:
    """
    Return the seconds to wait before the first poll.

    A fresh request cannot be done yet, but bad input fails within seconds. An older one is taken up again after a
    restart, and perhaps a thousand others with it: each is polled at a random time before its next poll was due.

    :param age: Seconds since the request was submitted.
    :param poll_interval: The fixed number of seconds between polls, if there is one.
    :param expected: How long such a request usually takes.
    """
    age = max(age, 0)
    longest = FIRST_POLL if poll_interval is None else min(FIRST_POLL, poll_interval)
    if age < longest:
        return longest - age
    return random.uniform(0, next_wait(age, poll_interval, expected))  # noqa: S311 - spreading load needs no secrecy


def next_wait(age: float, poll_interval: float | None, expected: Expectation) -> float:
    """
    Return the seconds to wait before the next poll.

    A tenth of jitter, 3 seconds at most, keeps requests that were submitted together from being polled together.

    :param age: Seconds since the request was submitted.
    :param poll_interval: A fixed number of seconds instead.
    :param expected: How long such a request usually takes.
    """
    if poll_interval is not None:
        return poll_interval
    wait = max(_best_wait(max(age, 1.0), expected), SHORTEST)
    jitter = min(JITTER * wait, LARGEST_JITTER)
    return wait + random.uniform(-jitter, jitter)  # noqa: S311 - spreading load needs no secrecy


def postponement(age: float, seen: float, load: KeyLoad, expected: Expectation) -> float:
    """
    Return the seconds for which a poll is not worth its turn, if turns are scarce.

    If the key allows a request N polls, and each comes when the request is done with the probability 1 / N, it
    takes N polls on average. Half of the remaining time is enough to wait before deciding again.

    :param age: Seconds since the request was submitted.
    :param seen: The age at which it was last seen to be unfinished; 0 if it was not seen.
    :param expected: How long such a request usually takes.
    """
    if load.round <= 0:
        return 0.0
    allowed = SHARE_OF_LOOKS * expected.typical / load.round
    if allowed >= LOOKS or (not seen and allowed >= LEAST_FOR_FIRST_POLL):
        return 0.0
    probability = PROBABLY if allowed * PROBABLY <= 1 else 1 / allowed
    worth_at = expected.age_when_done(seen, probability)
    latest = max(seen, expected.earliest()) + MOST_ROUNDS * load.round
    return _in_halves(min(worth_at, latest) - age)


def _in_halves(wait: float) -> float:
    """Return the half of a wait, or all of one that is short."""
    return 0.0 if wait < NOT_WORTH_A_WAIT else min(wait, max(wait / 2, SHORTEST))


def wait_after_reset(until_reset: float, wait: float) -> float:
    """
    Return the seconds to wait for a rate limit's reset: a little longer, so that not all come back at once.

    :param until_reset: Seconds until the reset.
    :param wait: What the wait would have been without it.
    """
    spread = until_reset + random.uniform(0, max(wait, SHORTEST))  # noqa: S311 - spreading load needs no secrecy
    return max(wait, spread)


def _best_wait(age: float, expected: Expectation) -> float:
    earliest = expected.earliest()
    if age < 0.9 * earliest:
        return min(earliest - age, LONGEST_BLIND)
    wait = 0.0
    for _ in range(4):  # until it fits the rate in its own middle
        rate = expected.ending_rate(age + wait / 2)
        wait = age * math.sqrt(2 * COST_OF_A_POLL * expected.spread / rate)
    overdue = OVERDUE_GROWTH * age if age > expected.latest() else 0.0
    return min(max(wait, overdue), LONGEST)
