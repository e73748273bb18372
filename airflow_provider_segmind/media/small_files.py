"""Small files that are written whole or not at all, on a disk or in an object store: records of requests."""

from __future__ import annotations

import os
from typing import Any, Protocol

from airflow_provider_segmind.api.file_names import partial_name
from airflow_provider_segmind.api.locations import Location
from airflow_provider_segmind.media import bucket, disk
from airflow_provider_segmind.media.allowed_paths import AllowedFile, file_to_write
from airflow_provider_segmind.media.storages import call_storage, open_file_system, path_in

_PUBLISHES_WHOLE = {"s3", "s3a", "s3n", "gs", "gcs", "az", "adl", "abfs", "abfss", "wasb", "oss", "memory"}
"""Schemes of stores in which a new object is seen only when all of it is there."""


class SmallFile(Protocol):
    """One small file."""

    def read(self, most_bytes: int) -> bytes | None:
        """Return its content, up to so many bytes; None if there is no such file."""

    def write(self, content: bytes) -> None:
        """Put this content in place of what is there. A reader sees the old content or the new one."""

    def remove(self) -> None:
        """Remove it, if it is there."""


def small_file(location: Location, *, name: str, conn_name: str, always_allowed: bool = False) -> SmallFile:
    """
    Return the file at a location.

    :param name: The parameter or option that has the location, for messages.
    :param conn_name: The one that names the connection to its storage.
    :param always_allowed: Whether it may be anywhere on the worker: an administrator has chosen the folder.
    :raises InvalidParameterError: If the location may not be used, or its storage is not known.
    """
    if location.is_local:
        return _DiskFile(_administrators_file(location) if always_allowed else file_to_write(name, location.key))
    storage = open_file_system(name, location, conn_name)
    return _Object(storage, path_in(storage, name, location), location.scheme)


def names_in(folder: Location, *, name: str, conn_name: str) -> list[str]:
    """
    Return the names of the files in a folder that an administrator has chosen, as they are at this moment.

    The arguments and errors are those of ``small_file``. None are in a folder that does not exist.
    """
    if folder.is_local:
        return disk.names_beside(_administrators_file(folder))
    storage = open_file_system(name, folder, conn_name)
    return bucket.names_beginning_with(storage, path_in(storage, name, folder), "")


def _administrators_file(location: Location) -> AllowedFile:
    return AllowedFile(os.path.realpath(location.folder.key), (), location.name)


class _DiskFile:
    def __init__(self, file: AllowedFile) -> None:
        self._file = file

    def read(self, most_bytes: int) -> bytes | None:
        try:
            return disk.read_file(self._file, most_bytes)
        except FileNotFoundError:
            return None

    def write(self, content: bytes) -> None:
        with disk.partial_file(self._file, partial_name(self._file.name)) as partial:
            partial.write(content)
            partial.move_to(self._file.name, len(content))

    def remove(self) -> None:
        disk.remove_file(self._file)


class _Object:
    def __init__(self, storage: Any, path: str, scheme: str) -> None:
        self._storage = storage
        self._path = path
        self._publishes_whole = scheme in _PUBLISHES_WHOLE

    def read(self, most_bytes: int) -> bytes | None:
        try:
            return bucket.read_object(self._storage, self._path, most_bytes)
        except FileNotFoundError:
            return None

    def write(self, content: bytes) -> None:
        if self._publishes_whole:
            call_storage(self._storage, "pipe_file", self._path, content)
            return
        folder, _, name = self._path.rpartition("/")
        self._storage.makedirs(folder, exist_ok=True)
        partial = bucket.PartialObject(self._storage, f"{folder}/{partial_name(name)}")
        try:
            partial.write(content)
            partial.move_to(self._path, len(content))
        finally:
            partial.close()

    def remove(self) -> None:
        try:
            call_storage(self._storage, "rm_file", self._path)
        except FileNotFoundError:
            return
