"""A submit that was refused for a rate limit, and waits for its turn: there is no request, and no charge."""

from __future__ import annotations

import random
from dataclasses import dataclass

from airflow_provider_segmind.exceptions import RateLimitedError

FIRST_SPREAD = 5.0
"""Seconds over which those who wait without a queue come back after a reset; doubled with each refusal."""

LARGEST_SPREAD = 60.0


@dataclass(frozen=True)
class AwaitedTurn:
    """
    What a task waits for that could not submit.

    :param reset_at: When the rate limit ends, in seconds since the epoch; None if Segmind did not say.
    :param deadline: When to give up, in seconds since the epoch.
    :param refusals: How often the submit has been refused.
    """

    reset_at: float | None
    deadline: float
    refusals: int = 1

    def missed(self) -> RateLimitedError:
        """Return the error of a turn that did not come before the deadline."""
        return RateLimitedError(
            f"the submit was refused {self.refusals} times and found no turn within the task's timeout; "
            "nothing was charged"
        )

    def alone(self, now: float) -> float:
        """
        Return the seconds to wait where there is no queue to wait in: until the reset, and a little longer.

        :param now: Seconds since the epoch.
        """
        spread = min(FIRST_SPREAD * 2 ** min(self.refusals - 1, 10), LARGEST_SPREAD)
        until_reset = max(self.reset_at - now, 0) if self.reset_at is not None else spread
        return until_reset + random.uniform(1, spread)  # noqa: S311 - spreading load needs no secrecy


def turn_after(refusal: RateLimitedError, before: AwaitedTurn | None, timeout: float, now: float) -> AwaitedTurn:
    """
    Return what to wait for after a refusal.

    :param before: What was waited for before this refusal, if it is not the first.
    :param timeout: Seconds from the first refusal after which to give up.
    :param now: Seconds since the epoch.
    :raises RateLimitedError: If that time is over.
    """
    deadline = before.deadline if before is not None else now + timeout
    refusals = before.refusals + 1 if before is not None else 1
    turn = AwaitedTurn(refusal.reset_at.timestamp() if refusal.reset_at else None, deadline, refusals)
    if now >= deadline:
        raise turn.missed()
    return turn
