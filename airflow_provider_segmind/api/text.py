"""
Text from outside, made fit for one line of a log.

Every error cleans its detail in this way, and ``exceptions`` imports nothing from here: so the code is there.
"""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_segmind.exceptions import LONGEST_LINE, one_line

__all__ = ["LONGEST_LINE", "first_names", "one_line"]

_MOST_NAMES = 10
_LONGEST_NAME = 40


def first_names(names: Iterable[str]) -> list[str]:
    """Return the first ten names, in order, fit for a message."""
    return [one_line(name, _LONGEST_NAME) for name in sorted(names)[:_MOST_NAMES]]
