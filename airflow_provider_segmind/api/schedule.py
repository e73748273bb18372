"""When to look at a request again."""

from __future__ import annotations

import random

FIRST_LOOK = 3.0
SHORTEST = 2.0
LONGEST = 30.0
GROWTH = 0.2
JITTER = 0.1


def first_look(age: float, poll_interval: float | None) -> float:
    """
    Return the seconds to wait before looking for the first time.

    A fresh request cannot be done yet, but bad input fails within seconds. One that is older, because whoever
    waited for it was restarted, is looked at within a second or so, not all of them at once.

    :param age: Seconds since the request was submitted.
    :param poll_interval: The fixed number of seconds between looks, if there is one.
    """
    age = max(age, 0)
    age = max(age, 0)
    longest = FIRST_LOOK if poll_interval is None else min(FIRST_LOOK, poll_interval)
    if age < longest:
        return longest - age
    return random.uniform(0, min(1, longest))  # noqa: S311 - spreading load needs no secrecy


def next_look(age: float, poll_interval: float | None) -> float:
    """
    Return the seconds to wait before looking again.

    Adaptive: each wait is a fifth of the request's age, between 2 and 30 seconds, so that the delay stays in
    proportion to the job. The jitter of a tenth keeps requests that were submitted together from being polled
    together.

    :param age: Seconds since the request was submitted.
    :param poll_interval: A fixed number of seconds instead.
    """
    if poll_interval is not None:
        return poll_interval
    wait = min(max(age * GROWTH, SHORTEST), LONGEST)
    return wait * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreading load needs no secrecy


def after_reset(until_reset: float, wait: float) -> float:
    """
    Return the seconds to wait for a rate limit's reset: a little longer, so that not all come back at once.

    :param until_reset: Seconds until the reset.
    :param wait: What the wait would have been without it.
    """
    spread = until_reset + random.uniform(0, max(wait, SHORTEST))  # noqa: S311 - spreading load needs no secrecy
    return max(wait, spread)
