"""
What a terminal gets, as text: tables, or JSON.

Texts come from hosts. In a table each is one line without control characters, which could steer the terminal. JSON
escapes whatever is not ASCII.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow_provider_segmind.api.text import one_line

_LONGEST_CELL = 100
_LONGEST_VALUE = 2000


def json_text(document: Any) -> str:
    """Return a document as JSON."""
    return f"{json.dumps(document, indent=2, default=_plain)}\n"


def table_text(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return rows, one a line, below the names of their columns."""
    lines = [names, *([_cell(value, _LONGEST_CELL) for value in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "".join(f"{'  '.join(cells).rstrip()}\n" for cells in padded)


def fields_text(fields: Mapping[str, Any]) -> str:
    """Return the fields of one thing, one a line, without those that say nothing."""
    width = max(map(len, fields), default=0)
    lines = []
    for name, value in fields.items():
        if value not in (None, "", [], {}, ()):
            for part in value if isinstance(value, (list, tuple)) else [value]:
                lines.append(f"{name.ljust(width)}  {_cell(part, _LONGEST_VALUE)}\n")
    return "".join(lines)


def _cell(value: Any, limit: int) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, datetime):
        return _plain(value)
    return one_line(value if isinstance(value, str) else json.dumps(value, default=_plain), limit)


def _plain(value: Any) -> str:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else str(value)
