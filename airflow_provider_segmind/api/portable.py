"""JSON that every store on its way can hold."""

from __future__ import annotations

import math
import re
from typing import Any

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_LARGEST = 2**64 - 1
_SMALLEST = -(2**63)


def portable(value: Any) -> Any:
    """
    Return a parsed JSON document without what a message queue or a database would choke on.

    A result crosses from the triggerer to a worker as msgpack and lies in a database between: integers beyond
    64 bits become strings, numbers that are none become null, and half characters and NUL become U+FFFD.
    """
    if isinstance(value, dict):
        return {portable(name): portable(part) for name, part in value.items()}
    if isinstance(value, list):
        return [portable(part) for part in value]
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and not _SMALLEST <= value <= _LARGEST:
        return str(value)
    return value
