"""The record of a task instance's request: what one attempt leaves for the next. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Self

from airflow_provider_segmind.api.forms import (
    MOMENT,
    MOMENTS,
    REQUEST_ID,
    SIZE,
    TEXT,
    TEXTS_BY_NAME,
    WORD,
    Form,
    Kind,
)
from airflow_provider_segmind.api.request_ids import canonical_id, submit_name


class RecordState(StrEnum):
    """How far a request had come when its record was written."""

    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    DELIVERED = "delivered"


def _read_state(value: object) -> RecordState | None:
    return RecordState(value) if isinstance(value, str) and value in list(RecordState) else None


STATE: Kind[RecordState] = Kind(f"one of {', '.join(RecordState)}", _read_state)


@dataclass(frozen=True)
class RequestRecord:
    """
    What a task instance knows of the request that it paid for, or may have paid for.

    :param fingerprint: Of the model and its parameters as the user wrote them, with the content of files.
    :param sent_at: When the submit was about to be sent, in seconds since the epoch.
    :param request_id: From the answer to the submit; None until there is one.
    :param max_tries: The task's ``max_tries`` when this was written. A clear changes it, a retry does not.
    :param previous_id: The id of the request before this one: a search must not take that for this one.
    :param earlier_sent_at: When the unresolved submits were sent that this one replaces.
    :param written_fingerprint: Like ``fingerprint``, with the locations of files in place of their content.
    :param sent_fingerprint: Like ``fingerprint``, with the URLs of files, as Segmind got them.
    :param digests: A short digest of each parameter by its name, to log which ones have changed since.
    :param sent_digests: The same of the parameters as Segmind got them, to recognize them in the history.
    :param sent_media: Those that are media, see :class:`~airflow_provider_segmind.api.sent_inputs.SentInputs`.
    """

    state: RecordState
    model: str
    fingerprint: str
    sent_at: float
    request_id: str | None = None
    max_tries: int | None = None
    previous_id: str | None = None
    earlier_sent_at: tuple[float, ...] = ()
    written_fingerprint: str | None = None
    sent_fingerprint: str | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    sent_digests: Mapping[str, str] = field(default_factory=dict)
    sent_media: Mapping[str, str] = field(default_factory=dict)

    VERSION: ClassVar[int] = 1
    """Of the form that ``as_json`` writes; see docs/upgrades.md."""

    def is_of_this_series(self, max_tries: int) -> bool:
        """Whether the task has not been cleared since: what runs now is a retry."""
        return self.max_tries == max_tries

    @property
    def undelivered_name(self) -> str | None:
        """
        By what a user names the request to give it up: by its id; or by the time of its submit, while it has none.

        None if it is delivered: then there is nothing to give up.
        """
        if self.state is RecordState.DELIVERED:
            return None
        return self.request_id or submit_name(self.sent_at)

    def is_named_in(self, names: Collection[str]) -> bool:
        """Whether a user gives the request up. Ids are the same with and without dashes."""
        own = self.undelivered_name
        return own is not None and canonical_id(own) in map(canonical_id, names)

    def as_json(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        plain = {
            "state": str(self.state),
            "earlier_sent_at": list(self.earlier_sent_at),
            "digests": dict(self.digests),
            "sent_digests": dict(self.sent_digests),
            "sent_media": dict(self.sent_media),
        }
        return {"version": self.VERSION, **asdict(self), **plain}

    @classmethod
    def from_json(cls, document: object) -> Self:
        """
        Return the record that a document holds.

        :raises SegmindError: If it holds none that this version can read: with the request's id, if it has one.
        """
        form = Form(document, "the task's record of its request cannot be read", cls.VERSION, may_submit=True)
        record = cls(
            state=form.required("state", STATE),
            model=form.required("model", WORD),
            fingerprint=form.required("fingerprint", TEXT),
            sent_at=form.required("sent_at", MOMENT),
            request_id=form.optional("request_id", REQUEST_ID, None),
            max_tries=form.optional("max_tries", SIZE, None),
            previous_id=form.optional("previous_id", REQUEST_ID, None),
            earlier_sent_at=form.optional("earlier_sent_at", MOMENTS, ()),
            written_fingerprint=form.optional("written_fingerprint", TEXT, None),
            sent_fingerprint=form.optional("sent_fingerprint", TEXT, None),
            digests=form.optional("digests", TEXTS_BY_NAME, {}),
            sent_digests=form.optional("sent_digests", TEXTS_BY_NAME, {}),
            sent_media=form.optional("sent_media", TEXTS_BY_NAME, {}),
        )
        if record.request_id is None and record.state is not RecordState.SUBMITTING:
            raise form.error("'request_id' is missing")
        return record
