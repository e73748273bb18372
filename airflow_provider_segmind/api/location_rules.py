"""What the text of a location may say. Nothing is read for it: neither files nor the configuration of Airflow."""

from __future__ import annotations

import re

from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.exceptions import InvalidParameterError

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
_WORD = re.compile(r"\S+")
_AFTER_SLASHES = re.compile(r"//(?=([^/]*))")


def check_shape(name: str, place: str) -> None:
    """
    Check what is true of inputs and outputs.

    :raises InvalidParameterError: If this cannot be a file, or is written in a way that hides which one it is.
    """
    if "\0" in place or not _is_unicode(place):
        raise InvalidParameterError(name, f"has characters that no file name can have: {shown(place)}")
    start = place.partition("/")[0].lower()
    if place.startswith("/"):
        path = place
    elif "::" in start:
        raise InvalidParameterError(name, f"must be one URI, not a chain of several: {shown(place)}")
    elif start.startswith("file:"):
        path = _path_of_file_uri(name, place)
    else:
        path = _key_of_uri(name, place)
    if any(part in (".", "..") for part in path.split("/")):
        raise InvalidParameterError(name, f"must not have '.' or '..' between slashes: {shown(place)}")


def check_output_name(name: str, place: str) -> None:
    """
    Check what must hold of a file that is to be written.

    :raises InvalidParameterError: If it has no name, or one that is too long, or with control characters.
    """
    if _CONTROL.search(place):  # nobody writes a line break into a path on purpose
        raise InvalidParameterError(name, f"must not have control characters such as line breaks: {shown(place)}")
    if place.startswith(("/", "file:")):
        if any(len(part.encode()) > LONGEST_FILE_NAME for part in place.split("/")):
            raise InvalidParameterError(
                name, f"has more than {LONGEST_FILE_NAME} bytes between two slashes: {shown(place)}"
            )
        return
    bucket, slash, key = place.partition("://")[2].partition("/")
    if bucket and not slash:
        raise InvalidParameterError(
            name, f"is a bucket: {shown(place)}. Write a name after it, or end it with a slash, as a folder"
        )
    if len(key.encode()) > LONGEST_KEY:
        raise InvalidParameterError(name, f"has more than {LONGEST_KEY} bytes after the bucket: {shown(place)}")


def shown(place: str) -> str:
    """Return a location in quotes, as a message may have it."""
    return repr(quotable(place))


def quotable(text: str) -> str:
    """Return what a storage or a user wrote, as a message may have it: on one line, bounded, without a login."""
    return one_line(without_login(text))


def without_login(text: str) -> str:
    """
    Return a text without the logins of the addresses in it.

    A password may have a slash or an @ in it. Where it cannot be known where a login ends, too much is hidden.
    """
    return _WORD.sub(lambda word: _word_without_login(word[0]), text) if "@" in text else text


def _word_without_login(word: str) -> str:
    last = word.rfind("@")
    for start in _AFTER_SLASHES.finditer(word, 0, last + 1):
        if _may_have_login(start[1]):
            return f"{word[: start.start(1)]}***{word[last:]}"
    return word


def _may_have_login(authority: str) -> bool:
    """Whether a login may begin here: there is an @, or a colon that is not that of a port."""
    return "@" in authority or not _HOST_AND_PORT.fullmatch(authority)


def _path_of_file_uri(name: str, place: str) -> str:
    host, slash, path = place.removeprefix("file://").partition("/")
    if not place.startswith("file://") or not slash or host not in ("", "localhost"):
        raise InvalidParameterError(
            name, f"must have the form file:///folder/name, without a host, not {shown(place)}"
        )
    return path


def _key_of_uri(name: str, place: str) -> str:
    scheme, mark, rest = place.partition("://")
    if not mark or not _SCHEME.fullmatch(scheme):
        raise InvalidParameterError(name, f"must be {KINDS}, not {shown(place)}")
    scheme = scheme.lower()
    if scheme in _OTHER_WAYS:
        raise InvalidParameterError(
            name,
            f"cannot be reached through {scheme}://. For a file on the worker write its absolute path, for an "
            "object store the scheme of its Airflow provider, such as s3:// or gs://",
        )
    authority, _, key = rest.partition("/")
    login, _, bucket = authority.rpartition("@")
    is_arn = authority.startswith("arn:")  # of an access point of S3, with its colons
    if ":" in login or ("@" in rest and not is_arn and not _HOST_AND_PORT.fullmatch(bucket)):
        raise InvalidParameterError(
            name, f"must not have a password in it: {shown(place)}. Put it into an Airflow connection"
        )
    if scheme in _HAS_BUCKETS and not bucket:
        raise InvalidParameterError(name, f"names no bucket: {shown(place)}")
    if scheme in _S3 and "?versionId=" in key:
        # s3fs takes what follows for a version, and reads or writes the name before it.
        raise InvalidParameterError(name, f"must not name a version of an object: {shown(place)}")
    return key


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, as bytes of a file name become that are not UTF-8
        return False
    return True
