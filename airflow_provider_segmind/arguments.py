"""Reading operator arguments, which may be templates until the task runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from airflow_provider_segmind.api.locations import check_output_path
from airflow_provider_segmind.api.request_ids import read_request_id
from airflow_provider_segmind.api.values import LARGEST, read_number
from airflow_provider_segmind.exceptions import InvalidParameterError

_TEMPLATE_MARKS = ("{{", "{%", "{#")
LONGEST_TIME = LARGEST
"""Seconds, some thirty years: clocks and dates have an end, and a task would see that only after paying."""

DEFAULT_MAX_OUTPUT_BYTES = 2 * 1024**3

MOST_LEVELS = 200
"""Of parameters: whatever walks them by recursion has room for about twice as many."""


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

    An ObjectStoragePath stays: Airflow knows it, and it has a connection. A value without any ``pathlib.Path`` is
    returned as it is, and not copied.

    :raises InvalidParameterError: If it has more than 200 levels.
    """
    _check_level(level)
    if isinstance(value, os.PathLike) and not hasattr(value, "storage_options"):
        return os.fspath(value)
    if type(value) is dict:
        texts = [with_paths_as_text(part, level + 1) for part in value.values()]
        return value if _same(texts, value.values()) else dict(zip(value, texts, strict=True))
    if type(value) in (list, tuple):
        texts = [with_paths_as_text(part, level + 1) for part in value]
        return value if _same(texts, value) else type(value)(texts)
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
    number = read_number(value, 0, LONGEST_TIME)
    if not number:
        problem = f"must be a positive number of seconds, {LONGEST_TIME:,.0f} at most, not {value!r}"
        raise InvalidParameterError(name, problem)
    return number


def optional_seconds(name: str, value: Any) -> float | None:
    """Return a positive number of seconds, or None, which a template writes as ``None`` or nothing."""
    return None if value in (None, "", "None") else seconds(name, value)


def flag(name: str, value: Any) -> bool:
    """Return True or False. Nothing else is either: the text ``"False"`` would count as True elsewhere."""
    if not isinstance(value, bool):
        raise InvalidParameterError(name, f"must be True or False, not {value!r}")
    return value


def optional_text(name: str, value: Any) -> str | None:
    """Return a text, or None, which a template writes as ``None`` or nothing."""
    if value in (None, "", "None"):
        return None
    if not isinstance(value, str):
        raise InvalidParameterError(name, f"must be a string, not {value!r}")
    return value


def names_given_up(name: str, value: Any) -> tuple[str, ...]:
    """
    Return the names of requests that are given up: one text, with commas or spaces between several names.

    :raises InvalidParameterError: If one cannot be the id of a request, or the time of a submit.
    """
    given = (optional_text(name, value) or "").replace(",", " ").split()
    for each in given:
        if read_request_id(each) is None:
            problem = f"must be the id of a request, or the time of a submit, as a message has it, not {each!r}"
            raise InvalidParameterError(name, problem)
    return tuple(given)


def optional_output_path(name: str, value: Any) -> str | None:
    """Return where an output goes, or None, which a template writes as ``None`` or nothing."""
    return None if value in (None, "", "None") else check_output_path(name, value)


def one_of(*choices: str) -> Callable[[str, Any], str]:
    """Return what checks that an argument is one of these words."""

    def check(name: str, value: Any) -> str:
        if value in choices:
            return str(value)
        raise InvalidParameterError(name, f"must be one of {choices}, not {value!r}")

    return check


existing_choice = one_of("replace", "skip", "error")
"""Checks ``if_output_exists``."""


def optional_one_of(*choices: str) -> Callable[[str, Any], str | None]:
    """Return what checks that an argument is one of these words, or None."""
    check = one_of(*choices)
    return lambda name, value: None if value is None else check(name, value)


def amount(name: str, value: Any) -> float:
    """Return a number of USD, 0 or more."""
    number = read_number(value, 0)
    if number is None:
        raise InvalidParameterError(name, f"must be a number of USD, 0 or more, not {value!r}")
    return number


def optional_amount(name: str, value: Any) -> float | None:
    """Return a number of USD, 0 or more; or None, which a template writes as ``None`` or nothing."""
    return None if value in (None, "", "None") else amount(name, value)


def byte_count(name: str, value: Any) -> int:
    """Return a positive number of bytes."""
    number = read_number(value, 1, 2**63)
    if number is None or not number.is_integer():
        raise InvalidParameterError(name, f"must be a positive number of bytes, not {value!r}")
    return int(number)


def names(name: str, value: Any) -> tuple[str, ...]:
    """Return a sequence of names."""
    found = with_plain_collections(value)
    if isinstance(found, list) and all(isinstance(each, str) and each for each in found):
        return tuple(found)
    raise InvalidParameterError(name, f"must be a list of names, not {value!r}")


def _same(these: Iterable[object], those: Iterable[object]) -> bool:
    """Whether all parts are the same objects."""
    return all(this is that for this, that in zip(these, those, strict=True))


def _check_level(level: int) -> None:
    if level > MOST_LEVELS:
        raise InvalidParameterError("parameters", f"must not be nested more than {MOST_LEVELS} levels deep")
