"""When a rate-limited key may ask again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pendulum

RESET_HEADER = "x-rate-limit-reset-at-utc"
LONGEST_WAIT = timedelta(hours=1)
"""A reset further away than this is taken for a misread number: limits are per minute."""

_EPOCH_MILLISECONDS_FROM = 1e11


def reset_moment(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """
    Return the moment, in UTC, from which a rate-limited key may ask again; None if the answer does not say.

    ``x-rate-limit-reset-at-utc`` is documented without a format, so ISO 8601, RFC 1123, and epoch seconds or
    milliseconds are all read. ``Retry-After`` is not documented, and honoured if it comes.

    :param headers: Of the answer, with lower-case names.
    :param now: The current time, with a time zone.
    """
    moment = _moment(headers.get(RESET_HEADER, ""))
    if moment is None:
        moment = _retry_after(headers.get("retry-after", ""), now)
    if moment is None or moment - now > LONGEST_WAIT:
        return None
    return max(moment, now)


def _retry_after(text: str, now: datetime) -> datetime | None:
    try:
        return now + timedelta(seconds=max(0.0, float(text)))
    except (ValueError, OverflowError):
        return _moment(text)


def _moment(text: str) -> datetime | None:
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
