"""
Reading single fields of a connection.

A message says what a value is, but never the value: a password may have been pasted into the wrong field.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from typing import Any

from airflow_provider_segmind.api.values import read_flag, read_number
from airflow_provider_segmind.exceptions import InvalidConnectionError

MOST_UNKNOWN_KEYS = 5
"""Keys of an extra that are remarked on one by one."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,40}")
_LEGACY_PREFIX = re.compile(r"extra__[a-z]+__")


def invalid(name: str, field: str, problem: str) -> InvalidConnectionError:
    """Return the error for a field of the connection ``name``."""
    return InvalidConnectionError(f"{field} of the connection {name!r} {problem}")


def describe(value: object) -> str:
    """Return what a value is, without the value."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f"a text of {len(value)} characters" if value.strip() else "an empty text"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, (list, tuple)) else f"of the type {type(value).__name__}"


def is_name(text: str) -> bool:
    """Whether a text looks like a name, so that a message may show it, and not like a key or password."""
    return _NAME.fullmatch(text) is not None and "SG_" not in text.upper()


def read_extra(name: str, given: object) -> dict[str, Any]:
    """
    Return the connection's extra.

    It is never ignored: the ``platform_url`` in it would be lost, and the key sent to the public Segmind.

    :param given: JSON text as Airflow keeps it, or an object.
    :raises InvalidConnectionError: If it is not an object.
    """
    read, problem = given, ""
    if isinstance(given, str):
        read, problem = _parse_json(given)
    if read is None and not problem:
        return {}
    if isinstance(read, Mapping):
        return {str(key): value for key, value in read.items()}
    shown = problem or f"is {describe(read)}"
    raise invalid(name, "extra", f'must be a JSON object like {{"timeout": 30}}, but {shown}')


def _parse_json(text: str) -> tuple[object, str]:
    if not text.strip():
        return None, ""
    try:
        return json.loads(text), ""
    except json.JSONDecodeError as error:
        return None, f"is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
    except (ValueError, RecursionError):
        return None, "is not readable JSON"


def unknown_keys(name: str, extra: Mapping[str, Any], known: tuple[str, ...]) -> tuple[str, ...]:
    """Return a remark for each key of the extra that means nothing, with the nearest one that does. No values."""
    remarks = []
    unknown = [key for key in extra if key not in known]
    for key in unknown[:MOST_UNKNOWN_KEYS]:
        shown = repr(key) if is_name(key) else f"of {len(key)} characters"
        plain = _LEGACY_PREFIX.sub("", key.strip().lower().replace("-", "_"))
        import difflib  # for a mistake only

        nearest = difflib.get_close_matches(plain[:100], known, n=1)
        advice = f"did you mean {nearest[0]!r}?" if nearest else f"known keys are {', '.join(known)}"
        remarks.append(f"The extra of the connection {name!r} has an unknown key {shown}; {advice}")
    if len(unknown) > MOST_UNKNOWN_KEYS:
        remarks.append(f"It has {len(unknown) - MOST_UNKNOWN_KEYS} more unknown keys")
    return tuple(remarks)


def read_number_field(name: str, field: str, given: object, least: float, most: float, unit: str) -> float | None:
    """
    Return a number, which may be written as text; None if there is none.

    :raises InvalidConnectionError: If it is not a number from ``least`` to ``most``.
    """
    if given is None or given == "":
        return None
    number = read_number(given, least, most)
    if number is not None:
        return number
    shown = (
        describe(given)
        if read_number(given, -sys.float_info.max, sys.float_info.max) is None
        else "outside of that range"
    )
    raise invalid(name, field, f"must be a number from {least:,g} to {most:,g} ({unit}), but is {shown}")


def read_flag_field(name: str, field: str, given: object) -> bool:
    """
    Return true or false, which may be written as text; false if there is nothing.

    :raises InvalidConnectionError: If it is neither.
    """
    read = read_flag(given) if isinstance(given, (bool, str)) else None
    if read is not None or given is None:
        return bool(read)
    raise invalid(name, field, f"must be true or false, but is {describe(given)}")
