"""The folder that an output goes to, on a disk or in an object store: what storing asks of both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import Any, Protocol

from airflow_provider_segmind.api.location_rules import LONGEST_FILE_NAME, LONGEST_KEY
from airflow_provider_segmind.api.locations import Location
from airflow_provider_segmind.exceptions import InvalidParameterError
from airflow_provider_segmind.media import bucket, disk
from airflow_provider_segmind.media.allowed_paths import AllowedFile, file_to_write
from airflow_provider_segmind.media.places import file_system, has_credentials, path_in

_NAME, _CONN_NAME = "output_path", "output_conn_id"


class Partial(Protocol):
    """A file that is being written under a temporary name."""

    def write(self, piece: bytes) -> None:
        """Append a piece."""

    def move_to(self, name: str, size: int) -> None:
        """Give the file its name: it is there whole, or not at all."""


class OutputFolder(Protocol):
    """A folder for outputs."""

    longest_name: int
    """Bytes that a name in it may have."""

    def is_folder(self, name: str) -> bool:
        """Whether there is a folder of this name in it."""

    def size_of(self, name: str) -> int | None:
        """Return the bytes of a file in it; None if there is none."""

    def check_writable(self, partial: str) -> None:
        """Write a small file of a temporary name, and remove it."""

    def partial(self, name: str) -> AbstractContextManager[Partial]:
        """Begin a file under a temporary name; it is removed if it does not get its own."""


def output_folder(location: Location) -> OutputFolder:
    """
    Return the folder that a location is in.

    :raises InvalidParameterError: If nothing may be written there, or its storage is not known.
    """
    if not location.is_local:
        return _BucketFolder(location)
    file_to_write(_NAME, location.key)  # so that the message has the path that the user gave
    return _DiskFolder(location.folder)


class _DiskFolder:
    longest_name = LONGEST_FILE_NAME

    def __init__(self, location: Location) -> None:
        self._location = location

    def is_folder(self, name: str) -> bool:
        return disk.is_folder(self._file(name))

    def size_of(self, name: str) -> int | None:
        return disk.size_of(self._file(name))

    def check_writable(self, partial: str) -> None:
        disk.check_writable(self._file(partial), partial)

    def partial(self, name: str) -> AbstractContextManager[Partial]:
        return disk.partial_file(self._file(name), name)

    def _file(self, name: str) -> AllowedFile:
        return file_to_write(_NAME, f"{self._location.key}{name}")


class _BucketFolder:
    def __init__(self, given: Location) -> None:
        self._given = given  # for messages
        self._location = given.folder
        self.longest_name = LONGEST_KEY - len(self._location.key.encode())

    @cached_property
    def _storage(self) -> Any:
        storage = file_system(_NAME, self._given, _CONN_NAME)
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

    def check_writable(self, partial: str) -> None:
        bucket.check_writable(self._storage, self._partial_path(partial))

    @contextmanager
    def partial(self, name: str) -> Iterator[Partial]:
        writing = bucket.PartialObject(self._storage, self._partial_path(name))
        try:
            yield _Named(writing, self)
        finally:
            writing.close()

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


class _Named:
    """A partial object that gets its name in its folder."""

    def __init__(self, writing: bucket.PartialObject, folder: _BucketFolder) -> None:
        self._writing, self._folder = writing, folder

    def write(self, piece: bytes) -> None:
        self._writing.write(piece)

    def move_to(self, name: str, size: int) -> None:
        self._writing.move_to(self._folder._path(name), size)
