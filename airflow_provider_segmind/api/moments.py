"""Points in time, in whatever form Segmind writes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pendulum

_LONGEST = 64
"""Characters of a text that may be a moment."""

_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
_LAST = datetime(2100, 1, 1, tzinfo=UTC)
"""Moments outside of these are misread numbers, or placeholders such as the year 1, which overflow in sums."""

_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_UNITS = (1, 1_000, 1_000_000, 1_000_000_000)
"""Of an epoch, in a second: which one is meant shows in the size of the number."""

_DATE_AND_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}[0-9:.,+-]*")
_ZONE = re.compile(r" ?(?:UTC|GMT|[zZ])\Z")
_RFC_1123 = re.compile(
    r"(?:[A-Za-z]{3}, )?[0-9]{1,2} [A-Za-z]{3} 20[0-9]{2} [0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?: .*)?"
)


def utc(seconds: float) -> str:
    """
    Return a moment for a log, to the second: ISO 8601, in UTC.

    :param seconds: Since the epoch; of any size, because a log must not fail a task.
    """
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return "a moment beyond the calendar"


def read_moment(value: object) -> datetime | None:
    """
    Return the moment that a value stands for, in UTC; None if it stands for none between 2000 and 2100.

    Segmind documents no format, so ISO 8601, RFC 1123, and epochs in seconds or smaller units are read. A moment
    without a time zone is in UTC. A date alone, a duration, a period and a week are not moments.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    # Python refuses to write out an int of thousands of digits.
    text = value.strip() if isinstance(value, str) and len(value) <= 4 * _LONGEST else None
    if isinstance(value, (int, float)) and 0 <= value < 1e19:
        text = format(value, "f") if isinstance(value, float) else str(value)
    if not text or len(text) > _LONGEST:
        return None
    for read in (_epoch, _iso_8601, _rfc_1123):
        try:
            moment = read(text)
            if moment is not None:
                moment = _in_utc(moment)
        except (ValueError, TypeError, OverflowError, OSError, IndexError, AttributeError):
            continue
        if moment is not None:
            return moment if _FIRST <= moment < _LAST else None
    return None


def _in_utc(moment: datetime) -> datetime:
    """
    Return the moment as a plain ``datetime``.

    One of pendulum would lose its time zone in sums, unless the zone is one of pendulum, too.
    """
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return datetime.combine(moment.date(), moment.time(), UTC)


def _epoch(text: str) -> datetime | None:
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    for unit in _UNITS:
        if _FIRST.timestamp() <= number / unit < _LAST.timestamp():
            return datetime.fromtimestamp(number / unit, UTC)
    return None


def _iso_8601(text: str) -> datetime | None:
    text = _ZONE.sub("+00:00", text.upper())
    moment = pendulum.parse(text) if _DATE_AND_TIME.fullmatch(text) else None
    return moment if isinstance(moment, datetime) else None


def _rfc_1123(text: str) -> datetime | None:
    return parsedate_to_datetime(text) if _RFC_1123.fullmatch(text) else None
