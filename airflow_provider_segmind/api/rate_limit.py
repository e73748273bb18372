"""When a rate-limited key may ask again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from airflow_provider_segmind.api.moments import read_moment

RESET_HEADER = "x-rate-limit-reset-at-utc"
LONGEST_WAIT = timedelta(hours=1)
"""A reset further away than this is taken for a misread number: limits are per minute."""

FIRST_PAUSE = 5.0
LONGEST_PAUSE = 60.0


def backoff(refusals: int) -> float:
    """
    Return the seconds to leave a key alone after a 429 that does not say when it ends: 5, doubled up to a minute.

    :param refusals: How many 429s came before it without an answer in between.
    """
    return float(min(FIRST_PAUSE * 2 ** min(refusals, 10), LONGEST_PAUSE))


def reset_moment(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """
    Return the moment, in UTC, from which a rate-limited key may ask again; None if the answer does not say.

    ``x-rate-limit-reset-at-utc`` is documented without a format, so ISO 8601, RFC 1123, and epoch seconds or
    milliseconds are all read. ``Retry-After`` is not documented, and honoured if it comes.

    :param headers: Of the answer, with lower-case names.
    :param now: The current time, with a time zone.
    """
    moment = read_moment(headers.get(RESET_HEADER, ""))
    if moment is None:
        moment = _retry_after(headers.get("retry-after", ""), now)
    if moment is None or moment - now > LONGEST_WAIT:
        return None
    return max(moment, now)


def _retry_after(text: str, now: datetime) -> datetime | None:
    try:
        return now + timedelta(seconds=max(0.0, float(text)))
    except (ValueError, OverflowError):
        return read_moment(text)
