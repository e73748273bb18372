"""
Finding out what became of a submit whose answer was lost, without I/O.

Generators like those of ``follow``: they yield calls and waits, and are given each answer back.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Generator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, ClassVar, Self

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.answers import HistoryEntry, HistoryPage, RequestState
from airflow_provider_segmind.api.call import Call, Rank, Turn
from airflow_provider_segmind.api.fingerprint import fingerprint
from airflow_provider_segmind.api.follow import Wait
from airflow_provider_segmind.api.forms import COUNT, MOMENT, MOMENTS, NUMBER, TEXT, TEXTS, WORD, Form
from airflow_provider_segmind.api.request_ids import canonical_id
from airflow_provider_segmind.exceptions import (
    RateLimitedError,
    RefusedError,
    SegmindError,
    UnreadableResponseError,
    UntrustedCertificateError,
)

LATEST_ROW = 120.0
"""Seconds after a submit in which its row may still come: history lags, by how much is not documented."""

LOOK_AFTER = 5.0
"""Seconds between the first look and the second; doubled with each, up to LONGEST_PAUSE."""

LONGEST_PAUSE = 30.0
LONGEST_QUEUE = 600.0
"""Seconds after the deadline in which the history may still be asked, if the key's budget is short until then."""

CLOCK_DIFFERENCE = timedelta(seconds=30)
"""By how much the clocks of Segmind and of a worker may differ."""

MOST_PAGES = 10

_LASTING = (RefusedError, UntrustedCertificateError)
"""Trouble that no second look can end."""


@dataclass(frozen=True)
class LostSubmit:
    """
    A submit whose answer is not known.

    :param fingerprint: Of its model and parameters.
    :param at: When it was about to be sent, in seconds since the epoch.
    :param latest: When Segmind could have accepted it at the latest, in seconds since the epoch.
    :param not_before: When to look first, in seconds since the epoch.
    :param deadline: When to stop looking, in seconds since the epoch.
    :param ignore: Ids of requests that are known to be others.
    :param earlier: When lost submits were sent in whose place this one was made: they may come to light yet.
    :param attempt: 1, or more if the submit was itself made in place of a lost one.
    """

    model: str
    fingerprint: str
    at: float
    latest: float
    not_before: float
    deadline: float
    ignore: tuple[str, ...] = ()
    earlier: tuple[float, ...] = ()
    attempt: int = 1

    VERSION: ClassVar[int] = 1
    """Of the form that ``as_json`` writes; see docs/upgrades.md."""

    def may_be_of(self, moment: datetime) -> bool:
        """Whether a request of that moment may be the one, by its time."""
        return any(earliest <= moment <= latest for earliest, latest in self._windows())

    def earliest(self) -> datetime:
        """Return the first moment at which it, or what it replaces, may have been accepted."""
        return min(earliest for earliest, _ in self._windows())

    def last(self) -> datetime:
        """Return the last moment at which it may have been accepted."""
        return max(latest for _, latest in self._windows())

    def _windows(self) -> list[tuple[datetime, datetime]]:
        under_way = timedelta(seconds=self.latest - self.at)
        sent = [datetime.fromtimestamp(at, UTC) for at in (*self.earlier, self.at)]
        return [(at - CLOCK_DIFFERENCE, at + under_way + CLOCK_DIFFERENCE) for at in sent]

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        lists = {"ignore": list(self.ignore), "earlier": list(self.earlier)}
        return {"version": self.VERSION, **asdict(self), **lists}

    @classmethod
    def from_json(cls, document: object) -> Self:
        """
        Return what ``as_json`` described.

        :raises SegmindError: If the document is something else.
        """
        form = Form(document, "the unresolved submit cannot be read", cls.VERSION, may_submit=True)
        return cls(
            model=form.required("model", WORD),
            fingerprint=form.required("fingerprint", TEXT),
            at=form.required("at", MOMENT),
            latest=form.required("latest", MOMENT),
            not_before=form.required("not_before", NUMBER),
            deadline=form.required("deadline", NUMBER),
            ignore=form.optional("ignore", TEXTS, ()),
            earlier=form.optional("earlier", MOMENTS, ()),
            attempt=form.optional("attempt", COUNT, 1),
        )


@dataclass(frozen=True)
class Traces:
    """
    What the history shows of a lost submit.

    :param request_ids: Of all requests that may be it, oldest first. More than one if others submitted the same.
    :param trouble: Why the history cannot tell, if it cannot. Without trouble and ids, Segmind never had it.
    """

    request_ids: tuple[str, ...] = ()
    trouble: SegmindError | None = None


def find_lost(submit: LostSubmit, now: Callable[[], float]) -> Generator[Call[Any] | Wait, Any, Traces]:
    """
    Look in the request history for a lost submit, again and again until a row shows or the deadline passes.

    Failed requests are passed over: they are not charged, so that submitting anew costs no more. A history that
    could not be asked, because the key's limit stood in the way, is asked after the deadline, too.

    :param now: The clock: seconds since the epoch.
    """
    if submit.not_before > now():
        yield Wait(submit.not_before - now())
    last_turn = max(submit.deadline, now()) + LONGEST_QUEUE
    pause = LOOK_AFTER
    while True:
        try:
            traces = yield from _look(submit, Turn(last_turn, Rank.SUBMIT))
        except SegmindError as trouble:
            traces = Traces(trouble=trouble)
        limited = isinstance(traces.trouble, RateLimitedError)
        remaining = (last_turn if limited else submit.deadline) - now()
        if traces.request_ids or remaining <= 0 or isinstance(traces.trouble, _LASTING):
            return traces
        remark = f"Will look into the request history again: {traces.trouble}" if traces.trouble else ""
        yield Wait(min(pause, remaining), remark)
        pause = min(2 * pause, LONGEST_PAUSE)


@dataclass(frozen=True)
class _Candidate:
    """
    What is kept of a row that may be of a submit: its inputs may be large, and a search sees a thousand rows.

    :param alike: Whether its inputs are those of the submit; None if they, or its time, cannot be read.
    """

    request_id: str
    created_at: datetime | None
    alike: bool | None


def _look(submit: LostSubmit, turn: Turn) -> Generator[Call[Any], Any, Traces]:
    possible, gaps = yield from _candidates(submit, turn)
    alike = [(row.created_at, row.request_id) for row in possible if row.alike and row.created_at is not None]
    if not alike and gaps:
        raise UnreadableResponseError(gaps)
    unreadable = sum(row.alike is None for row in possible)
    if not alike and unreadable:
        raise UnreadableResponseError(
            f"{unreadable} requests to {submit.model} in the history have inputs or a time that cannot be read"
        )
    return Traces(tuple(dict.fromkeys(request_id for _, request_id in sorted(alike))))


def _candidates(submit: LostSubmit, turn: Turn) -> Generator[Call[Any], Any, tuple[list[_Candidate], str]]:
    """Return what may be the submit, in the history of its days, and why that is not all of it, if it is not."""
    earliest, latest = submit.earliest(), submit.last()
    found: list[_Candidate] = []
    ignored = {canonical_id(request_id) for request_id in submit.ignore}
    requests = unreadable = 0
    for number in range(1, MOST_PAGES + 1):
        page: HistoryPage = yield calls.history(
            model=submit.model,
            from_date=(earliest - timedelta(days=1)).date(),
            to_date=(latest + timedelta(days=1)).date(),
            page=number,
            per_page=calls.MOST_ROWS,
            sort_by="model_created",
            sort_order="desc",
            turn=turn,
        )
        found += [_candidate(submit, row) for row in page.entries if _may_be(submit, row, ignored)]
        requests += len(page.entries)
        unreadable += page.unreadable
        if page.rows < calls.MOST_ROWS or _nothing_since(earliest, page):
            return found, f"{unreadable} rows of it cannot be read" if unreadable else ""
    return found, f"it has more than {requests} requests of those days"


def _candidate(submit: LostSubmit, row: HistoryEntry) -> _Candidate:
    if row.created_at is None or row.parameters is None:
        return _Candidate(row.request_id, row.created_at, None)
    alike = fingerprint(submit.model, row.parameters) == submit.fingerprint
    return _Candidate(row.request_id, row.created_at, alike)


def _nothing_since(moment: datetime, page: HistoryPage) -> bool:
    """Whether a page, and so all that follow it, has only older requests: if it is sorted as was asked for."""
    moments = [row.created_at for row in page.entries if row.created_at is not None]
    sorted_as_asked = all(later >= earlier for later, earlier in pairwise(moments))
    complete = len(moments) == len(page.entries) > 0
    return complete and sorted_as_asked and moments[0] < moment


def _may_be(submit: LostSubmit, row: HistoryEntry, ignored: Container[str]) -> bool:
    """Whether a row may be of a submit, as far as its inputs do not say."""
    return (
        row.model in (submit.model, "")  # the list is of this model, so that a row need not name it
        and row.state != RequestState.FAILED
        and canonical_id(row.request_id) not in ignored
        and (row.created_at is None or submit.may_be_of(row.created_at))
    )
