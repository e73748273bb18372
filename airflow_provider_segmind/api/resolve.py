"""
Finding out what became of a submit whose answer was lost, without I/O.

Generators like those of ``follow``: they yield calls and waits, and are given each answer back.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.answers import HistoryPage, RequestState
from airflow_provider_segmind.api.call import Call, Turn
from airflow_provider_segmind.api.fingerprint import fingerprint
from airflow_provider_segmind.api.follow import LAST_TURN, Wait
from airflow_provider_segmind.exceptions import (
    RefusedError,
    SegmindError,
    UnreadableResponseError,
)

LATEST_ROW = 120.0
"""Seconds after a submit in which its row may still come: history lags, by how much is not documented."""

LOOK_EVERY = 5.0
CLOCK_DIFFERENCE = timedelta(seconds=30)
"""By how much the clocks of Segmind and of a worker may differ."""

MOST_PAGES = 10


@dataclass(frozen=True)
class LostSubmit:
    """
    A submit whose answer is not known.

    :param fingerprint: Of its model and parameters.
    :param at: When it was about to be sent, in seconds since the epoch.
    :param since: The same of the first lost submit, if this one was made in its place: that may come to light yet.
    :param latest: When Segmind could have accepted it at the latest, in seconds since the epoch.
    :param not_before: When to look first, in seconds since the epoch.
    :param deadline: When to stop looking, in seconds since the epoch.
    :param ignore: Ids of requests that are known to be others.
    :param attempt: 1, or more if the submit was itself made in place of a lost one.
    """

    model: str
    fingerprint: str
    at: float
    since: float
    latest: float
    not_before: float
    deadline: float
    ignore: tuple[str, ...] = ()
    attempt: int = 1

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {**asdict(self), "ignore": list(self.ignore)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return what ``as_json`` described."""
        return cls(**{**document, "ignore": tuple(document["ignore"])})


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

    Failed requests are passed over: they are not charged, so that submitting anew costs no more.

    :param now: The clock: seconds since the epoch.
    """
    if submit.not_before > now():
        yield Wait(submit.not_before - now())
    while True:
        try:
            traces = yield from _look(submit)
        except SegmindError as trouble:
            traces = Traces(trouble=trouble)
        remaining = submit.deadline - now()
        if traces.request_ids or remaining <= 0 or isinstance(traces.trouble, RefusedError):
            return traces
        remark = f"Will look into the request history again: {traces.trouble}" if traces.trouble else ""
        yield Wait(min(LOOK_EVERY, remaining), remark)


def _look(submit: LostSubmit) -> Generator[Call[Any], Any, Traces]:
    earliest = datetime.fromtimestamp(submit.since, UTC) - CLOCK_DIFFERENCE
    latest = datetime.fromtimestamp(submit.latest, UTC) + CLOCK_DIFFERENCE
    alike: dict[str, datetime] = {}
    unreadable = 0
    for number in range(1, MOST_PAGES + 1):
        page: HistoryPage = yield calls.history(
            model=submit.model,
            from_date=(earliest - timedelta(days=1)).date(),
            page=number,
            per_page=calls.MOST_ROWS,
            turn=Turn(submit.deadline + LAST_TURN),
        )
        for entry in page.entries:
            if entry.model != submit.model or entry.state == RequestState.FAILED:
                continue
            if entry.request_id in submit.ignore:
                continue
            if entry.created_at is not None and not earliest <= entry.created_at <= latest:
                continue
            if entry.parameters is None or entry.created_at is None:
                unreadable += 1
            elif fingerprint(submit.model, entry.parameters) == submit.fingerprint:
                alike[entry.request_id] = entry.created_at
        if page.rows < calls.MOST_ROWS:
            break
    if unreadable and not alike:
        raise UnreadableResponseError(
            f"{unreadable} requests to {submit.model} in the history have inputs or a time that cannot be read"
        )
    return Traces(tuple(sorted(alike, key=lambda request_id: (alike[request_id], request_id))))
