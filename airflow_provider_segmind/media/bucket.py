"""Files in an object store: each call names one object, and nothing in its name is a pattern."""

from __future__ import annotations

import errno
import logging
from contextlib import suppress
from typing import Any

from airflow_provider_segmind.media.publishing import LEAST_BLOCK, open_unpublished
from airflow_provider_segmind.media.storages import call_storage, within_time

log = logging.getLogger(__name__)


def read_object(storage: Any, path: str, most_bytes: int) -> bytes:
    """
    Return the content of an object, up to so many bytes.

    :raises OSError: If it cannot be read: FileNotFoundError, IsADirectoryError, PermissionError and so on.
    """
    storage.invalidate_cache()
    found = call_storage(storage, "info", path)
    if found["type"] == "directory":
        raise IsADirectoryError(path)
    # Of a large object s3fs reads several blocks, and asks each time for the version that it saw first.
    with storage.open(path, "rb") as file:
        return bytes(file.read(most_bytes))


def size_of(storage: Any, path: str) -> int | None:
    """Return the bytes of an object; None if there is none."""
    storage.invalidate_cache()
    try:
        found = call_storage(storage, "info", path)
    except FileNotFoundError:
        return None
    return int(found["size"]) if found["type"] == "file" else None


def names_beginning_with(storage: Any, folder: str, beginning: str) -> list[str]:
    """Return the names of the objects of a folder that begin in this way, without those in folders below."""
    storage.invalidate_cache()
    try:
        found = call_storage(storage, "find", folder, prefix=beginning)
    except FileNotFoundError:
        return []
    except (TypeError, ValueError):  # a storage that cannot look for names
        found = call_storage(storage, "ls", folder, detail=False)
    start = f"{folder.rstrip('/')}/" if folder else ""
    names = (str(path).removeprefix(start) for path in found if str(path).startswith(start))
    return [name for name in names if name.startswith(beginning) and "/" not in name]


def is_folder(storage: Any, path: str) -> bool:
    """Whether there is something below a path, as far as the connection may look."""
    storage.invalidate_cache()
    try:
        return bool(call_storage(storage, "info", path)["type"] == "directory")
    except (FileNotFoundError, PermissionError):
        return False


def check_writable(storage: Any, path: str, partial: str, media_type: str) -> None:
    """
    Try what storing an output takes, and leave nothing.

    Where an object is published only when its upload is complete, this begins an upload of the object and aborts
    it: no right to read, list or delete is needed, no object or version is made, and nothing is notified.
    Elsewhere it writes a small object, looks at it, and removes it.

    :param path: Of the object.
    :param partial: The path of a temporary object.
    :raises Exception: Whatever the storage says if that is not possible.
    """
    upload = open_unpublished(storage, path, media_type, 1)
    if upload is not None:
        try:
            within_time(upload.try_write)
        except OSError as error:
            if error.errno != errno.ENOSYS:
                raise
            # A server without multipart uploads takes small objects at once: it is tried like all others.
        else:
            return
    call_storage(storage, "pipe_file", partial, b"segmind")
    with suppress(FileNotFoundError):  # another task that checks the same folder has removed it
        call_storage(storage, "info", partial)
        call_storage(storage, "rm_file", partial)


class PartialObject:
    """
    An object that is being written, under a temporary name.

    :param partial: Its path.
    """

    def __init__(self, storage: Any, partial: str) -> None:
        self._storage = storage
        self._partial = partial
        # Not the path's own open(), which reports each write to lineage: of an object that will not be there.
        self._file = storage.open(partial, "wb", block_size=LEAST_BLOCK)
        self._moved = False

    def write(self, piece: bytes) -> None:
        """Append a piece."""
        self._file.write(piece)

    def move_to(self, path: str, size: int) -> None:
        """
        Give the object its name, in place of one that has it.

        :param size: Bytes that were written: checked.
        :raises OSError: If that is not possible.
        """
        self._file.close()
        try:
            self._copy_to(path)
        except FileNotFoundError:
            # Another attempt at the same request used the same temporary name, and was faster.
            if size_of(self._storage, path) != size:
                raise
        with suppress(PermissionError):
            stored = size_of(self._storage, path)
            if stored != size:
                raise OSError(f"the storage has {stored} of {size} bytes")
        self._moved = True
        self._remove()

    def close(self) -> None:
        """Remove the object if it has not got its name."""
        if not self._moved:
            with suppress(Exception):
                self._file.close()
            self._remove()

    def _copy_to(self, path: str) -> None:
        try:
            self._storage.cp_file(self._partial, path)
        except NotImplementedError:  # as of SFTP, which can rename instead
            self._storage.mv(self._partial, path)

    def _remove(self) -> None:
        try:
            self._storage.rm_file(self._partial)
        except FileNotFoundError:
            return
        except Exception as error:  # noqa: BLE001 - the output is stored, or the error that matters is on its way
            log.warning("A temporary object could not be removed: %s: %s", type(error).__name__, self._partial)
