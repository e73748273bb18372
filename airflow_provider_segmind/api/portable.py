"""Making JSON fit for every store that it passes."""

from __future__ import annotations

import math
import re
from typing import Any

DEEPEST = 64
"""
Levels of a document. Whatever walks one by recursion, as Airflow's serialization does, needs a few of Python's
1,000 frames for each; documents of real models have about ten levels.
"""

REPLACEMENT = "\ufffd"
HALF_CHARACTER_OR_NUL = re.compile("[\0\ud800-\udfff]")
_LARGEST = 2**64 - 1
_SMALLEST = -(2**63)
_MOST_BITS = 4096


class TooDeepError(ValueError):
    """A document has more levels than ``DEEPEST``."""


def make_portable(document: Any) -> Any:
    """
    Replace, in a parsed JSON document, what a message queue or a database cannot hold; and return it.

    A result crosses from the triggerer to a worker as msgpack, by way of a database: integers beyond
    64 bits become strings, numbers that are none become null, and half characters and NUL become U+FFFD.

    :raises TooDeepError: If it has more than ``DEEPEST`` levels.
    """
    root = [document]
    # A list of what is still to do, and no recursion: a hostile document would use up the stack.
    waiting: list[tuple[list[Any] | dict[Any, Any], int]] = [(root, 0)]
    while waiting:
        container, level = waiting.pop()
        if level > DEEPEST:
            raise TooDeepError(f"it has more than {DEEPEST} levels")
        if isinstance(container, dict):
            _make_names_portable(container)
        for key, value in container.items() if isinstance(container, dict) else enumerate(container):
            if isinstance(value, (dict, list)):
                if value:
                    waiting.append((value, level + 1))
            elif not _is_portable(value):
                container[key] = _portable_value(value)
    return root[0]


def _make_names_portable(container: dict[Any, Any]) -> None:
    if not _is_portable("".join(container)):
        members = [(HALF_CHARACTER_OR_NUL.sub(REPLACEMENT, name), value) for name, value in container.items()]
        container.clear()
        container.update(members)


def _is_portable(value: Any) -> bool:
    if isinstance(value, str):
        return value.isascii() and "\0" not in value
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, int) or _SMALLEST <= value <= _LARGEST


def _portable_value(value: Any) -> Any:
    if isinstance(value, str):
        return HALF_CHARACTER_OR_NUL.sub(REPLACEMENT, value)
    if isinstance(value, int) and value.bit_length() <= _MOST_BITS:
        return str(value)
    return None
