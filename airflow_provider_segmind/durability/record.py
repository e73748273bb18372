"""The record of a task instance's request, and what it means for the next try. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
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
from airflow_provider_segmind.exceptions import SegmindError


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

    :param fingerprint: Of the model and its parameters, as the user gave them, with the content of files.
    :param given: The same with their locations; None in a record of an earlier version.
    :param sent: The same with their URLs, as Segmind got it; None in a record of an earlier version.
    :param at: When the submit was about to be sent, in seconds since the epoch.
    :param earlier: The same of lost submits in whose place this one was made.
    :param request_id: From the answer to the submit; None while that is open.
    :param previous: The id of the request before, which this one replaces.
    :param max_tries: The task's ``max_tries`` when this was written: a clear changes it, a retry does not. None in
        a record of an earlier version.
    :param digests: A short digest of each parameter by its name, to say which ones have changed since.
    """

    state: RecordState
    model: str
    fingerprint: str
    at: float
    request_id: str | None = None
    max_tries: int | None = None
    previous: str | None = None
    earlier: tuple[float, ...] = ()
    given: str | None = None
    sent: str | None = None
    digests: Mapping[str, str] = field(default_factory=dict)

    VERSION: ClassVar[int] = 1
    """Of the form that ``as_json`` writes; see docs/upgrades.md."""

    def is_of_this_series(self, max_tries: int) -> bool:
        """Whether the task has not been cleared since: what runs now is a retry."""
        return self.max_tries == max_tries

    def as_json(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        plain = {"state": str(self.state), "earlier": list(self.earlier), "digests": dict(self.digests)}
        return {"version": self.VERSION, **asdict(self), **plain}

    @classmethod
    def read(cls, document: object) -> Self:
        """
        Return the record that a document holds.

        :raises SegmindError: If it holds none that this version can read: with the request's id, if it has one.
        """
        form = Form(document, "the task's record of its request cannot be read", cls.VERSION, may_submit=True)
        record = cls(
            state=form.required("state", STATE),
            model=form.required("model", WORD),
            fingerprint=form.required("fingerprint", TEXT),
            at=form.required("at", MOMENT),
            request_id=form.optional("request_id", REQUEST_ID, None),
            max_tries=form.optional("max_tries", SIZE, None),
            previous=form.optional("previous", REQUEST_ID, None),
            earlier=form.optional("earlier", MOMENTS, ()),
            given=form.optional("given", TEXT, None),
            sent=form.optional("sent", TEXT, None),
            digests=form.optional("digests", TEXTS_BY_NAME, {}),
        )
        if record.request_id is None and record.state is not RecordState.SUBMITTING:
            raise form.error("'request_id' is missing")
        return record

    @classmethod
    def from_json(cls, document: object) -> Self | None:
        """Return the record that a document holds; None if it holds none that this version can read."""
        try:
            return cls.read(document)
        except SegmindError:
            return None


@dataclass(frozen=True)
class Submit:
    """Submit a new request. ``reason`` says why the record, if there is one, does not stand in its way."""

    reason: str = ""


@dataclass(frozen=True)
class Reattach:
    """Go on with the request of the record."""

    request_id: str
    submitted_at: float


@dataclass(frozen=True)
class Resolve:
    """
    A submit was under way and its answer is not known: find out whether the request exists.

    The fields are those of the record.
    """

    at: float
    earlier: tuple[float, ...] = ()
    previous: str | None = None
    sent: str | None = None


def next_step(record: RequestRecord | None, wanted: str, max_tries: int) -> Submit | Reattach | Resolve:
    """
    Return what an attempt has to do, given the record of the attempts before it.

    A retry continues with what was submitted, whatever its parameters render to now: a URL that a macro signs is
    another one in each attempt, and so is a timestamp in a prompt. Only a person clears a task, so that other
    parameters after a clear are meant.

    :param wanted: The fingerprint of what this attempt is asked for. It does not matter in a retry.
    :param max_tries: The task's at this moment.
    """
    if record is None:
        return Submit()
    if record.state is RecordState.SUBMITTING or record.request_id is None:
        return Resolve(record.at, record.earlier, record.previous, record.sent)
    if record.is_of_this_series(max_tries):
        return Reattach(record.request_id, record.at)
    if record.state is RecordState.DELIVERED:
        return Submit(f"request {record.request_id} was delivered and the task has been cleared since")
    if record.fingerprint != wanted:
        return Submit(
            f"the task has been cleared and its parameters have changed. It abandons request {record.request_id}, "
            "which SegmindRequestSensor can still fetch its output"
        )
    return Reattach(record.request_id, record.at)
