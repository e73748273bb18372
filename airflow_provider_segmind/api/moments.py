"""Points in time, in whatever form Segmind writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pendulum

_EPOCH_MILLISECONDS_FROM = 1e11


def read_moment(text: str) -> datetime | None:
    """
    Return the moment that a text stands for, in UTC; None if it stands for none.

    Segmind documents no format, so ISO 8601, RFC 1123, and epoch seconds or milliseconds are read. A moment
    without a time zone is in UTC.
    """
    text = text.strip()
    for read in (_epoch, _iso_8601, _rfc_1123):
        try:
            moment = read(text)
        except (ValueError, TypeError, OverflowError, OSError, IndexError):
            continue
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return None


def _epoch(text: str) -> datetime:
    number = float(text)
    return datetime.fromtimestamp(number / 1000 if number >= _EPOCH_MILLISECONDS_FROM else number, UTC)


def _iso_8601(text: str) -> datetime:
    moment = pendulum.parse(text, strict=True)
    if not isinstance(moment, datetime):
        raise ValueError(f"{text!r} is no moment in time")
    return moment


def _rfc_1123(text: str) -> datetime:
    return parsedate_to_datetime(text)
