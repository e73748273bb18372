"""
Files on a disk of the worker, opened so that no other file can take their place meanwhile.

A folder is opened part by part, from the allowed one downwards and without following symbolic links. So what is
opened is below the allowed folder, whatever is renamed or linked at the same time.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from airflow_provider_segmind.media.allowed_paths import AllowedFile

_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_TO_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_TO_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ATTEMPTS = 5


class NotAFileError(ValueError):
    """A named pipe, a socket or a device."""


class ChangedMeanwhileError(OSError):
    """A file was written while it was read, or replaced while it was written."""


def read_file(file: AllowedFile, most_bytes: int) -> bytes:
    """
    Return the content of a file, up to so many bytes.

    :raises OSError: If it cannot be read: FileNotFoundError, IsADirectoryError, PermissionError and so on.
    :raises NotAFileError: If it is not a regular file: others may block, or never end.
    :raises ChangedMeanwhileError: If it was written meanwhile.
    """
    if not file.name:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    with _open_folder(file) as folder, open(os.open(file.name, _TO_READ, dir_fd=folder), "rb") as content:  # noqa: PTH123
        before = os.fstat(content.fileno())
        _check_regular(before)
        # Files of /proc say that they are empty, and are not: nothing of them is read.
        read = content.read(min(before.st_size, most_bytes))
        after = os.fstat(content.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise ChangedMeanwhileError("it changed while it was read")
    return read


def size_of(file: AllowedFile) -> int | None:
    """Return the bytes of a file; None if there is none, or something else."""
    try:
        with _open_folder(file) as folder:
            found = os.stat(file.name, dir_fd=folder, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def names_beside(file: AllowedFile) -> list[str]:
    """Return the names of what is in the folder of a file; none if there is no folder."""
    try:
        with _open_folder(file) as folder:
            descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
            try:
                return os.listdir(descriptor)  # noqa: PTH208 - of an open folder
            finally:
                os.close(descriptor)
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_folder(file: AllowedFile) -> bool:
    """Whether a folder has this name, or a symbolic link to one."""
    try:
        with _open_folder(file) as folder:
            return stat.S_ISDIR(os.stat(file.name or ".", dir_fd=folder).st_mode)
    except OSError:
        return False


def check_writable(file: AllowedFile, partial: str) -> None:
    """
    Write a small file beside a file, and remove it. Below the allowed folder no folders are made for it.

    :param partial: Its name.
    :raises OSError: If that is not possible.
    """
    with _open_nearest_folder(file) as folder:
        descriptor, name = _create(folder, partial)
        try:
            os.write(descriptor, b"segmind")
            os.fsync(descriptor)  # or a full disk might be noticed only later
        finally:
            os.unlink(name, dir_fd=folder)  # while it is locked, or it might be another attempt's by then
            os.close(descriptor)


def remove_file(file: AllowedFile) -> None:
    """
    Remove a file, if it is there.

    :raises OSError: If that is not possible.
    """
    with suppress(FileNotFoundError), _open_folder(file) as folder:
        os.unlink(file.name, dir_fd=folder)


class PartialFile:
    """
    A file that is being written, under a temporary name in the folder where it will be.

    No other attempt writes to the same file: it is locked, and where locks do not work, it is noticed in time.
    """

    def __init__(self, folder: int, name: str) -> None:
        self._folder = folder
        self._descriptor, self._name = _create(folder, name)
        self._file = os.fdopen(self._descriptor, "wb")

    def write(self, piece: bytes) -> None:
        """Append a piece."""
        self._file.write(piece)

    def move_to(self, name: str, size: int, *, replace: bool = True) -> None:
        """
        Give the file its name, in place of a file or a symbolic link that has it.

        :param size: Bytes that were written: checked.
        :param replace: If False, nothing is replaced.
        :raises FileExistsError: If the name is taken, and nothing is to be replaced.
        :raises OSError: If that is not possible.
        """
        self._file.flush()
        os.fsync(self._descriptor)
        written = os.fstat(self._descriptor).st_size
        if written != size:
            raise OSError(errno.EIO, f"the disk has {written} of {size} bytes")
        if not _is_same(self._descriptor, self._folder, self._name):
            raise ChangedMeanwhileError("another attempt is writing the same file")
        with suppress(FileNotFoundError):
            if stat.S_ISDIR(os.stat(name, dir_fd=self._folder).st_mode):
                raise IsADirectoryError(errno.EISDIR, "a folder has this name")
        if replace:
            os.replace(self._name, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        else:
            self._move_to_free_name(name)
        self._name = ""
        self._sync_folder()

    def _move_to_free_name(self, name: str) -> None:
        """Give the file a name that nothing has: unlike a rename, a link fails if its name is taken by then."""
        try:
            os.link(self._name, name, src_dir_fd=self._folder, dst_dir_fd=self._folder, follow_symlinks=False)
        except FileExistsError:
            raise FileExistsError(errno.EEXIST, "a file has this name already, and is not replaced") from None
        except OSError:  # a disk without links: the name is taken first
            os.close(os.open(name, _TO_WRITE, 0o666, dir_fd=self._folder))
            os.replace(self._name, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        else:
            os.unlink(self._name, dir_fd=self._folder)

    def close(self) -> None:
        """Remove the file if it has not got its name."""
        with suppress(OSError):
            if self._name and _is_same(self._descriptor, self._folder, self._name):
                os.unlink(self._name, dir_fd=self._folder)
        with suppress(OSError):  # of what is still in memory, and not wanted
            self._file.close()

    def _sync_folder(self) -> None:
        """Have the name outlast a crash of the machine, where the storage can do that."""
        with suppress(OSError):
            descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=self._folder)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


@contextmanager
def partial_file(file: AllowedFile, partial: str) -> Iterator[PartialFile]:
    """
    Begin a file in the folder of another, which is made if it does not exist.

    :param partial: The temporary name. A file that a killed attempt has left under it is replaced.
    """
    with _open_folder(file, make=True) as folder:
        writing = PartialFile(folder, partial)
        try:
            yield writing
        finally:
            writing.close()


@contextmanager
def _open_folder(file: AllowedFile, *, make: bool = False) -> Iterator[int]:
    """Open the folder of a file."""
    if make:
        os.makedirs(file.root, exist_ok=True)  # noqa: PTH103 - as all others here
    folder = os.open(file.root, _FOLDER)
    try:
        for part in file.folders:
            folder = _enter(folder, part, make)
        yield folder
    finally:
        os.close(folder)


@contextmanager
def _open_nearest_folder(file: AllowedFile) -> Iterator[int]:
    """Open the folder of a file, or the nearest one above that exists: the allowed one at last."""
    os.makedirs(file.root, exist_ok=True)  # noqa: PTH103 - outside of it nothing may be written
    folder = os.open(file.root, _FOLDER)
    try:
        for part in file.folders:
            try:
                folder = _enter(folder, part, False)
            except FileNotFoundError:
                break
        yield folder
    finally:
        os.close(folder)


def _enter(folder: int, part: str, make: bool) -> int:
    """Open a folder in an open folder, and close that. If this fails, it stays open."""
    if make:
        with suppress(FileExistsError):
            os.mkdir(part, dir_fd=folder)
    entered = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    os.close(folder)
    return entered


def _create(folder: int, name: str) -> tuple[int, str]:
    """
    Create a file and lock it.

    :return: Its descriptor, and its name: another one, if a living attempt is writing to that of this name.
    """
    candidate = name
    for _ in range(_ATTEMPTS):
        if not _try_clear(folder, candidate):
            candidate = f".{secrets.token_hex(16)}.part"
        try:
            descriptor = os.open(candidate, _TO_WRITE, 0o666, dir_fd=folder)
        except FileExistsError:
            continue
        if _try_lock(descriptor) and _is_same(descriptor, folder, candidate):
            return descriptor, candidate
        os.close(descriptor)
    raise ChangedMeanwhileError(f"other attempts are writing {name}")


def _try_clear(folder: int, name: str) -> bool:
    """Remove what a killed attempt has left under a name. False if a living one is writing to it."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISREG(found.st_mode):
            descriptor = os.open(name, _TO_READ, dir_fd=folder)
            try:
                # Once locked, it may be another file that has the name by now: that of a living attempt.
                if not _try_lock(descriptor) or not _is_same(descriptor, folder, name):
                    return False
                os.unlink(name, dir_fd=folder)
            finally:
                os.close(descriptor)
        else:
            os.unlink(name, dir_fd=folder)  # a symbolic link, say: never written through
    except FileNotFoundError:
        return True
    return True


def _try_lock(descriptor: int) -> bool:
    """Lock a file as long as it is open. False if another process has it; True where locks do not work."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _is_same(descriptor: int, folder: int, name: str) -> bool:
    """Whether an open file still has its name."""
    try:
        named, opened = os.stat(name, dir_fd=folder, follow_symlinks=False), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


def _check_regular(found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(found.st_mode):
        raise NotAFileError("is not a regular file, but a named pipe, a socket or a device")
