"""The end of a log file, as a person would want to read it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_MOST_LINES = 15
_WIDEST = 400


def last_lines(log: Path) -> list[str]:
    """Return the last lines of a log file; those that are JSON, as Airflow's task logs are, in short."""
    lines = [_short(line) for line in log.read_text(errors="replace").splitlines()]
    return [line[:_WIDEST] for line in lines if line][-_MOST_LINES:]


def _short(line: str) -> str:
    try:
        record = json.loads(line)
    except ValueError:
        return line
    if not isinstance(record, dict) or "event" not in record:
        return line
    event = str(record["event"])
    if event.startswith("::"):  # only structures the log for Airflow's UI
        return ""
    return " ".join((str(record.get("level", "")), event, *_causes(record)))


def _causes(record: dict[str, Any]) -> list[str]:
    return [f"({each.get('exc_type')}: {each.get('exc_value')})" for each in record.get("error_detail") or ()]
