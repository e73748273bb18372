"""When to look at a request again."""

from __future__ import annotations

import random

FIRST_LOOK = 3.0
SHORTEST = 2.0
LONGEST = 30.0
GROWTH = 0.2
JITTER = 0.1


def next_look(age: float, poll_interval: float | None) -> float:
    """
    Return the seconds to wait before looking again.

    Adaptive: a first look after three seconds, as bad input fails early, then each wait a fifth of the
    request's age, between 2 and 30 seconds, so that the delay stays in proportion to the job. The jitter of
    a tenth keeps requests that were submitted together from being polled together.

    :param age: Seconds since the request was submitted.
    :param poll_interval: A fixed number of seconds instead.
    """
    if poll_interval is not None:
        return poll_interval
    wait = FIRST_LOOK - age if age < FIRST_LOOK - SHORTEST else min(max(age * GROWTH, SHORTEST), LONGEST)
    return wait * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreading load needs no secrecy
