"""A submit without a clear answer: what it takes to find its request, or to know that there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self

from airflow_provider_segmind.api.forms import (
    COUNT,
    FLAG,
    MOMENT,
    MOMENTS,
    NUMBER,
    TEXT,
    TEXTS,
    TEXTS_BY_NAME,
    WORD,
    Form,
)
from airflow_provider_segmind.api.request_ids import submit_name
from airflow_provider_segmind.api.sent_inputs import SentInputs

HISTORY_LAG = 60.0
"""Seconds after the end of a request in which its row may still appear. Segmind does not document the lag."""

CLOCK_DIFFERENCE = timedelta(seconds=30)
"""By how much the clocks of Segmind and of a worker may differ."""


@dataclass(frozen=True)
class UnresolvedSubmit:
    """
    A submit without a clear answer: there may be a request, and its id is not known.

    All times are in seconds since the epoch.

    :param sent_fingerprint: Of the model and the parameters as Segmind got them.
    :param sent_at: When the submit was about to be sent.
    :param accepted_by: The latest moment at which Segmind can have accepted it.
    :param search_from: When to read the history first.
    :param search_until: When to stop.
    :param ignored_ids: Of requests that are known to be others.
    :param earlier_sent_at: When the unresolved submits were sent that this one replaces. Their requests may still
        appear.
    :param submits: How many submits there were, this one and those that it replaces.
    :param sent_digests: A short digest of each parameter as Segmind got it, by its name.
    :param sent_media: Those that are media, see :class:`~airflow_provider_segmind.api.sent_inputs.SentInputs`.
    :param is_given_up: Whether the user has looked for its request, and wants to pay for another.
    """

    model: str
    sent_fingerprint: str
    sent_at: float
    accepted_by: float
    search_from: float
    search_until: float
    ignored_ids: tuple[str, ...] = ()
    earlier_sent_at: tuple[float, ...] = ()
    submits: int = 1
    sent_digests: Mapping[str, str] = field(default_factory=dict)
    sent_media: Mapping[str, str] = field(default_factory=dict)
    is_given_up: bool = False

    VERSION: ClassVar[int] = 1
    """Of the form that ``as_json`` writes; see docs/upgrades.md."""

    @property
    def name(self) -> str:
        """By what a user names it, to find its request or to give it up."""
        return submit_name(self.sent_at)

    @property
    def sent(self) -> SentInputs:
        """What Segmind got."""
        return SentInputs(self.sent_fingerprint, self.sent_digests, self.sent_media)

    def may_be_of(self, moment: datetime) -> bool:
        """Whether a request of that moment may be the one, or one of those that it replaces."""
        return any(earliest <= moment <= latest for earliest, latest in self._windows())

    def earliest(self) -> datetime:
        """The first moment at which it, or one that it replaces, may have been accepted."""
        return min(earliest for earliest, _ in self._windows())

    def last(self) -> datetime:
        """The last moment at which it may have been accepted."""
        return max(latest for _, latest in self._windows())

    def _windows(self) -> list[tuple[datetime, datetime]]:
        under_way = timedelta(seconds=self.accepted_by - self.sent_at)
        sent = [datetime.fromtimestamp(at, UTC) for at in (*self.earlier_sent_at, self.sent_at)]
        return [(at - CLOCK_DIFFERENCE, at + under_way + CLOCK_DIFFERENCE) for at in sent]

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        plain = {
            "ignored_ids": list(self.ignored_ids),
            "earlier_sent_at": list(self.earlier_sent_at),
            "sent_digests": dict(self.sent_digests),
            "sent_media": dict(self.sent_media),
        }
        return {"version": self.VERSION, **asdict(self), **plain}

    @classmethod
    def from_json(cls, document: object) -> Self:
        """
        Return what ``as_json`` described.

        :raises SegmindError: If the document is something else.
        """
        form = Form(document, "the unresolved submit cannot be read", cls.VERSION, may_submit=True)
        return cls(
            model=form.required("model", WORD),
            sent_fingerprint=form.required("sent_fingerprint", TEXT),
            sent_at=form.required("sent_at", MOMENT),
            accepted_by=form.required("accepted_by", MOMENT),
            search_from=form.required("search_from", NUMBER),
            search_until=form.required("search_until", NUMBER),
            ignored_ids=form.optional("ignored_ids", TEXTS, ()),
            earlier_sent_at=form.optional("earlier_sent_at", MOMENTS, ()),
            submits=form.optional("submits", COUNT, 1),
            sent_digests=form.optional("sent_digests", TEXTS_BY_NAME, {}),
            sent_media=form.optional("sent_media", TEXTS_BY_NAME, {}),
            is_given_up=form.optional("is_given_up", FLAG, False),
        )
