"""
When to look at a request again.

Seldom while it can hardly be done, often around the time at which it usually is, and slower again if it takes
longer. The wait is the one that makes the expected delay worth the expected number of looks: where requests end at
a rate h, looking every sqrt(2 c / h) costs the least for a given delay (J. B. Keller, "Optimum checking schedules
for systems subject to random failure", Management Science 21, 1974). Both are taken relative to the request's
age, because a delay of two seconds is much for an image and nothing for a video.
"""

from __future__ import annotations

import math
import random

from airflow_provider_segmind.api.expectation import Expectation

FIRST_LOOK = 3.0
"""Seconds after submission: a request with bad input has failed by then."""

SHORTEST = 2.0
LONGEST = 60.0
LONGEST_BLIND = 600.0
"""The most that is waited for the earliest usual end: a wrong expectation may be far too long."""

OVERDUE_GROWTH = 0.04
"""Of the age, that a wait is at least for a request that takes longer than 39 of 40: it may take much longer."""

JITTER = 0.1
LARGEST_JITTER = 3.0
COST_OF_A_LOOK = 0.0064
"""What a look is worth in delay, as a share of duration and spread: it makes about 14 looks, and 2 % of delay."""


def first_look(age: float, poll_interval: float | None, expected: Expectation) -> float:
    """
    Return the seconds to wait before looking for the first time.

    A fresh request cannot be done yet, but bad input fails within seconds. If it is older, whoever waited for it
    was restarted, and with it perhaps a thousand others: so they are looked at some time before their next look
    was due, and not all at once.

    :param age: Seconds since the request was submitted.
    :param poll_interval: The fixed number of seconds between looks, if there is one.
    :param expected: How long such a request usually takes.
    """
    age = max(age, 0)
    longest = FIRST_LOOK if poll_interval is None else min(FIRST_LOOK, poll_interval)
    if age < longest:
        return longest - age
    return random.uniform(0, next_look(age, poll_interval, expected))  # noqa: S311 - spreading load needs no secrecy


def next_look(age: float, poll_interval: float | None, expected: Expectation) -> float:
    """
    Return the seconds to wait before looking again.

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


def after_reset(until_reset: float, wait: float) -> float:
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
        wait = age * math.sqrt(2 * COST_OF_A_LOOK * expected.spread / rate)
    overdue = OVERDUE_GROWTH * age if age > expected.latest() else 0.0
    return min(max(wait, overdue), LONGEST)
