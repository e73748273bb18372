"""The search for an unresolved submit in Segmind's lists. No I/O: it yields calls and waits, like ``follow``."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.answers import RequestState
from airflow_provider_segmind.api.call import Call, Rank, Turn
from airflow_provider_segmind.api.follow import Wait
from airflow_provider_segmind.api.history import HistoryEntry, HistoryPage
from airflow_provider_segmind.api.request_ids import canonical_id
from airflow_provider_segmind.api.sent_inputs import Likeness
from airflow_provider_segmind.api.unresolved_submit import UnresolvedSubmit
from airflow_provider_segmind.exceptions import (
    PASSING_TROUBLE,
    RateLimitedError,
    RefusedError,
    RequestExpiredError,
    SegmindError,
    UnreadableResponseError,
    UntrustedCertificateError,
)

FIRST_PAUSE = 5.0
"""Seconds between the first look and the second. Each pause is twice the one before, up to LONGEST_PAUSE."""

LONGEST_PAUSE = 30.0
"""Seconds; in a long search, a quarter of the time that it has taken so far."""

LONGEST_SEARCH_QUEUE = 600.0
"""Seconds after the deadline in which the history may still be read, if the key's budget is short until then."""

MOST_PAGES = 10
MOST_CONFIRMED = 20
"""Requests that match equally well. With more of them, the search could not choose one either."""

MOST_ASKED = 200
"""Requests that are asked for one by one, to find those that teammates have not submitted."""

_LASTING = (RefusedError, UntrustedCertificateError)
"""Trouble that no second look can end."""


class Confidence(StrEnum):
    """How sure it is that a request in the lists is the one that a submit has made."""

    CERTAIN = "certain"
    """All inputs are the same, and it was accepted when the submit was under way."""
    LIKELY = "likely"
    """One of both is known only in part: a row may show less than was sent, or when it was written."""
    DOUBTFUL = "doubtful"
    """Both are. It is reason enough not to submit again, but not to take it."""

    @property
    def reason(self) -> str:
        """Why a request in the history is taken for that of a submit."""
        if self is Confidence.CERTAIN:
            return "its inputs and its time are the same"
        return "what the history shows of its inputs and of its time fits, and no other request does"


@dataclass(frozen=True)
class HistoryMatches:
    """
    The requests in Segmind's lists that match an unresolved submit.

    :param request_ids: Of all that match equally well, oldest first. More than one if others submitted the same.
    :param trouble: Why the lists could not be read, if so. Without trouble and ids, Segmind has no such request.
    :param confidence: How sure it is of each that it is the one.
    """

    request_ids: tuple[str, ...] = ()
    trouble: SegmindError | None = None
    confidence: Confidence = Confidence.CERTAIN


def search_history(
    submit: UnresolvedSubmit, now: Callable[[], float]
) -> Generator[Call[Any] | Wait, Any, HistoryMatches]:
    """
    Look for an unresolved submit in the request history and in the list of generations.

    It ends as soon as a row is certainly that of the submit. What is only likely is returned at ``search_until``:
    until then, a better match may come, or a second one that shows how little the first one says. Failed requests
    do not count: they are not charged, so a new submit costs no more. A history that could not be read because of
    the key's rate limit is read after ``search_until``, too.

    :param now: The clock: seconds since the epoch.
    """
    if submit.search_from > now():
        yield Wait(submit.search_from - now())
    last_turn = max(submit.search_until, now()) + LONGEST_SEARCH_QUEUE
    looking = _Search(submit, Turn(last_turn, Rank.SUBMIT))
    started, pause = now(), FIRST_PAUSE
    while True:
        is_last = now() >= submit.search_until
        try:
            matches = yield from looking.look(is_last=is_last)
        except SegmindError as trouble:
            matches = HistoryMatches(trouble=trouble)
        limited = isinstance(matches.trouble, RateLimitedError)
        remaining = (last_turn if limited else submit.search_until) - now()
        # A look that began too early to be the last one did not count what is only likely, however long it took.
        is_over = is_last and remaining <= 0
        if matches.request_ids or is_over or isinstance(matches.trouble, _LASTING):
            return matches
        remark = f"Will read the request history again: {matches.trouble.facts}." if matches.trouble else ""
        yield Wait(max(min(pause, remaining), 0), remark, seen="no matching request")
        pause = min(2 * pause, max(LONGEST_PAUSE, (now() - started) / 4))


@dataclass(frozen=True)
class _Candidate:
    """
    What is kept of a row that may be of a submit: its inputs may be large, and a search sees a thousand rows.

    :param confidence: None if its inputs, or its time, cannot be read.
    """

    request_id: str
    created_at: datetime | None
    confidence: Confidence | None


@dataclass
class _Rows:
    """
    What one look has seen.

    :param possible: Rows that may be of the submit, by their ids.
    :param others: Ids of requests that are certainly others.
    :param gaps: Why the history was not read as a whole, if it was not.
    """

    possible: dict[str, _Candidate] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)
    gaps: str = ""

    def with_confidence(self, confidence: Confidence) -> list[_Candidate]:
        found = [each for each in self.possible.values() if each.confidence is confidence]
        return sorted(found, key=lambda each: (each.created_at is None, str(each.created_at), each.request_id))


class _Search:
    """One search, look by look."""

    def __init__(self, submit: UnresolvedSubmit, turn: Turn) -> None:
        self._submit = submit
        self._sent = submit.sent
        self._turn = turn
        self._ignored = {canonical_id(request_id) for request_id in submit.ignored_ids}
        self._own: set[str] = set()

    def look(self, *, is_last: bool) -> Generator[Call[Any], Any, HistoryMatches]:
        """
        Read the lists once.

        :param is_last: Whether no later look can tell more.
        """
        rows = yield from self._read_history()
        certain = yield from self._confirm(rows, Confidence.CERTAIN)
        if certain:
            return HistoryMatches(certain)
        yield from self._read_generations(rows)
        certain = yield from self._confirm(rows, Confidence.CERTAIN)
        if certain:
            return HistoryMatches(certain)
        trouble = _trouble(rows, self._submit.model)
        if trouble:
            raise UnreadableResponseError(trouble)
        for confidence in (Confidence.LIKELY, Confidence.DOUBTFUL) if is_last else ():
            found = yield from self._confirm(rows, confidence)
            if found:
                return HistoryMatches(found, confidence=confidence)
        return HistoryMatches()

    def _read_history(self) -> Generator[Call[Any], Any, _Rows]:
        """Return what may be the submit, in the history of its days."""
        earliest, latest = self._submit.earliest(), self._submit.last()
        rows = _Rows()
        requests = unreadable = 0
        for number in range(1, MOST_PAGES + 1):
            page: HistoryPage = yield calls.newest_history(
                model=self._submit.model,
                from_date=(earliest - timedelta(days=1)).date(),
                to_date=(latest + timedelta(days=1)).date(),
                page=number,
                turn=self._turn,
            )
            self._sort(page.entries, rows)
            requests += len(page.entries)
            unreadable += page.unreadable
            if page.rows < calls.MOST_ROWS or _nothing_since(earliest, page):
                rows.gaps = f"{unreadable} rows of it cannot be read" if unreadable else ""
                return rows
        rows.gaps = f"it has more than {requests} requests of those days"
        return rows

    def _read_generations(self, rows: _Rows) -> Generator[Call[Any], Any, None]:
        """
        Add what the list of generations has: it may show a request that the history does not show yet.

        It has no failures, and its rows are incomplete at first. So what the history says of a request counts
        more, and a list that cannot be read at all is done without.
        """
        earliest, latest = self._submit.earliest(), self._submit.last()
        seen: set[str] = set()
        for number in range(1, MOST_PAGES + 1):
            try:
                page: HistoryPage = yield calls.generations(
                    model=self._submit.model,
                    start_date=(earliest - timedelta(days=1)).date(),
                    end_date=(latest + timedelta(days=1)).date(),
                    page=number,
                    turn=self._turn,
                )
            except SegmindError as error:
                if isinstance(error, PASSING_TROUBLE) and not isinstance(error, UnreadableResponseError):
                    raise
                return
            self._sort(page.entries, rows)
            ids = {canonical_id(entry.request_id) for entry in page.entries}
            if ids <= seen or _nothing_since(earliest, page):
                return
            seen |= ids

    def _sort(self, entries: Iterable[HistoryEntry], rows: _Rows) -> None:
        for entry in entries:
            key = canonical_id(entry.request_id)
            if key in rows.others or (key in rows.possible and rows.possible[key].confidence is not None):
                continue
            is_other = self._is_other(entry, key)
            likeness = None if is_other else self._likeness(entry)  # it takes long, for a thousand rows
            if is_other or likeness is Likeness.OTHER:
                rows.others.add(key)
                rows.possible.pop(key, None)
                continue
            confidence = self._confidence(entry, likeness)
            rows.possible[key] = _Candidate(entry.request_id, entry.created_at, confidence)

    def _likeness(self, entry: HistoryEntry) -> Likeness | None:
        """Return how alike the inputs of a row are to those of the submit; None if they cannot be read."""
        if entry.parameters is None:
            return None
        return self._sent.compare(self._submit.model, entry.parameters)

    def _is_other(self, entry: HistoryEntry, key: str) -> bool:
        """Whether a row is certainly not of the submit, whatever its inputs are."""
        if entry.model not in (
            self._submit.model,
            "",
        ):  # the list is of this model, so that a row need not name it
            return True
        if entry.state == RequestState.FAILED or key in self._ignored:
            return True
        return entry.created_at is not None and not self._is_of_its_time(entry)

    def _is_of_its_time(self, entry: HistoryEntry) -> bool:
        """Whether a request was accepted when the submit was under way, or may have been."""
        return any(map(self._submit.may_be_of, _moments(entry)))

    def _confidence(self, entry: HistoryEntry, likeness: Likeness | None) -> Confidence | None:
        if entry.created_at is None or likeness is None:
            return None
        in_time, same = self._submit.may_be_of(entry.created_at), likeness is Likeness.SAME
        if in_time and same:
            return Confidence.CERTAIN
        return Confidence.LIKELY if in_time or same else Confidence.DOUBTFUL

    def _confirm(self, rows: _Rows, confidence: Confidence) -> Generator[Call[Any], Any, tuple[str, ...]]:
        """
        Return those of a confidence that the account itself submitted.

        The lists of a team have the requests of all its members; the history knows a single one only to the member
        who submitted it.
        """
        confirmed: list[str] = []
        for number, candidate in enumerate(rows.with_confidence(confidence)):
            if len(confirmed) == MOST_CONFIRMED:
                break
            if number == MOST_ASKED:
                raise UnreadableResponseError(f"more than {number} requests of the team may be the one")
            key = canonical_id(candidate.request_id)
            if key not in self._own:
                try:
                    yield calls.history_entry(candidate.request_id, self._turn)
                except RequestExpiredError:
                    continue
                except (UnreadableResponseError, RefusedError):
                    pass  # this says nothing about whose it is
                self._own.add(key)
            confirmed.append(candidate.request_id)
        return tuple(confirmed)


def _moments(entry: HistoryEntry) -> list[datetime]:
    """
    Return when a request may have been accepted, by its row.

    What a row calls its creation may be that of the request, or that of the row, which may come with the output.
    """
    if entry.created_at is None:
        return []
    if entry.latency is None:
        return [entry.created_at]
    return [entry.created_at, entry.created_at - timedelta(seconds=entry.latency)]


def _trouble(rows: _Rows, model: str) -> str:
    """Return why the submit may be in the lists, though no row shows it; empty if it is not there."""
    if rows.gaps:
        return rows.gaps
    unreadable = sum(row.confidence is None for row in rows.possible.values())
    if not unreadable:
        return ""
    return f"{unreadable} requests to {model} in the history have inputs or a time that cannot be read"


def _nothing_since(moment: datetime, page: HistoryPage) -> bool:
    """Whether a page, and so all that follow it, has only older requests: if it is sorted as was asked for."""
    moments = page.newest_first()
    return bool(moments) and moments[0] < moment
