"""
What a value stands for, where the schema of a parameter has another form of it.

The page of Kling O1 has ``"5"`` for an integer, and forms write options as texts: none of that is an error that
anybody has to correct.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator

from airflow_provider_segmind.api.values import read_number

_LARGEST_NUMBER = 1e20
"""More than any seed: those of 64 bits have 20 digits."""

_NUMBERS = frozenset({"number", "integer"})


def as_meant(value: Any, schema: Mapping[str, Any]) -> Any:
    """
    Return a value in the form that a schema has for it; the value itself if there is none.

    :param schema: As ``api.catalogue`` makes it: plain, and of a bounded depth.
    """
    for option in schema.get("enum", ()):
        if _means(value, option):
            return option
    for part in schema.get("allOf", ()):
        value = as_meant(value, part)
    if "anyOf" in schema:
        value = _in_a_form_of(schema["anyOf"], value)
    value = _as_type(value, frozenset(schema.get("type", ())))
    if isinstance(value, list) and "items" in schema:
        return [as_meant(item, schema["items"]) for item in value]
    if isinstance(value, dict) and "properties" in schema:
        return _members_as_meant(value, schema)
    return value


def _members_as_meant(value: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Null stands for a member that is not given, unless it has to be."""
    properties, needed = schema["properties"], schema.get("required", ())
    return {
        name: as_meant(member, properties.get(name, {}))
        for name, member in value.items()
        if member is not None or name in needed
    }


def _in_a_form_of(forms: list[Mapping[str, Any]], value: Any) -> Any:
    """Return a value as the first of several forms that it fits has it; else as the first one reads it."""
    read = [(form, as_meant(value, form)) for form in forms]
    fitting = (each for form, each in read if Draft202012Validator(form).is_valid(each))
    changed = (each for _, each in read if each is not value)
    return next(fitting, next(changed, value))


def _as_type(value: Any, types: frozenset[str]) -> Any:
    if isinstance(value, str) and types & _NUMBERS and "string" not in types:
        number = read_number(value, -_LARGEST_NUMBER, _LARGEST_NUMBER)
        if number is not None:
            return int(number) if number.is_integer() else number
    if "boolean" in types and not types & _NUMBERS and type(value) is int and value in (0, 1):
        return bool(value)
    return value


def _means(value: Any, option: Any) -> bool:
    """Whether a value is an option, or the same number, truth or falsehood in another form."""
    if isinstance(value, bool) or isinstance(option, bool):
        return _as_flag(value) is not None and _as_flag(value) == _as_flag(option)
    if value == option:
        return True
    number = read_number(value, -_LARGEST_NUMBER, _LARGEST_NUMBER)
    return number is not None and number == read_number(option, -_LARGEST_NUMBER, _LARGEST_NUMBER)


def _as_flag(value: Any) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    return bool(value) if isinstance(value, (bool, int, float)) and value in (0, 1) else None
