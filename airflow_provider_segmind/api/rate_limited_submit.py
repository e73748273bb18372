"""A submit that was refused with 429: there is no request and no charge, and it waits for its turn. No I/O."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from airflow_provider_segmind.api.forms import COUNT, MAPPING, NUMBER, Form
from airflow_provider_segmind.api.rate_limit import backoff
from airflow_provider_segmind.api.unresolved_submit import UnresolvedSubmit
from airflow_provider_segmind.exceptions import RateLimitedError


@dataclass(frozen=True)
class RateLimitedSubmit:
    """
    A submit that waits for its turn: it was refused, or held back before it was sent.

    :param not_before: When the rate limit ends, in seconds since the epoch.
    :param deadline: When to give up, in seconds since the epoch.
    :param refusals: How many times the submit has been refused or held back.
    :param replaces: The unresolved submit that this one replaces, if there is one.
    """

    not_before: float
    deadline: float
    refusals: int = 1
    replaces: UnresolvedSubmit | None = None

    VERSION: ClassVar[int] = 1
    """Of the form that ``as_json`` writes; see docs/upgrades.md."""

    @classmethod
    def after(
        cls,
        refusal: RateLimitedError,
        now: float,
        timeout: float,
        *,
        previous: RateLimitedSubmit | None = None,
        replaces: UnresolvedSubmit | None = None,
    ) -> Self:
        """
        Return what a refusal leads to.

        :param now: Seconds since the epoch.
        :param timeout: Seconds from the first refusal after which to give up.
        :param previous: The same after the refusal before, if this is not the first.
        :param replaces: The unresolved submit that the refused one replaces, if there is one.
        """
        refusals = previous.refusals + 1 if previous is not None else 1
        reset = refusal.reset_at.timestamp() if refusal.reset_at else now
        pause = 0.0 if refusal.status is None else backoff(refusals - 1)  # without a status, nothing was sent
        return cls(
            not_before=reset if reset > now else now + pause,
            deadline=previous.deadline if previous is not None else now + timeout,
            refusals=refusals,
            replaces=replaces,
        )

    def is_overdue(self, now: float) -> bool:
        """Whether it is time to give up."""
        return now >= self.deadline

    def timeout_error(self) -> RateLimitedError:
        """Return the error of a submit that found no turn before its deadline."""
        charged = (
            "nothing was charged"
            if self.replaces is None
            else "it was to replace a submit without a clear answer, which the request history does not show"
        )
        times = "once" if self.refusals == 1 else f"{self.refusals} times"
        return RateLimitedError(
            f"the submit found no turn within the task's timeout; it was held back {times}; {charged}"
        )

    def pause(self, now: float) -> float:
        """
        Return the seconds to wait where there is no queue to wait in.

        The pause ends a random time after the limit, and not after the deadline. The random time grows with each
        refusal, so tasks that were refused together come back one after another.

        :param now: Seconds since the epoch.
        """
        spread = random.uniform(1, backoff(self.refusals - 1))  # noqa: S311 - spreading load needs no secrecy
        return max(min(max(self.not_before - now, 0) + spread, self.deadline - now), 0)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "version": self.VERSION,
            **asdict(self),
            "replaces": self.replaces.as_json() if self.replaces else None,
        }

    @classmethod
    def from_json(cls, document: object) -> Self:
        """
        Return what ``as_json`` described.

        :raises SegmindError: If the document is something else.
        """
        form = Form(document, "the rate-limited submit cannot be read", cls.VERSION, may_submit=True)
        replaces = form.optional("replaces", MAPPING, None)
        return cls(
            not_before=form.required("not_before", NUMBER),
            deadline=form.required("deadline", NUMBER),
            refusals=form.optional("refusals", COUNT, 1),
            replaces=None if replaces is None else UnresolvedSubmit.from_json(replaces),
        )
