"""Telling what Segmind can fetch by itself from what has to be brought to it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_segmind.exceptions import InvalidParameterError

_LOGIN = re.compile(r"//[^/@\s]*@")
_FETCHED = ("http", "https")
_NOT_A_PLACE = ("", "data", *_FETCHED)


def is_location(value: object) -> bool:
    """Whether this is an object-storage URI (``s3://…``, ``gs://…``, ``file:///…``) or an absolute path."""
    if not isinstance(value, str):
        return False
    if value.startswith("/") and not value.startswith("//"):
        return True
    scheme, mark, rest = value.partition("://")
    return bool(mark and rest) and scheme.isascii() and scheme.isalnum() and scheme.lower() not in _NOT_A_PLACE


def checked_place(name: str, value: object) -> str:
    """
    Return where a file is, if Segmind can fetch it or it can be brought there.

    :raises InvalidParameterError: If this is no such place.
    """
    place = value.strip() if isinstance(value, str) else ""
    if is_location(place) or _is_fetchable(place):
        return place
    raise InvalidParameterError(
        name,
        "must be an absolute http(s) URL that Segmind can fetch, an object-storage URI such as s3://bucket/a.png, "
        f"or an absolute path, not {value!r}",
    )


def checked_places(parameters: Mapping[str, Any], names: Sequence[str]) -> Mapping[str, Any]:
    """
    Return a model's parameters, tidied, if those of these names are places of files, lists of places, or None.

    :raises InvalidParameterError: If one is not, or is missing.
    """
    tidied = dict(parameters)
    for name in names:
        if name not in parameters:
            raise InvalidParameterError(
                "upload", f"there is no parameter {name!r}; there are {sorted(parameters)}"
            )
        value, told = parameters[name], f"parameters[{name!r}]"
        if isinstance(value, (list, tuple)):
            tidied[name] = [checked_place(told, part) for part in value]
        elif value is not None:
            tidied[name] = checked_place(told, value)
    return tidied


def listed(value: Any) -> list[Any]:
    """Return the parts of a list, or one value alone as such; None is no part."""
    parts = value if isinstance(value, (list, tuple)) else [value]
    return [part for part in parts if part is not None]


def without_login(text: str) -> str:
    """Return a text without the logins of the addresses in it."""
    return _LOGIN.sub("//***@", text)


def _is_fetchable(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in _FETCHED and bool(parts.hostname) and " " not in value
    except ValueError:
        return False
