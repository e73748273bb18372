"""
Finding out what became of a submit whose answer was lost, without I/O.

Generators like those of ``follow``: they yield calls and waits, and are given each answer back.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.answers import HistoryEntry, HistoryPage, RequestReport, RequestState
from airflow_provider_segmind.api.call import Call
from airflow_provider_segmind.api.fingerprint import fingerprint
from airflow_provider_segmind.api.follow import Wait
from airflow_provider_segmind.exceptions import (
    RefusedError,
    RequestExpiredError,
    RequestFailedError,
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
    :param since: When it was about to be sent, in seconds since the epoch.
    :param deadline: When to stop looking, in seconds since the epoch.
    :param ignore: Ids of requests that are known to be others.
    :param attempt: 1, or more if the submit was itself made in place of a lost one.
    """

    model: str
    fingerprint: str
    since: float
    deadline: float
    ignore: tuple[str, ...] = ()
    attempt: int = 1


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


def recover(request_id: str) -> Generator[Call[Any], Any, RequestReport]:
    """
    Ask the history for a request whose record has expired, and return its result as far as history has it.

    :raises RequestFailedError: If it failed, and so was not charged.
    :raises RequestExpiredError: If the history cannot tell, or has no output.
    """
    try:
        entry: HistoryEntry = yield calls.history_entry(request_id)
    except SegmindError as error:
        raise RequestExpiredError(
            f"its record is gone, and the request history could not help: {error.detail}", request_id=request_id
        ) from error
    if entry.state == RequestState.FAILED:
        raise RequestFailedError(entry.error or "no explanation given", request_id=request_id)
    if entry.state != RequestState.COMPLETED or not entry.output_urls:
        raise RequestExpiredError(
            f"its record is gone, and the request history shows it as {entry.state or 'nothing'} with "
            f"{len(entry.output_urls)} outputs",
            request_id=request_id,
        )
    urls = list(entry.output_urls)
    body = {
        "status": str(RequestState.COMPLETED),
        "output": urls[0] if len(urls) == 1 else urls,
        "metrics": {} if entry.cost is None else {"cost": entry.cost},
    }
    return RequestReport(request_id, RequestState.COMPLETED, body)


def _look(submit: LostSubmit) -> Generator[Call[Any], Any, Traces]:
    earliest = datetime.fromtimestamp(submit.since, UTC) - CLOCK_DIFFERENCE
    alike: dict[str, datetime] = {}
    unreadable = 0
    for number in range(1, MOST_PAGES + 1):
        page: HistoryPage = yield calls.history(
            model=submit.model,
            from_date=(earliest - timedelta(days=1)).date(),
            page=number,
            per_page=calls.MOST_ROWS,
        )
        for entry in page.entries:
            if entry.model != submit.model or entry.state == RequestState.FAILED:
                continue
            if entry.request_id in submit.ignore:
                continue
            if entry.created_at is not None and entry.created_at < earliest:
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
