"""What the URL of a file is. From where one may be fetched is in ``media_url``."""

from __future__ import annotations

import re
from typing import TypeGuard

from airflow_provider_segmind.api.text import one_line

LONGEST_ADDRESS = 8192
"""Characters. Signed addresses have some two thousand; servers stop at about eight."""

_BEGINNING = re.compile(r"https?://[^/?#]")


def is_web_address(value: object) -> TypeGuard[str]:
    """Whether this is an http(s) URL of bounded length, without spaces, control characters and invisible marks."""
    return (
        isinstance(value, str)
        and len(value) <= LONGEST_ADDRESS
        and _BEGINNING.match(value) is not None
        and " " not in value
        and "\ufffd" not in value  # what a character became that could not be read
        and one_line(value, LONGEST_ADDRESS) == value
    )
