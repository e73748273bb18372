"""Where files are: what Segmind can fetch, and what has to be brought to it or taken from it. No I/O."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import urlsplit

from airflow_provider_segmind.api.text import safe_repr
from airflow_provider_segmind.exceptions import InvalidParameterError

_FETCHED = ("http", "https")
_NOT_A_LOCATION = ("", "data", *_FETCHED)
LONGEST_KEY = 1024
"""Bytes of an object's name: the limit of S3 and Google Cloud Storage."""

LONGEST_FILE_NAME = 255
"""Bytes of a file's name on a disk, without its folders."""

KINDS = "an object-storage URI such as s3://bucket/a.mp4, or an absolute path"
_S3 = ("s3", "s3a", "s3n")
_HAS_BUCKETS = (*_S3, "gs", "gcs", "abfs", "abfss", "adl")
_OTHER_WAYS = frozenset(
    {
        *("data", "dir", "file", "ftp", "ftps", "generic", "git", "github", "http", "https", "jlab", "jupyter"),
        *("local", "memory", "reference", "smb", "webdav"),
        *("libarchive", "tar", "zip"),
        *("asyncwrapper", "blockcache", "cached", "dirfs", "filecache", "simplecache"),
    }
)
"""
Schemes of fsspec that lead to local files under another name, into other files, or to any host.

No Airflow provider brings a connection for them. Whether it knows others, Airflow says when the task runs.
"""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_HOST_AND_PORT = re.compile(r"[^:]*(:\d*)?")
_STORAGES = (*_HAS_BUCKETS, "az", "wasb", "wasbs", "oss", "hdfs", "file")
_FILE_NAME = re.compile(r"/(?:[^/\s]+/.*|\S*)[^/\s]\.[A-Za-z][A-Za-z0-9]{1,4}")
"""An absolute path that ends with a suffix. What has a space in its first part is text, such as a prompt."""


class LocationWithConnection(str):
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
    return bool(mark and rest) and scheme.isascii() and scheme.isalnum() and scheme.lower() not in _NOT_A_LOCATION


def check_location(name: str, value: object) -> str:
    """
    Return where a file is, if Segmind can fetch it or it can be brought there.

    :param value: Text, a ``pathlib.Path``, or an ObjectStoragePath.
    :raises InvalidParameterError: If this is not such a location.
    """
    location = _path_text(name, value)
    address = location.strip()
    if _is_fetchable(address):
        return address
    if location[:1].isspace():  # as a template may lay it out; a name that only ends with a space is another name
        location = address
    if not _is_meant_as_location(location):
        raise InvalidParameterError(
            name,
            "must be an absolute http(s) URL that Segmind can fetch, an object-storage URI such as "
            f"s3://bucket/a.png, or an absolute path, not {_describe(value)}",
        )
    check_shape(name, location)
    return location


def check_output_path(name: str, value: object) -> str:
    """
    Return where an output goes, if a file can have this name.

    :param value: Text, a ``pathlib.Path``, or an ObjectStoragePath.
    :raises InvalidParameterError: If this is not such a location.
    """
    location = _path_text(name, value)
    if not _is_meant_as_location(location):
        raise InvalidParameterError(name, f"must be {KINDS}, not {_describe(value)}")
    check_shape(name, location)
    check_output_name(name, location)
    return location


def is_file(value: object) -> bool:
    """
    Whether a whole value can only be meant as a file, in an object store that is known or on a disk.

    Text that begins like a path, such as ``/imagine a fox``, is not a file.
    """
    if isinstance(value, os.PathLike) or hasattr(value, "storage_options"):  # as any ObjectStoragePath has
        return True
    if not isinstance(value, str) or not is_location(value):
        return False
    if value.startswith("/"):
        return _FILE_NAME.fullmatch(value) is not None
    return value.partition("://")[0].lower() in _STORAGES


def check_no_files(
    parameters: Mapping[str, Any], remedy: str, names: Sequence[str] = (), argument: str = "parameters"
) -> None:
    """
    Check that Segmind does not get the name of a file in place of the file.

    :param remedy: What to do about one.
    :param names: The parameters whose files are uploaded.
    :param argument: What the user calls the parameters, for messages.
    :raises InvalidParameterError: If a parameter is a file, or a list with one, and is not among the names.
    """
    for name, value in parameters.items() if isinstance(parameters, Mapping) else ():
        for part in as_list(value) if name not in names else ():
            if is_file(part):
                raise InvalidParameterError(
                    f"{argument}[{name!r}]",
                    f"is a file that Segmind cannot fetch: {safe_repr(str(part))}. "
                    f"{remedy.format(name=repr(name))}, or give a URL",
                )


def check_locations(
    parameters: Mapping[str, Any], names: Sequence[str], argument: str = "parameters"
) -> Mapping[str, Any]:
    """
    Return a model's parameters, tidied, if those of these names are locations, lists of locations, or None.

    :param argument: What the user calls the parameters, for messages.

    :raises InvalidParameterError: If one is not, or is missing.
    """
    if not isinstance(parameters, Mapping):
        raise InvalidParameterError(argument, f"must be a dict of {argument}, not {type(parameters).__name__}")
    tidied = dict(parameters)
    for name in names:
        if name not in parameters:
            raise InvalidParameterError(
                "upload",
                f"there is no {argument.removesuffix('s')} {name!r}; the {argument} are "
                f"{sorted(map(str, parameters))}",
            )
        value, quoted = parameters[name], f"{argument}[{name!r}]"
        if isinstance(value, (list, tuple)):
            tidied[name] = [check_location(quoted, part) for part in value]
        elif value is not None:
            tidied[name] = check_location(quoted, value)
    return tidied


def input_location(name: str, value: object, conn_id: str | None = None) -> Location:
    """
    Return where an input file is, and the connection with which it is read.

    :param name: The parameter that says so, for messages.
    :param value: Text, a ``pathlib.Path``, or an ObjectStoragePath.
    :param conn_id: ``input_conn_id``.
    :raises InvalidParameterError: If it is not such a location, or names another connection.
    """
    location = _path_text(name, value)
    check_shape(name, location)
    return _with_connection(name, location, conn_id, "input_conn_id")


def output_location(value: object, conn_id: str | None = None, name: str = "output_path") -> Location:
    """
    Return where an output goes, and the connection with which it is written.

    :param value: Text, a ``pathlib.Path``, or an ObjectStoragePath.
    :param conn_id: ``output_conn_id``.
    :raises InvalidParameterError: If it is not such a location, or names another connection.
    """
    return _with_connection(name, check_output_path(name, value), conn_id, "output_conn_id")


def as_list(value: Any) -> list[Any]:
    """Return a list as it is, and one value as a list of one; without None."""
    parts = value if isinstance(value, (list, tuple)) else [value]
    return [part for part in parts if part is not None]


def check_shape(name: str, location: str) -> None:
    """
    Check what is true of inputs and outputs.

    :raises InvalidParameterError: If this cannot be a file, or is written in a way that hides which one it is.
    """
    if "\0" in location or not _is_unicode(location):
        raise InvalidParameterError(name, f"has characters that no file name can have: {safe_repr(location)}")
    start = location.partition("/")[0].lower()
    if location.startswith("/"):
        path = location
    elif "::" in start:
        raise InvalidParameterError(name, f"must be one URI, not a chain of several: {safe_repr(location)}")
    elif start.startswith("file:"):
        path = _path_of_file_uri(name, location)
    else:
        path = _key_of_uri(name, location)
    if any(part in (".", "..") for part in path.split("/")):
        raise InvalidParameterError(name, f"must not contain '.' or '..' between slashes: {safe_repr(location)}")


def check_output_name(name: str, location: str) -> None:
    """
    Check what must hold of a file that is to be written.

    :raises InvalidParameterError: If it has no name, or one that is too long, or with control characters.
    """
    if _CONTROL.search(location):  # nobody writes a line break into a path on purpose
        raise InvalidParameterError(
            name, f"must not contain control characters such as line breaks: {safe_repr(location)}"
        )
    if location.startswith(("/", "file:")):
        if any(len(part.encode()) > LONGEST_FILE_NAME for part in location.split("/")):
            raise InvalidParameterError(
                name, f"has more than {LONGEST_FILE_NAME} bytes between two slashes: {safe_repr(location)}"
            )
        return
    bucket, slash, key = location.partition("://")[2].partition("/")
    if bucket and not slash:
        raise InvalidParameterError(
            name, f"is a bucket: {safe_repr(location)}. Add a file name, or end it with a slash to name a folder"
        )
    if len(key.encode()) > LONGEST_KEY:
        raise InvalidParameterError(
            name, f"has more than {LONGEST_KEY} bytes after the bucket: {safe_repr(location)}"
        )


def _path_text(name: str, value: object) -> str:
    """Return text as it is, and the text of an ObjectStoragePath, a UPath or any other path."""
    if isinstance(value, str):
        return value
    protocol, path = getattr(value, "protocol", None), getattr(value, "path", None)
    if not isinstance(protocol, str) or not isinstance(path, str):
        return os.fsdecode(value) if isinstance(value, os.PathLike) else ""
    options = dict(getattr(value, "storage_options", None) or {})
    conn_id = options.pop("conn_id", None) or getattr(value, "conn_id", None)
    if any(option is not None for option in options.values()):
        raise InvalidParameterError(name, "has storage options: put them into an Airflow connection and name it")
    if protocol in ("", "file"):
        return path
    scheme, mark, rest = str(value).partition("://")  # with the connection, or without: versions differ
    if conn_id is None:
        return f"{scheme}{mark}{rest}"
    location = LocationWithConnection(f"{scheme}{mark}{conn_id}@{rest.removeprefix(f'{conn_id}@')}")
    location.conn_id = str(conn_id)
    return location


def _is_meant_as_location(location: str) -> bool:
    """Whether this is a location, or so much like one that the message should say what is wrong with it."""
    start = location.partition("/")[0].lower()
    return is_location(location) or start.startswith("file:") or "::" in start


def _describe(value: object) -> str:
    return safe_repr(value) if isinstance(value, str) else type(value).__name__


def _with_connection(name: str, location: str, conn_id: str | None, conn_name: str) -> Location:
    given = location.conn_id if isinstance(location, LocationWithConnection) else None
    if given is not None and conn_id is not None and given != conn_id:
        raise InvalidParameterError(
            conn_name, f"is {conn_id!r}, but the path in {name} has the connection {given!r}: name only one"
        )
    if location.startswith(("/", "file:")):
        return Location(str(location), conn_id)
    scheme, _, rest = location.partition("://")
    authority, slash, key = rest.partition("/")
    login, at, bucket = authority.rpartition("@")
    if at and login != (given or conn_id):
        raise InvalidParameterError(
            name,
            f"must not name a connection or a login: {safe_repr(location)}. Remove it, and name the "
            f"connection in {conn_name}",
        )
    return Location(f"{scheme.lower()}://{bucket}{slash}{key}", given or conn_id)


def _is_fetchable(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in _FETCHED and bool(parts.hostname) and " " not in value
    except ValueError:
        return False


def _path_of_file_uri(name: str, location: str) -> str:
    host, slash, path = location.removeprefix("file://").partition("/")
    if not location.startswith("file://") or not slash or host not in ("", "localhost"):
        raise InvalidParameterError(
            name, f"must have the form file:///folder/name, without a host, not {safe_repr(location)}"
        )
    return path


def _key_of_uri(name: str, location: str) -> str:
    scheme, mark, rest = location.partition("://")
    if not mark or not _SCHEME.fullmatch(scheme):
        raise InvalidParameterError(name, f"must be {KINDS}, not {safe_repr(location)}")
    scheme = scheme.lower()
    if scheme in _OTHER_WAYS:
        raise InvalidParameterError(
            name,
            f"must not have the scheme {scheme}://. Write an absolute path for a file on the worker, and the "
            "scheme of its Airflow provider, such as s3:// or gs://, for an object store",
        )
    authority, _, key = rest.partition("/")
    login, _, bucket = authority.rpartition("@")
    is_arn = authority.startswith("arn:")  # of an access point of S3, with its colons
    if ":" in login or ("@" in rest and not is_arn and not _HOST_AND_PORT.fullmatch(bucket)):
        raise InvalidParameterError(
            name, f"must not contain a password: {safe_repr(location)}. Put it into an Airflow connection"
        )
    if scheme in _HAS_BUCKETS and not bucket:
        raise InvalidParameterError(name, f"names no bucket: {safe_repr(location)}")
    if scheme in _S3 and "?versionId=" in key:
        # s3fs takes what follows for a version, and reads or writes the name before it.
        raise InvalidParameterError(name, f"must not name a version of an object: {safe_repr(location)}")
    return key


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, as bytes of a file name become that are not UTF-8
        return False
    return True
