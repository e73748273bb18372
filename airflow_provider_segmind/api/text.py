"""Text from outside, made fit for one line of a log."""

from __future__ import annotations

import re

LONGEST_LINE = 500
"""Characters of somebody else's words that a message quotes."""

_SPACES = re.compile(r"\s+")
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
"""Control characters, which forge log lines and steer terminals; and marks that hide or reorder text."""


def one_line(text: str, limit: int = LONGEST_LINE) -> str:
    """Return a text on one line, without control characters, cut to ``limit`` characters."""
    beginning = text[: 8 * limit]  # spaces may be many; reading megabytes of them would take long
    line = _INVISIBLE.sub("\ufffd", _SPACES.sub(" ", beginning)).strip()
    return line if len(line) <= limit and len(beginning) == len(text) else line[: limit - 1] + "…"
