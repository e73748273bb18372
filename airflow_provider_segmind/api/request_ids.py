"""Which texts can be the id of a request, when two ids are the same, and how a submit is called that has none."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from airflow_provider_segmind.exceptions import LONGEST_REQUEST_ID

_REQUEST_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:-]{{0,{LONGEST_REQUEST_ID - 1}}}")
_NOTHING = ("none", "null", "undefined")
"""What a template, or another program, makes of an id that is missing."""


def read_request_id(value: object) -> str | None:
    """Return the id of a request; None if this cannot be one."""
    if isinstance(value, str) and _REQUEST_ID.fullmatch(value) and value.lower() not in _NOTHING:
        return value
    return None


def canonical_id(request_id: str) -> str:
    """Return an id in the form for comparisons: Segmind's hosts differ in dashes, and maybe in case."""
    return request_id.replace("-", "").lower()


def submit_name(sent_at: float) -> str:
    """
    Return the name of a submit whose request has no id that is known: when it was sent.

    :param sent_at: In seconds since the epoch.
    """
    return datetime.fromtimestamp(sent_at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
