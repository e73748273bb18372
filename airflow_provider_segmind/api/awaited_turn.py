"""A submit that was refused for a rate limit, and waits for its turn: there is no request, and no charge."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from airflow_provider_segmind.api.rate_limit import backoff
from airflow_provider_segmind.api.resolve import LostSubmit
from airflow_provider_segmind.exceptions import RateLimitedError


@dataclass(frozen=True)
class AwaitedTurn:
    """
    What a task waits for that could not submit.

    :param not_before: When the rate limit ends, in seconds since the epoch.
    :param deadline: When to give up, in seconds since the epoch.
    :param refusals: How often the submit has been refused.
    :param lost: The submit without an answer in whose place this one was to be made, if there is one.
    """

    not_before: float
    deadline: float
    refusals: int = 1
    lost: LostSubmit | None = None

    def missed(self) -> RateLimitedError:
        """Return the error of a turn that did not come before the deadline."""
        charged = (
            "nothing was charged"
            if self.lost is None
            else "it was to replace one whose answer was lost, and which the request history does not show"
        )
        return RateLimitedError(
            f"the submit was refused {self.refusals} times and found no turn within the task's timeout; {charged}"
        )

    def alone(self, now: float) -> float:
        """
        Return the seconds to wait where there is no queue to wait in: until the limit's end, and a little longer,
        spread over more time with each refusal. Not beyond the deadline.

        :param now: Seconds since the epoch.
        """
        spread = random.uniform(1, backoff(self.refusals - 1))  # noqa: S311 - spreading load needs no secrecy
        return max(min(max(self.not_before - now, 0) + spread, self.deadline - now), 0)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {**asdict(self), "lost": self.lost.as_json() if self.lost else None}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return what ``as_json`` described."""
        lost = document.get("lost")
        return cls(**{**document, "lost": LostSubmit.from_json(lost) if lost else None})


def turn_after(
    refusal: RateLimitedError, before: AwaitedTurn | None, lost: LostSubmit | None, timeout: float, now: float
) -> AwaitedTurn:
    """
    Return what to wait for after a refusal.

    :param before: What was waited for before this refusal, if it is not the first.
    :param lost: The submit in whose place the refused one was to be made, if there is one.
    :param timeout: Seconds from the first refusal after which to give up.
    :param now: Seconds since the epoch.
    :raises RateLimitedError: If that time is over.
    """
    refusals = before.refusals + 1 if before is not None else 1
    reset = refusal.reset_at.timestamp() if refusal.reset_at else now
    turn = AwaitedTurn(
        not_before=reset if reset > now else now + backoff(refusals - 1),
        deadline=before.deadline if before is not None else now + timeout,
        refusals=refusals,
        lost=lost,
    )
    if now >= turn.deadline:
        raise turn.missed()
    return turn
