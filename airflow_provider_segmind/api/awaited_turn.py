"""A submit that was refused for a rate limit, and waits for its turn: there is no request, and no charge."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from airflow_provider_segmind.api.forms import COUNT, MAPPING, NUMBER, Form
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

    VERSION: ClassVar[int] = 1
    """Of the form that ``as_json`` writes; see docs/upgrades.md."""

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
        return {"version": self.VERSION, **asdict(self), "lost": self.lost.as_json() if self.lost else None}

    @classmethod
    def from_json(cls, document: object) -> Self:
        """
        Return what ``as_json`` described.

        :raises SegmindError: If the document is something else.
        """
        form = Form(document, "the turn of a submit cannot be read", cls.VERSION, may_submit=True)
        lost = form.optional("lost", MAPPING, None)
        return cls(
            not_before=form.required("not_before", NUMBER),
            deadline=form.required("deadline", NUMBER),
            refusals=form.optional("refusals", COUNT, 1),
            lost=None if lost is None else LostSubmit.from_json(lost),
        )


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
