"""Numbers, and yes or no, as hosts, users and templates write them; and the figures and the state of a run."""

from __future__ import annotations

import math
import re
from typing import Any, SupportsFloat

from airflow_provider_segmind.api.text import one_line

FIGURES = ("cost", "remaining_credits", "inference_time", "queue_time", "total_time", "retry_count")
"""What Segmind documents, in USD and in seconds: numbers, whatever form it writes them in."""

LARGEST = 1e9
"""What a number may be at most by default: a billion dollars, or thirty years."""

MOST_FIGURES = 50
LONGEST_NAME = 64
LONGEST_WORD = 200
LONGEST_NUMBER = 64
LONGEST_STATE = 40
"""Characters of a state that this version does not know."""

_NUMBER = re.compile(r"\s{0,8}[+-]?([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})([eE][+-]?[0-9]{1,3})?\s{0,8}")
_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False}


def read_number(value: object, least: float = -LARGEST, most: float = LARGEST) -> float | None:
    """
    Return a number, or the one that a text says; None if it is none, or outside of the range.

    True and False are not numbers, and what is not finite is outside of the default range.
    """
    if isinstance(value, str):
        value = float(value) if len(value) <= LONGEST_NUMBER and _NUMBER.fullmatch(value) else None
    elif not isinstance(value, (int, float)) and isinstance(value, SupportsFloat):  # such as a Decimal
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if least <= value <= most else None


def read_flag(value: object) -> bool | None:
    """Return True or False, or what a text such as ``yes`` or ``0`` says; None if it says neither."""
    if isinstance(value, bool):
        return value
    return _FLAGS.get(str(value).strip().lower()) if isinstance(value, (str, int)) else None


def read_metrics(metrics: object) -> dict[str, Any]:
    """
    Return the figures among the metrics of an answer: numbers for the names that are documented, and small values
    of other names. They go to XCom, so that anything large or nested is left out.
    """
    if not isinstance(metrics, dict):
        return {}
    figures: dict[str, Any] = {}
    for name, value in metrics.items():
        if len(figures) == MOST_FIGURES:
            break
        if not isinstance(name, str) or len(name) > LONGEST_NAME or one_line(name) != name:
            continue
        figure = _number_as_written(value) if name in FIGURES else _small(value)
        if figure is not None:
            figures[name] = figure
    return figures


def _number_as_written(value: object) -> float | None:
    number = read_number(value)
    return value if number is not None and isinstance(value, (int, float)) else number


def _small(value: object) -> Any:
    if isinstance(value, str):
        return one_line(value, LONGEST_WORD)
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)) and math.isfinite(value) and abs(value) < 2**63:
        return value
    return None


def read_state(value: object) -> str:
    """Return a state in capitals, fit for a message; empty if this is not a text."""
    return one_line(value.strip()[:LONGEST_STATE].upper(), LONGEST_STATE) if isinstance(value, str) else ""
