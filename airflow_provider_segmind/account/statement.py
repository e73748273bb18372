"""What an account has spent and made on some days: its balance, and its requests from Segmind's history."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.answers import Credits
from airflow_provider_segmind.api.call import Call, Rank, Turn
from airflow_provider_segmind.api.history import HistoryEntry, merge_entries
from airflow_provider_segmind.api.request_ids import read_request_id
from airflow_provider_segmind.api.values import read_number
from airflow_provider_segmind.api.web_address import is_web_address
from airflow_provider_segmind.exceptions import SegmindError
from airflow_provider_segmind.hooks.segmind import SegmindHook

T = TypeVar("T")

MOST_PAGES = 10
"""Of the history, with 100 rows each. So a statement takes 11 calls at most, and 2 for most accounts."""

PATIENCE = 20.0
"""Seconds to wait for the key's turns. The rate limit is for tasks: a reader gets what could be read by then."""

SECONDS_PER_CALL = 15.0

MOST_OUTPUTS = 10
"""URLs of one request that are shown."""


@dataclass(frozen=True)
class Statement:
    """
    What is known of an account.

    :param read_at: When it was read.
    :param first_day: In UTC, as Segmind counts days.
    :param credits: The balance; None if it cannot be read.
    :param entries: The requests, the newest first as far as Segmind says when they were made.
    :param unread: Why there are older requests that were not read; None if there are none.
    :param unreadable: Rows that do not say which request they are about.
    """

    read_at: datetime
    first_day: date
    last_day: date
    credits: Credits | None
    entries: tuple[HistoryEntry, ...]
    unread: str | None = None
    unreadable: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return what a browser gets: money in USD, times in seconds, moments as ISO 8601. No parameters."""
        return {
            "read_at": self.read_at.isoformat(),
            "first_day": self.first_day.isoformat(),
            "last_day": self.last_day.isoformat(),
            "balance": None if self.credits is None else self.credits.balance,
            "requests": [_row(entry) for entry in self.entries],
            "unread": self.unread,
            "unreadable": self.unreadable,
        }


def read_statement(hook: SegmindHook, first_day: date, last_day: date) -> Statement:
    """
    Read the statement of an account: free, in up to 11 calls that take their turns in the key's budget.

    :param last_day: Included; 31 days after the first at most.
    :raises SegmindError: If not one page of the history can be read.
    """
    turn = Turn(time.time() + PATIENCE, Rank.POLL)
    pages: list[tuple[HistoryEntry, ...]] = []
    most = MOST_PAGES * calls.MOST_ROWS
    unreadable, unread = 0, f"the newest {most} rows are shown, and there may be more"
    for number in range(1, MOST_PAGES + 1):
        call = calls.newest_history(from_date=first_day, to_date=last_day, page=number)
        try:
            page = _send(hook, call, turn)
        except SegmindError as error:
            if not pages:
                raise
            unread = error.text
            break
        pages.append(page.entries)
        unreadable += page.unreadable
        if page.rows < calls.MOST_ROWS:
            unread = ""
            break
    # Rows move to the next page while somebody submits: a request may be on two.
    requests = merge_entries(entry for entries in pages for entry in entries)
    if len(requests) > most:  # a host gave more than was asked for
        unread = f"the first {most} of {len(requests)} requests are shown"
    return Statement(
        read_at=datetime.now(UTC),
        first_day=first_day,
        last_day=last_day,
        credits=_read_credits(hook, turn),
        entries=requests[:most],
        unread=unread or None,
        unreadable=unreadable,
    )


def _read_credits(hook: SegmindHook, turn: Turn) -> Credits | None:
    try:
        return _send(hook, calls.credits(), turn)
    except SegmindError:
        return None


def _send(hook: SegmindHook, call: Call[T], turn: Turn) -> T:
    """Send a call once: a reader can reload the page, and does not wait for minutes."""
    return hook.send(replace(call, turn=turn, timeout=SECONDS_PER_CALL))


def _row(entry: HistoryEntry) -> dict[str, Any]:
    return {
        "request_id": entry.request_id,
        "model": entry.model,
        "state": entry.state,
        "cost": entry.cost,
        "created_at": None if entry.created_at is None else entry.created_at.isoformat(),
        "duration": entry.latency,
        "output_urls": list(entry.output_urls[:MOST_OUTPUTS]),
        "output_count": len(entry.output_urls),
        "error": entry.error,
    }


_FIELDS = {"read_at", "first_day", "last_day", "balance", "requests", "unread", "unreadable"}
_FIELDS_OF_A_ROW = _row(HistoryEntry("", "", "")).keys()


def is_statement(document: dict[str, Any], first_day: date, last_day: date) -> bool:
    """Tell whether ``Statement.as_json`` can have returned this for a period."""
    try:
        return (
            document.keys() == _FIELDS
            and (document["first_day"], document["last_day"]) == (first_day.isoformat(), last_day.isoformat())
            and _is_moment(document["read_at"])
            and _is_number_or_none(document["balance"])
            and isinstance(document["unread"], (str, type(None)))
            and type(document["unreadable"]) is int
            and _is_list(document["requests"], MOST_PAGES * calls.MOST_ROWS)
            and all(_is_row(row) for row in document["requests"])
        )
    except (TypeError, AttributeError, ValueError):
        return False


def _is_row(row: dict[str, Any]) -> bool:
    return (
        row.keys() == _FIELDS_OF_A_ROW
        and read_request_id(row["request_id"]) is not None
        and isinstance(row["model"], str)
        and isinstance(row["state"], str)
        and _is_number_or_none(row["cost"])
        and (row["created_at"] is None or _is_moment(row["created_at"]))
        and _is_number_or_none(row["duration"])
        and _is_list(row["output_urls"], MOST_OUTPUTS)
        and all(map(is_web_address, row["output_urls"]))
        and type(row["output_count"]) is int
        and isinstance(row["error"], (str, type(None)))
    )


def _is_list(value: object, most: int) -> bool:
    return isinstance(value, list) and len(value) <= most


def _is_moment(value: str) -> bool:
    return datetime.fromisoformat(value).tzinfo is not None


def _is_number_or_none(value: object) -> bool:
    return value is None or (not isinstance(value, str) and read_number(value) is not None)
