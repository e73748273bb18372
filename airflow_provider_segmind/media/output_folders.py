"""The folder that an output goes to, on a disk or in an object store: what storing asks of both."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from airflow_provider_segmind.api.locations import LONGEST_FILE_NAME, LONGEST_KEY, Location
from airflow_provider_segmind.exceptions import InvalidParameterError
from airflow_provider_segmind.media import bucket, disk
from airflow_provider_segmind.media.allowed_paths import AllowedFile, file_to_write
from airflow_provider_segmind.media.publishing import open_unpublished
from airflow_provider_segmind.media.storages import has_credentials, open_file_system, path_in

_NAME, _CONN_NAME = "output_path", "output_conn_id"


class NewFile(Protocol):
    """A file that is being written, and that nobody sees yet."""

    def write(self, piece: bytes) -> None:
        """Append a piece."""

    def publish(self, size: int) -> None:
        """Let the file be seen under its name, whole. ``size``: the bytes that were written, checked."""


@dataclass(frozen=True)
class NewFileTerms:
    """
    What a file in a folder is to be.

    :param name: Its name.
    :param partial: A temporary name, for storages where readers could see half a file.
    :param media_type: What it is. An object store keeps that.
    :param most_bytes: That it can have.
    """

    name: str
    partial: str
    media_type: str
    most_bytes: int


class OutputFolder(Protocol):
    """A folder for outputs."""

    longest_name: int
    """Bytes that a name in it may have."""

    def is_folder(self, name: str) -> bool:
        """Whether there is a folder of this name in it."""

    def size_of(self, name: str) -> int | None:
        """Return the bytes of a file in it; None if there is none."""

    def names_beginning_with(self, beginning: str) -> list[str]:
        """Return the names of files in it that begin in this way."""

    def check_writable(self, name: str, partial: str, media_type: str) -> None:
        """Try to write a file of this name, or of a temporary one, and leave nothing."""

    def new_file(self, new: NewFileTerms) -> AbstractContextManager[NewFile]:
        """Begin a file. Nothing is left of it if it is not published."""


def output_folder(location: Location) -> OutputFolder:
    """
    Return the folder that a location is in.

    :raises InvalidParameterError: If nothing may be written there, or its storage is not known.
    """
    if not location.is_local:
        return _BucketFolder(location)
    file_to_write(_NAME, location.key)  # so that the message has the path that the user gave
    return _DiskFolder(location.folder)


def own_folder(location: Location) -> OutputFolder:
    """
    Return the folder of a person at a terminal: any one on this machine that the person may write to.

    No file in it is replaced: FileExistsError is raised.
    """
    return _OwnFolder(location.folder)


class _DiskFolder:
    longest_name = LONGEST_FILE_NAME

    def __init__(self, location: Location) -> None:
        self._location = location

    def is_folder(self, name: str) -> bool:
        return disk.is_folder(self._file(name))

    def size_of(self, name: str) -> int | None:
        return disk.size_of(self._file(name))

    def names_beginning_with(self, beginning: str) -> list[str]:
        return [name for name in disk.names_beside(self._file("")) if name.startswith(beginning)]

    def check_writable(self, name: str, partial: str, media_type: str) -> None:
        disk.check_writable(self._file(partial), partial)

    @contextmanager
    def new_file(self, new: NewFileTerms) -> Iterator[NewFile]:
        with disk.partial_file(self._file(new.partial), new.partial) as partial:
            yield _Renamed(partial, new.name)

    def _file(self, name: str) -> AllowedFile:
        return file_to_write(_NAME, f"{self._location.key}{name}")


class _OwnFolder(_DiskFolder):
    @contextmanager
    def new_file(self, new: NewFileTerms) -> Iterator[NewFile]:
        with disk.partial_file(self._file(new.partial), new.partial) as partial:
            yield _Linked(partial, new.name)

    def _file(self, name: str) -> AllowedFile:
        return AllowedFile(os.path.realpath(self._location.key), (), name)


class _BucketFolder:
    def __init__(self, given: Location) -> None:
        self._given = given  # for messages
        self._location = given.folder
        self.longest_name = LONGEST_KEY - len(self._location.key.encode())

    @cached_property
    def _storage(self) -> Any:
        storage = open_file_system(_NAME, self._given, _CONN_NAME)
        if not has_credentials(storage):
            raise InvalidParameterError(
                _CONN_NAME,
                f"there are no credentials for {self._location.scheme}://: name a connection that has some",
            )
        return storage

    def is_folder(self, name: str) -> bool:
        return bucket.is_folder(self._storage, self._path(name))

    def size_of(self, name: str) -> int | None:
        return bucket.size_of(self._storage, self._path(name))

    def names_beginning_with(self, beginning: str) -> list[str]:
        return bucket.names_beginning_with(self._storage, self._path(""), beginning)

    def check_writable(self, name: str, partial: str, media_type: str) -> None:
        bucket.check_writable(self._storage, self._path(name), self._partial_path(partial), media_type)

    @contextmanager
    def new_file(self, new: NewFileTerms) -> Iterator[NewFile]:
        path = self._path(new.name)
        upload = open_unpublished(self._storage, path, new.media_type, new.most_bytes)
        if upload is not None:
            try:
                yield upload
            finally:
                upload.discard()
            return
        partial = bucket.PartialObject(self._storage, self._partial_path(new.partial))
        try:
            yield _Renamed(partial, path)
        finally:
            partial.close()

    def _path(self, name: str) -> str:
        return path_in(self._storage, _NAME, self._location / name)

    def _partial_path(self, name: str) -> str:
        """Return the path of a temporary object: in a folder above, if it would be too long."""
        location, folder = self._location, self._location.key
        while folder and len(f"{folder}{name}".encode()) > LONGEST_KEY:
            above = folder.rstrip("/").rpartition("/")[0]
            folder = f"{above}/" if above else ""
        root = location.uri.removesuffix(location.key)
        return path_in(self._storage, _NAME, Location(f"{root}{folder}{name}", location.conn_id))


class _Renamed:
    """A file with a temporary name, which gets its own when it is published."""

    def __init__(self, partial: bucket.PartialObject | disk.PartialFile, name: str) -> None:
        self._partial, self._name = partial, name

    def write(self, piece: bytes) -> None:
        self._partial.write(piece)

    def publish(self, size: int) -> None:
        self._partial.move_to(self._name, size)


class _Linked:
    """The same, of a file that replaces none."""

    def __init__(self, partial: disk.PartialFile, name: str) -> None:
        self._partial, self._name = partial, name

    def write(self, piece: bytes) -> None:
        self._partial.write(piece)

    def publish(self, size: int) -> None:
        self._partial.move_to(self._name, size, replace=False)
