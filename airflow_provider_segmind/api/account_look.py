"""
One look at an account's request history for those that wait for new ones. No I/O: it yields calls, like
``follow``.

Nothing here submits: the only call is that of the history.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.answers import RequestState
from airflow_provider_segmind.api.call import Call, Rank, Turn
from airflow_provider_segmind.api.history import HistoryEntry, HistoryPage, merge_entries
from airflow_provider_segmind.api.portable import make_portable
from airflow_provider_segmind.api.watermark import Watermark, made_at
from airflow_provider_segmind.exceptions import SegmindError

MOST_PAGES = 100
"""Of one look: 10,000 rows."""

LATEST_ROW = 7200.0
"""
Seconds after a request was made within which its row may appear. Segmind does not say whether it comes at once or
with the output. The slowest models take a quarter of an hour on average.
"""

LONGEST_RUN = 86_400.0
"""
Seconds for which an unfinished request is waited for. One that is older is forgotten: it cannot end any more.
"""

UNKNOWN_CLOCK = 86_400.0
"""Seconds by which Segmind's clock may be behind, where the history has no row that shows it."""

LONGEST_QUEUE = 600.0
"""Seconds for which a call waits for its turn. Calls for tasks go first."""

MOST_URL_CHARACTERS = 16 * 1024
"""Of the outputs of one request, in an event that goes to Airflow's database."""

_ENDED = (RequestState.COMPLETED, RequestState.FAILED)


@dataclass(frozen=True)
class Watched:
    """
    Which requests are reported.

    :param states: ``COMPLETED``, ``FAILED`` or both.
    :param model: The slug of their model; None for any.
    """

    states: tuple[str, ...]
    model: str | None = None

    def wants(self, entry: HistoryEntry) -> bool:
        """Whether a request is one of them, and has ended."""
        return entry.state in self.states and self.model in (None, entry.model)


@dataclass(frozen=True)
class Look:
    """
    What a look has seen.

    :param entries: One for each request, without what is large.
    :param is_whole: Whether it has read all requests that are not settled.
    :param last_read: If there were too many: when the oldest one that was read was made, in seconds since the
        epoch.
    :param trouble: Why it broke off, if it did.
    :param unreadable: Rows that do not say which request they are about.
    """

    entries: tuple[HistoryEntry, ...]
    is_whole: bool
    last_read: float | None = None
    trouble: SegmindError | None = None
    unreadable: int = 0

    def wanted(self, watched: Watched, mark: Watermark, now: float) -> list[HistoryEntry]:
        """Return what is to be reported, the oldest first."""
        found = [each for each in self.entries if watched.wants(each) and not mark.is_settled(each, now)]
        return sorted(found, key=lambda each: made_at(each, now) or now)

    def settled_before(self, now: float) -> float | None:
        """
        Return the moment before which no request is to be expected any more; None if no row says when it was made.

        By Segmind's clock, as the newest row shows it: it may be behind, or mean another time zone.
        """
        made = [moment for moment in (made_at(each, now) for each in self.entries) if moment is not None]
        if not made:
            return None
        newest = min(max(made), now)
        return min(newest - LATEST_ROW, self.open_since(now, newest - LONGEST_RUN))

    def open_since(self, now: float, earliest: float = -math.inf) -> float:
        """Return when the oldest unfinished request was made; infinity if there is none."""
        moments = (made_at(each, now) for each in self.entries if each.state not in _ENDED)
        return min((moment for moment in moments if moment is not None and moment >= earliest), default=math.inf)


def first_watermark(look: Look, watched: Watched, now: float) -> Watermark:
    """Return the watermark of a watch that begins: what has ended by now is not reported."""
    moment = look.settled_before(now)
    mark = Watermark(now - UNKNOWN_CLOCK if moment is None else moment)
    ended = [each for each in look.entries if watched.wants(each) and not mark.is_settled(each, now)]
    return mark.with_settled(ended, now).advanced(mark.settled_before, now)


def look_at_history(
    watched: Watched, mark: Watermark | None, clock: Callable[[], float], open_since: float | None = None
) -> Generator[Call[Any], Any, Look]:
    """
    Read the history, the newest requests first, as far back as needed.

    :param mark: What was reported; None if the watch begins.
    :param clock: Seconds since the epoch.
    :param open_since: When the oldest request was made that was unfinished at the last look. A page that has
        nothing new, and all of these before it, is the last one then. None reads all that is not settled.
    """
    now = clock()
    entries: list[HistoryEntry] = []
    unreadable = 0
    oldest, back_to = math.inf, -math.inf if mark is None else mark.settled_before
    for number in range(1, MOST_PAGES + 1):
        try:
            page: HistoryPage = yield _page(watched, mark, now, number, clock() + LONGEST_QUEUE)
        except SegmindError as trouble:
            return Look(merge_entries(entries), is_whole=False, trouble=trouble, unreadable=unreadable)
        read = [_without_what_is_large(each) for each in page.entries]
        entries += read
        unreadable += page.unreadable
        moments = page.newest_first()
        oldest = moments[-1].timestamp() if moments else math.inf
        if mark is None and number == 1:
            back_to = first_watermark(Look(tuple(read), is_whole=False), watched, now).settled_before
        is_whole = page.rows < calls.MOST_ROWS or oldest < back_to
        quiet = open_since is not None and mark is not None and _has_no_news(read, watched, mark, now)
        if is_whole or (quiet and (open_since == math.inf or oldest < (open_since or 0))):
            return Look(merge_entries(entries), is_whole=is_whole, unreadable=unreadable)
    return Look(merge_entries(entries), is_whole=False, last_read=min(oldest, now), unreadable=unreadable)


def report_of(entry: HistoryEntry) -> dict[str, Any]:
    """Return the event of a request: plain JSON, without its parameters."""
    urls: list[str] = []
    left = MOST_URL_CHARACTERS
    for url in entry.output_urls:
        left -= len(url)
        if left >= 0:
            urls.append(url)
    report: dict[str, Any] = make_portable(
        {
            "request_id": entry.request_id,
            "model": entry.model,
            "state": entry.state,
            "cost": entry.cost,
            "created_at": None if entry.created_at is None else entry.created_at.isoformat(),
            "output_urls": urls,
            "output_count": len(entry.output_urls),
        }
    )
    return report


def _page(
    watched: Watched, mark: Watermark | None, now: float, number: int, not_after: float
) -> Call[HistoryPage]:
    last_day = (datetime.fromtimestamp(now, UTC) + timedelta(days=1)).date()
    begin = datetime.fromtimestamp(min(mark.settled_before, now) if mark else now - UNKNOWN_CLOCK, UTC)
    first_day = max((begin - timedelta(days=1)).date(), last_day - timedelta(days=calls.LONGEST_WINDOW_DAYS))
    return calls.newest_history(
        model=watched.model,
        from_date=first_day,
        to_date=last_day,
        page=number,
        turn=Turn(not_after, Rank.POLL, lambda _: -1.0),  # after the polls of all tasks
    )


def _has_no_news(read: Iterable[HistoryEntry], watched: Watched, mark: Watermark, now: float) -> bool:
    return all(mark.is_settled(each, now) for each in read if watched.wants(each))


def _without_what_is_large(entry: HistoryEntry) -> HistoryEntry:
    return replace(entry, parameters=None, error=None, row={})
