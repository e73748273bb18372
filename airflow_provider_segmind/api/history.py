"""The request history: its rows as frozen values, and how to read them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

from airflow_provider_segmind.api.documents import Allowance, read_text, weigh
from airflow_provider_segmind.api.errors import error_text
from airflow_provider_segmind.api.literals import read_literal
from airflow_provider_segmind.api.moments import read_moment
from airflow_provider_segmind.api.request_ids import canonical_id, read_request_id
from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.api.values import read_number, read_state
from airflow_provider_segmind.api.web_address import is_web_address

Json = dict[str, Any]

MOST_OUTPUTS = 100
"""Of one request."""

MOST_ROWS_READ = 1000
"""Of one page. Segmind gives 100 at most."""

LONGEST_LATENCY = 86_400_000.0
"""Milliseconds that a row may say a request has taken: a day. The slowest models take minutes."""

LONGEST_FIELD = 8192
LARGEST_ROW = 64 * 1024
"""Characters of JSON that are kept of a field, and of a row: a search holds the rows of ten pages."""

INPUTS_WEIGHT = 50_000
"""Of the inputs of all requests of a page: a search compares them with its own, for which this takes 50 ms."""

_MOST_FIELDS = 100
_LONGEST_NAME = 200
_MAY_BE_JSON = re.compile(r'\s*\{\s*["}]')


@dataclass(frozen=True)
class HistoryEntry:
    """
    One request in the account's history.

    :param model: Empty if the row does not say.
    :param state: ``COMPLETED``, ``FAILED`` or ``PENDING``.
    :param cost: What it cost, in USD; None if the row does not say.
    :param parameters: The inputs as sent; None if Segmind's copy of them cannot be read.
    :param output_urls: One for each output.
    :param created_at: When it was submitted; None if that cannot be read (Segmind does not document the name).
    :param latency: Seconds from its submission to its end; None if the row does not say.
    :param row: The first row about this request as it came, for what is not named here. Fields of more than 8,192
        characters are left out.
    """

    request_id: str
    model: str
    state: str
    cost: float | None = None
    parameters: Json | None = None
    output_urls: tuple[str, ...] = ()
    error: str | None = None
    created_at: datetime | None = None
    latency: float | None = None
    row: Json = field(default_factory=dict)


@dataclass(frozen=True)
class HistoryPage:
    """
    One page of history.

    :param entries: One for each request, though Segmind has a row for each output.
    :param rows: How many rows the page had; fewer than asked for means that it was the last.
    :param unreadable: How many of them do not say which request they are about, or cannot be read.
    """

    entries: tuple[HistoryEntry, ...]
    rows: int
    unreadable: int = 0

    def newest_first(self) -> list[datetime]:
        """Return when its requests were made; nothing if one does not say, or they are sorted in another way."""
        moments = [entry.created_at for entry in self.entries if entry.created_at is not None]
        is_sorted = all(later >= earlier for later, earlier in pairwise(moments))
        return moments if is_sorted and len(moments) == len(self.entries) else []


def read_entry(row: object, allowance: Allowance | None = None) -> HistoryEntry | None:
    """
    Return what a row says; None if it does not say which request of which model it is about.

    :param allowance: How much may be read of its inputs, and of those of other rows; by default ``INPUTS_WEIGHT``.
    """
    if not isinstance(row, dict):
        return None
    request_id, model = read_request_id(row.get("request_id")), row.get("model_name")
    if request_id is None or not isinstance(model, (str, type(None))):
        return None
    return HistoryEntry(
        request_id=request_id,
        model=one_line(model or "", _LONGEST_NAME),
        state=read_state(row.get("model_status")) or read_state(row.get("status")),
        cost=read_number(row.get("credits_deduction")),
        parameters=_read_inputs(
            row.get("request_body", row.get("parameters")), allowance or Allowance(INPUTS_WEIGHT)
        ),
        output_urls=_read_urls(row.get("generation_url")),
        error=error_text({"error": row.get("error"), "error_message": row.get("error_message")}) or None,
        created_at=_read_created_at(row),
        latency=_read_latency(row.get("latency_ms")),
        row=_first_fields(row),
    )


def read_page(rows: list[Any]) -> HistoryPage:
    """Return what a page of rows says, with one entry for each request."""
    allowance = Allowance(INPUTS_WEIGHT)
    read = [read_entry(row, allowance) for row in rows[:MOST_ROWS_READ]]
    entries = merge_entries(filter(None, read))
    return HistoryPage(
        tuple(replace(entry, output_urls=entry.output_urls[:MOST_OUTPUTS]) for entry in entries),
        rows=len(rows),
        unreadable=len(rows) - len(read) + read.count(None),
    )


def merge_entries(entries: Iterable[HistoryEntry]) -> tuple[HistoryEntry, ...]:
    """
    Return the first entry of each request, with the outputs of all of them.

    A request with several outputs has a row for each, and each row has the whole cost.
    """
    first: dict[str, HistoryEntry] = {}
    urls: dict[str, dict[str, None]] = {}
    for entry in entries:
        key = canonical_id(entry.request_id)
        first.setdefault(key, entry)
        urls.setdefault(key, {}).update(dict.fromkeys(entry.output_urls))
    return tuple(replace(entry, output_urls=tuple(urls[key])) for key, entry in first.items())


def _read_urls(value: object) -> tuple[str, ...]:
    return _distinct(filter(is_web_address, value[:MOST_OUTPUTS] if isinstance(value, list) else [value]))


def _distinct(urls: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(urls))[:MOST_OUTPUTS]


def _read_created_at(row: Json) -> datetime | None:
    """Read when a request was submitted: ``model_created`` is a sort key, other names are guesses."""
    names = ("model_created", "created_at", *(name for name in row if "creat" in name.lower()))
    moments = (read_moment(row.get(name)) for name in names)
    return next((moment for moment in moments if moment is not None), None)


def _read_latency(value: object) -> float | None:
    milliseconds = read_number(value, 0, LONGEST_LATENCY)
    return None if milliseconds is None else milliseconds / 1000


def _read_inputs(text: object, allowance: Allowance) -> Json | None:
    """Read a request's inputs: JSON, or the Python literal that the official client's fixtures show."""
    if isinstance(text, dict):
        return _within_allowance(text, allowance)
    if not isinstance(text, str):
        return None
    for read in (read_text, read_literal) if _MAY_BE_JSON.match(text) else (read_literal,):
        try:
            inputs = read(text, allowance)
        except ValueError:
            continue
        if isinstance(inputs, dict):
            return inputs
    return None


def _within_allowance(inputs: Json, allowance: Allowance) -> Json | None:
    try:
        allowance.take(weigh(json.dumps(inputs), allowance.left))
    except ValueError:
        return None
    return inputs


def _first_fields(row: Json) -> Json:
    kept: Json = {}
    left = LARGEST_ROW
    for name, value in list(row.items())[:_MOST_FIELDS]:
        size = len(name) + (len(value) if isinstance(value, str) else len(json.dumps(value)))
        if size <= min(left, LONGEST_FIELD):
            kept[name] = value
            left -= size
    return kept
