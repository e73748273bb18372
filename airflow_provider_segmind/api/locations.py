"""Where files are: what Segmind can fetch, and what has to be brought to it or taken from it. No I/O."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import urlsplit

from airflow_provider_segmind.api.location_rules import (
    KINDS,
    check_output_name,
    check_shape,
    shown,
)
from airflow_provider_segmind.api.location_rules import without_login as without_login
from airflow_provider_segmind.exceptions import InvalidParameterError

_FETCHED = ("http", "https")
_NOT_A_PLACE = ("", "data", *_FETCHED)


class PlaceWithConnection(str):
    """
    The URI of an object such as ObjectStoragePath that names its own connection.

    In text a connection is refused, as text may come from anywhere. An object was made by the author of the DAG.
    """

    conn_id: str | None = None


@dataclass(frozen=True)
class Location:
    """
    A file or a folder, in an object store or on a disk: see :func:`input_location` and :func:`output_location`.

    :param uri: An object-storage URI or an absolute path, without a login. A folder ends with a slash.
    :param conn_id: The Airflow connection to its storage; None for the storage's default.
    """

    uri: str
    conn_id: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether it is on a disk of the worker."""
        return self.uri.startswith(("/", "file://"))

    @property
    def is_folder(self) -> bool:
        """Whether it ends with a slash."""
        return self.uri.endswith("/")

    @property
    def scheme(self) -> str:
        """``s3``, ``gs`` and so on; ``file`` for a disk."""
        return "file" if self.is_local else self.uri.partition("://")[0]

    @property
    def bucket(self) -> str:
        """The bucket or container; empty for a disk."""
        return "" if self.is_local else self.uri.partition("://")[2].partition("/")[0]

    @property
    def key(self) -> str:
        """The name in the bucket, exactly as written; on a disk the absolute path."""
        if self.is_local:
            return "/" + self.uri.removeprefix("file://localhost").removeprefix("file://").lstrip("/")
        return self.uri.partition("://")[2].partition("/")[2]

    @property
    def name(self) -> str:
        """The name of the file in its folder; empty for a folder."""
        return self.uri.rpartition("/")[2]

    @property
    def folder(self) -> Self:
        """The folder that it is in; itself, if it is one."""
        return replace(self, uri=self.uri.removesuffix(self.name))

    def __truediv__(self, name: str) -> Self:
        """Return the file of a name in this folder."""
        return replace(self, uri=f"{self.uri}{name}")

    def __str__(self) -> str:
        return self.uri


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

    :param value: Text, a ``pathlib.Path``, or an ObjectStoragePath.
    :raises InvalidParameterError: If this is not such a place.
    """
    place = _text_of(name, value)
    address = place.strip()
    if _is_fetchable(address):
        return address
    if place[:1].isspace():  # as a template may lay it out; a name that only ends with a space is another name
        place = address
    if not _is_meant_as_location(place):
        raise InvalidParameterError(
            name,
            "must be an absolute http(s) URL that Segmind can fetch, an object-storage URI such as "
            f"s3://bucket/a.png, or an absolute path, not {_quoted(value)}",
        )
    check_shape(name, place)
    return place


def checked_output_path(name: str, value: object) -> str:
    """
    Return where an output goes, if a file can have this name.

    :param value: Text, a ``pathlib.Path``, or an ObjectStoragePath.
    :raises InvalidParameterError: If this is not such a place.
    """
    place = _text_of(name, value)
    if not _is_meant_as_location(place):
        raise InvalidParameterError(name, f"must be {KINDS}, not {_quoted(value)}")
    check_shape(name, place)
    check_output_name(name, place)
    return place


def checked_places(parameters: Mapping[str, Any], names: Sequence[str]) -> Mapping[str, Any]:
    """
    Return a model's parameters, tidied, if those of these names are places of files, lists of places, or None.

    :raises InvalidParameterError: If one is not, or is missing.
    """
    if not isinstance(parameters, Mapping):
        raise InvalidParameterError(
            "parameters", f"must be a dict of the model's parameters, not {type(parameters).__name__}"
        )
    tidied = dict(parameters)
    for name in names:
        if name not in parameters:
            raise InvalidParameterError(
                "upload", f"there is no parameter {name!r}; there are {sorted(map(str, parameters))}"
            )
        value, shown = parameters[name], f"parameters[{name!r}]"
        if isinstance(value, (list, tuple)):
            tidied[name] = [checked_place(shown, part) for part in value]
        elif value is not None:
            tidied[name] = checked_place(shown, value)
    return tidied


def input_location(name: str, value: object, conn_id: str | None = None) -> Location:
    """
    Return where an input file is, and the connection with which it is read.

    :param name: The parameter that says so, for messages.
    :param value: Text, a ``pathlib.Path``, or an ObjectStoragePath.
    :param conn_id: ``input_conn_id``.
    :raises InvalidParameterError: If it is not such a place, or names another connection.
    """
    place = _text_of(name, value)
    check_shape(name, place)
    return _with_connection(name, place, conn_id, "input_conn_id")


def output_location(value: object, conn_id: str | None = None, name: str = "output_path") -> Location:
    """
    Return where an output goes, and the connection with which it is written.

    :param value: Text, a ``pathlib.Path``, or an ObjectStoragePath.
    :param conn_id: ``output_conn_id``.
    :raises InvalidParameterError: If it is not such a place, or names another connection.
    """
    return _with_connection(name, checked_output_path(name, value), conn_id, "output_conn_id")


def listed(value: Any) -> list[Any]:
    """Return the parts of a list, or one value alone as such; None is no part."""
    parts = value if isinstance(value, (list, tuple)) else [value]
    return [part for part in parts if part is not None]


def _text_of(name: str, value: object) -> str:
    """Return text as it is, and the text of an ObjectStoragePath, a UPath or any other path."""
    if isinstance(value, str):
        return value
    protocol, path = getattr(value, "protocol", None), getattr(value, "path", None)
    if not isinstance(protocol, str) or not isinstance(path, str):
        return os.fsdecode(value) if isinstance(value, os.PathLike) else ""
    options = dict(getattr(value, "storage_options", None) or {})
    conn_id = options.pop("conn_id", None) or getattr(value, "conn_id", None)
    if any(option is not None for option in options.values()):
        raise InvalidParameterError(
            name, "is a path with storage options: put them into an Airflow connection and name that"
        )
    if protocol in ("", "file"):
        return path
    scheme, mark, rest = str(value).partition("://")  # with the connection, or without: versions differ
    if conn_id is None:
        return f"{scheme}{mark}{rest}"
    place = PlaceWithConnection(f"{scheme}{mark}{conn_id}@{rest.removeprefix(f'{conn_id}@')}")
    place.conn_id = str(conn_id)
    return place


def _is_meant_as_location(place: str) -> bool:
    """Whether this is a location, or so much like one that the message should say what is wrong with it."""
    start = place.partition("/")[0].lower()
    return is_location(place) or start.startswith("file:") or "::" in start


def _quoted(value: object) -> str:
    return shown(value) if isinstance(value, str) else type(value).__name__


def _with_connection(name: str, place: str, conn_id: str | None, conn_name: str) -> Location:
    given = place.conn_id if isinstance(place, PlaceWithConnection) else None
    if given is not None and conn_id is not None and given != conn_id:
        raise InvalidParameterError(
            conn_name, f"is {conn_id!r}, but the path in {name} has the connection {given!r}: name one of them"
        )
    if place.startswith(("/", "file:")):
        return Location(str(place), conn_id)
    scheme, _, rest = place.partition("://")
    authority, slash, key = rest.partition("/")
    login, at, bucket = authority.rpartition("@")
    if at and login != (given or conn_id):
        raise InvalidParameterError(
            name,
            f"must not name a connection or a login: {shown(place)}. Write it without, and name the connection in "
            f"{conn_name}",
        )
    return Location(f"{scheme.lower()}://{bucket}{slash}{key}", given or conn_id)


def _is_fetchable(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in _FETCHED and bool(parts.hostname) and " " not in value
    except ValueError:
        return False
