"""When a rate-limited key may ask again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from airflow_provider_segmind.api.moments import read_moment

RESET_HEADER = "x-rate-limit-reset-at-utc"
LONGEST_WAIT = timedelta(minutes=5)
"""A reset further away is taken as this: limits are per minute, so asking after a few of them costs little."""

_SECONDS = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")
_FARTHEST = 366 * 86400.0
"""Seconds. A larger ``Retry-After`` is an epoch, and a moment."""

FIRST_BACKOFF = 5.0
LONGEST_BACKOFF = 60.0


def backoff(refusals: int) -> float:
    """
    Return the seconds to leave a key alone after a 429 that does not say when it ends: 5, doubled up to a minute.

    :param refusals: How many 429s came before it without an answer in between.
    """
    return float(min(FIRST_BACKOFF * 2 ** min(refusals, 10), LONGEST_BACKOFF))


def reset_moment(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """
    Return the moment, in UTC, from which a rate-limited key may ask again; None if the answer does not say.

    ``x-rate-limit-reset-at-utc`` is documented without a format, so ISO 8601, RFC 1123, and epoch seconds or
    milliseconds are all read. ``Retry-After`` is not documented, and honoured if it comes. A reset in the past
    is now, and one further away than ``LONGEST_WAIT`` is as far away as that.

    :param headers: Of the answer, with lower-case names.
    :param now: The current time, with a time zone.
    """
    moment = read_moment(headers.get(RESET_HEADER))
    if moment is None:
        moment = _retry_after(headers.get("retry-after"), now)
    return None if moment is None else min(max(moment, now), now + LONGEST_WAIT)


def _retry_after(text: object, now: datetime) -> datetime | None:
    if not isinstance(text, str) or not _SECONDS.fullmatch(text.strip(" \t")):
        return read_moment(text)
    seconds = float(text)
    return now + timedelta(seconds=seconds) if seconds < _FARTHEST else read_moment(text)
