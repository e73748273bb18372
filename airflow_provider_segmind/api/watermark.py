"""
What a watch of an account has reported, so that it reports nothing twice.

The history is sorted by when requests were made, and they complete in another order. So one moment does not say
what was reported. A watermark has two parts: a moment before which everything is settled, and what was reported
since.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

from airflow_provider_segmind.api.forms import MAPPING, MOMENT, REQUEST_IDS, Form
from airflow_provider_segmind.api.history import HistoryEntry
from airflow_provider_segmind.api.request_ids import canonical_id

VERSION = 1
"""Of the form that is stored; see docs/upgrades.md."""

MARK_LENGTH = 8
"""Characters that stand for an id: 48 bits. That a new one equals one of 3,500 happens once in 10 to the 11."""

MOST_REPORTED = 3_500
MOST_UNDATED = 1_000
"""Ids that are kept. With all of them, what is stored has 64 KiB, from which on Airflow's state stores warn."""

SPAN = 60
"""Seconds of creation whose ids are stored, and forgotten, together."""

UNDATED_LIFETIME = 86_400.0
"""Seconds for which an id without a readable time is kept after it was last in the history."""

FURTHEST_FUTURE = 86_400.0
"""
Seconds by which a row may be ahead of this clock: more than any time zone. Else its time is a misread number.
"""

MOST_UNCONFIRMED = 100
"""Ids, for a log: those of the last two batches."""

_PROBLEM = "the watermark of an account cannot be read"


@dataclass(frozen=True)
class Watermark:
    """
    What was reported.

    :param settled_before: Requests that were made before this moment are never reported again. Seconds since the
        epoch, by Segmind's clock.
    :param dated: Marks of the requests that were reported, or need not be, by the start of the span in which they
        were made.
    :param undated: The same for requests whose time cannot be read, by the span in which they were seen last.
    :param unconfirmed: Ids of the requests that were handed to Airflow last. Airflow may not have stored their
        events yet.
    """

    settled_before: float
    dated: Mapping[str, int] = field(default_factory=dict)
    undated: Mapping[str, int] = field(default_factory=dict)
    unconfirmed: tuple[str, ...] = ()

    def is_settled(self, entry: HistoryEntry, now: float) -> bool:
        """Whether a request was reported, or is too old to be."""
        made = made_at(entry, now)
        if made is not None and made < self.settled_before:
            return True
        mark = mark_of(entry.request_id)
        return mark in self.dated or mark in self.undated

    def with_settled(self, entries: Iterable[HistoryEntry], now: float) -> Watermark:
        """Return it with these requests settled as well."""
        dated, undated = dict(self.dated), dict(self.undated)
        for entry in entries:
            made, mark = made_at(entry, now), mark_of(entry.request_id)
            if made is None:
                undated[mark] = _span(now)
            else:
                dated[mark] = max(_span(made), dated.get(mark, 0))
        return replace(self, dated=dated, undated=undated)

    def with_unconfirmed(self, request_ids: Iterable[str]) -> Watermark:
        """Return it with the ids of requests that are being handed to Airflow, the last ones at most."""
        return replace(self, unconfirmed=tuple(request_ids)[-MOST_UNCONFIRMED:])

    def still_listed(self, entries: Iterable[HistoryEntry], now: float) -> Watermark:
        """Return it with what the history says by now of the requests that it has: a row may get another time."""
        known = self.dated.keys() | self.undated.keys()
        return self.with_settled((each for each in entries if mark_of(each.request_id) in known), now)

    def advanced(self, settled_before: float, now: float) -> Watermark:
        """
        Return it without what needs not be kept.

        It only moves forward. If it has too many ids for that, it moves further, so that nothing comes twice:
        requests that were made before and are not done yet are given up.
        """
        moment = max(settled_before, self.settled_before)
        dated = {mark: span for mark, span in self.dated.items() if span + SPAN > moment}
        if len(dated) > MOST_REPORTED:
            latest_dropped = sorted(dated.values())[-MOST_REPORTED - 1]
            moment = max(moment, float(latest_dropped + SPAN))
            dated = {mark: span for mark, span in dated.items() if span > latest_dropped}
        listed = sorted(self.undated.items(), key=lambda each: each[1])[-MOST_UNDATED:]
        undated = {mark: span for mark, span in listed if span > now - UNDATED_LIFETIME - SPAN}
        return replace(self, settled_before=moment, dated=dated, undated=undated)

    @property
    def has_room_for_undated(self) -> bool:
        """Whether there is room for the ids of more requests without a readable time."""
        return len(self.undated) < MOST_UNDATED

    def as_json(self) -> dict[str, Any]:
        """Return what is stored: the marks of a span as one text, as there may be thousands."""
        return {
            "version": VERSION,
            "settled_before": self.settled_before,
            "dated": _by_span(self.dated),
            "undated": _by_span(self.undated),
            "unconfirmed": list(self.unconfirmed),
        }

    @classmethod
    def from_json(cls, document: object) -> Watermark:
        """
        Return what was stored.

        :raises SegmindError: If it cannot be read.
        """
        form = Form(document, _PROBLEM, VERSION)
        return cls(
            form.required("settled_before", MOMENT),
            _by_mark(form.optional("dated", MAPPING, {}), form),
            _by_mark(form.optional("undated", MAPPING, {}), form),
            form.optional("unconfirmed", REQUEST_IDS, ()),
        )


def merged(marks: Iterable[Watermark]) -> Watermark:
    """Return what at least one of them takes for reported: of two that were written at once, both may be right."""
    first, *others = marks
    for other in others:
        first = Watermark(
            max(first.settled_before, other.settled_before),
            _later(first.dated, other.dated),
            _later(first.undated, other.undated),
            tuple(dict.fromkeys((*first.unconfirmed, *other.unconfirmed)))[-MOST_UNCONFIRMED:],
        )
    return first


def made_at(entry: HistoryEntry, now: float) -> float | None:
    """Return when a request was made, in seconds since the epoch; None if its row does not say so credibly."""
    if entry.created_at is None:
        return None
    moment = entry.created_at.timestamp()
    return moment if moment <= now + FURTHEST_FUTURE else None


def mark_of(request_id: str) -> str:
    """Return the characters that stand for an id, however a host writes it."""
    digest = blake2b(canonical_id(request_id).encode(), digest_size=MARK_LENGTH * 6 // 8).digest()
    return urlsafe_b64encode(digest).decode()


def _span(moment: float) -> int:
    return int(moment // SPAN) * SPAN


def _later(some: Mapping[str, int], others: Mapping[str, int]) -> dict[str, int]:
    return {**some, **{mark: max(span, some.get(mark, 0)) for mark, span in others.items()}}


def _by_span(marks: Mapping[str, int]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for mark, span in marks.items():
        found.setdefault(str(span), []).append(mark)
    return {span: "".join(each) for span, each in sorted(found.items())}


def _by_mark(spans: Mapping[str, Any], form: Form) -> dict[str, int]:
    marks: dict[str, int] = {}
    for span, text in spans.items():
        if not span.isdecimal() or len(span) > 11 or not isinstance(text, str) or len(text) % MARK_LENGTH:
            raise form.error("its ids are damaged")
        for start in range(0, len(text), MARK_LENGTH):
            marks[text[start : start + MARK_LENGTH]] = int(span)
    return marks
