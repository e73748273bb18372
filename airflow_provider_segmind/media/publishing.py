"""
Object stores that publish an object only when its upload is complete: nothing needs a temporary name there.

Which ones do depends on the library behind the file system. All others get a temporary object, which is copied to
its name: see ``bucket``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Protocol

from airflow_provider_segmind.media.azure_blob import MOST_BLOCKS, UnpublishedBlob, is_azure
from airflow_provider_segmind.media.storages import naming_os_errors

log = logging.getLogger(__name__)

MIB = 1024 * 1024
LEAST_BLOCK = 8 * MIB
"""Bytes that are gathered before they are sent on: s3fs by default takes 50 MiB, more than once."""

MOST_PARTS = 10_000
"""Of one upload, in S3."""


@dataclass(frozen=True)
class _Library:
    """
    A library whose files are published by ``commit``, and leave nothing after ``discard``.

    :param file_class: What its ``open`` returns then. For other kinds of buckets it may return something else.
    :param content_type: The argument of its ``open`` for the media type.
    :param end: What deletes an upload that is neither published nor aborted.
    """

    file_class: str
    content_type: str
    end: str


_LIBRARIES = {
    # A multipart upload, or a single PutObject for less than a block.
    "s3fs": _Library(
        "S3File", "ContentType", "a lifecycle rule of the bucket deletes it (AbortIncompleteMultipartUpload)"
    ),
    # A resumable upload. In a zonal bucket, the file is a ZonalFile: readers see its object grow.
    "gcsfs": _Library("GCSFile", "content_type", "Google deletes it, after a week"),
    # The files of adlfs cannot do this. The module azure_blob does it for Azure.
}


class UnpublishedObject(Protocol):
    """An object that is being uploaded, and that nobody sees yet."""

    def write(self, piece: bytes) -> None:
        """Append a piece."""

    def publish(self, size: int) -> None:
        """
        Complete the upload: the object is there from then on, in place of one that has its name.

        :param size: Bytes that were written: checked.
        :raises OSError: If that is not possible.
        """

    def try_write(self) -> None:
        """
        Upload a few bytes, and publish nothing.

        :raises Exception: Whatever the storage says if that is not possible.
        """

    def discard(self) -> None:
        """Abort the upload, unless the object is published."""


def block_size(most_bytes: int, most_parts: int = MOST_PARTS) -> int:
    """
    Return the bytes of a part of an upload: as few as sensible, and enough that all fit into the parts.

    :param most_bytes: That the object can have.
    :param most_parts: That an upload can have.
    """
    needed = -(-most_bytes // most_parts)
    return max(LEAST_BLOCK, -(-needed // MIB) * MIB)


def open_unpublished(storage: Any, path: str, media_type: str, most_bytes: int) -> UnpublishedObject | None:
    """
    Begin an object that nobody sees before it is published; None if the storage cannot do that.

    :param storage: A file system of fsspec.
    :param media_type: The content type that the object gets.
    :param most_bytes: That it can have.
    """
    if is_azure(storage):
        return UnpublishedBlob(storage, path, media_type, block_size(most_bytes, MOST_BLOCKS))
    library = _LIBRARIES.get(type(storage).__module__.partition(".")[0])
    if library is None:
        return None
    # Not the path's own open(), which reports each write to lineage: of an object that may never be there.
    options = {"block_size": block_size(most_bytes), "autocommit": False, library.content_type: media_type}
    file = storage.open(path, "wb", **options)
    if type(file).__name__ != library.file_class:
        file.closed = True  # nothing was written, and nothing must be when it is collected
        return None
    return _UnpublishedFile(file, path, library.end)


class _UnpublishedFile:
    """
    The same, as a file.

    :param file: As fsspec has opened it, with ``autocommit=False``.
    :param end: What deletes the upload if it can be neither published nor aborted.
    """

    def __init__(self, file: Any, path: str, end: str) -> None:
        self._file = file
        self._path = path
        self._end = end
        self._published = False

    def write(self, piece: bytes) -> None:
        self._file.write(piece)

    def publish(self, size: int) -> None:
        if self._file.tell() != size:
            raise OSError(f"{self._file.tell()} of {size} bytes were sent to the storage")
        # A `commit` after `close` would need three requests for a small object, where this needs one.
        self._file.autocommit = True
        self._file.close()
        self._published = True

    def try_write(self) -> None:
        try:
            with naming_os_errors():
                self._file.write(b"segmind")
                self._file.close()
        finally:
            self.discard()

    def discard(self) -> None:
        if self._published:
            return
        self._file.autocommit = False
        self._file.closed = True  # or Python would send the rest when it collects the file
        try:
            self._file.discard()
        except FileNotFoundError:  # the storage knows no such upload: it is complete, or was aborted
            return
        except Exception as error:  # noqa: BLE001 - the error that matters is on its way
            log.warning(
                "The unfinished upload of %s could not be aborted: %s. "
                "Nobody sees it, but it takes space until %s",
                self._path,
                type(error).__name__,
                self._end,
            )
