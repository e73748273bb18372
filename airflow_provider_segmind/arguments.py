"""Reading operator arguments, which may be templates until the task runs."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_segmind.exceptions import InvalidParameterError

_TEMPLATE_MARKS = ("{{", "{%", "{#")
LONGEST_TIME = 1e9
"""Seconds, some thirty years: clocks and dates have an end, and a task would see that only after paying."""

MOST_LEVELS = 200
"""Of parameters: whatever walks them by recursion has room for about twice as many."""

_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False}


def is_literal(value: object, level: int = 0) -> bool:
    """
    Whether an argument is known when the DAG is parsed: neither a template nor another task's output.

    :raises InvalidParameterError: If it has more than 200 levels.
    """
    _check_level(level)
    if isinstance(value, str):
        return not any(mark in value for mark in _TEMPLATE_MARKS)
    if isinstance(value, dict):
        return all(is_literal(part, level + 1) for part in value.values())
    if isinstance(value, (list, tuple, set)):
        return all(is_literal(part, level + 1) for part in value)
    if isinstance(value, os.PathLike) or hasattr(value, "storage_options"):  # as any ObjectStoragePath has
        return is_literal(str(value))
    return not hasattr(value, "resolve")


def with_paths_as_text(value: Any, level: int = 0) -> Any:
    """
    Return a value with texts in place of the ``pathlib.Path`` in it: Airflow 2.11 would take one for an XCom.

    An ObjectStoragePath stays: Airflow knows it, and it has a connection.

    :raises InvalidParameterError: If it has more than 200 levels.
    """
    _check_level(level)
    if isinstance(value, os.PathLike) and not hasattr(value, "storage_options"):
        return os.fspath(value)
    if type(value) is dict:
        return {name: with_paths_as_text(part, level + 1) for name, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(with_paths_as_text(part, level + 1) for part in value)
    return value


def with_plain_collections(value: Any, level: int = 0) -> Any:
    """
    Return a value with dicts and lists in place of other collections, such as the XComs of a mapped task.

    :raises InvalidParameterError: If it has more than 200 levels.
    """
    _check_level(level)
    if isinstance(value, Mapping):
        return {name: with_plain_collections(part, level + 1) for name, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray)):
        return [with_plain_collections(part, level + 1) for part in value]
    return value


def seconds(name: str, value: Any) -> float:
    """Return a positive number of seconds, of a billion at most."""
    number = _number(value)
    if number is None or not 0 < number <= LONGEST_TIME:
        problem = f"must be a positive number of seconds, {LONGEST_TIME:,.0f} at most, not {value!r}"
        raise InvalidParameterError(name, problem)
    return number


def optional_seconds(name: str, value: Any) -> float | None:
    """Return a positive number of seconds, or None, which a template writes as ``None`` or nothing."""
    return None if value in (None, "", "None") else seconds(name, value)


def flag(name: str, value: Any) -> bool:
    """Return a yes or no, which a template writes as ``True`` or ``False``."""
    found = value if isinstance(value, bool) else _FLAGS.get(str(value).strip().lower())
    if found is None:
        raise InvalidParameterError(name, f"must be True or False, not {value!r}")
    return found


def optional_text(name: str, value: Any) -> str | None:
    """Return a text, or None, which a template writes as ``None`` or nothing."""
    if value in (None, "", "None"):
        return None
    if not isinstance(value, str):
        raise InvalidParameterError(name, f"must be a string, not {value!r}")
    return value


def amount(name: str, value: Any) -> float:
    """Return a number of USD, 0 or more."""
    number = _number(value)
    if number is None or number < 0:
        raise InvalidParameterError(name, f"must be a number of USD, 0 or more, not {value!r}")
    return number


def byte_count(name: str, value: Any) -> int:
    """Return a positive number of bytes."""
    number = _number(value)
    if number is None or number < 1 or not number.is_integer():
        raise InvalidParameterError(name, f"must be a positive number of bytes, not {value!r}")
    return int(number)


def names(name: str, value: Any) -> tuple[str, ...]:
    """Return a sequence of names."""
    found = with_plain_collections(value)
    if isinstance(found, list) and all(isinstance(each, str) and each for each in found):
        return tuple(found)
    raise InvalidParameterError(name, f"must be a list of names, not {value!r}")


def _check_level(level: int) -> None:
    if level > MOST_LEVELS:
        raise InvalidParameterError("parameters", f"must not be nested more than {MOST_LEVELS} levels deep")


def _number(value: Any) -> float | None:
    """Return a finite number, also from a text, as a template writes it."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and not isinstance(value, bool) else None
