"""
The folder of small files that the processes of one user on one machine share.

It lies where everybody may write, so it is checked before each use; nobody else can open it. A process that works
with a file locks it. Files that nobody needs any more are deleted by those who write others.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK_PATIENCE = 0.5
"""Seconds for which a lock is waited for. Most files are locked for less than a millisecond, unless one hangs."""

LOCK_PAUSE = 0.01
"""Seconds between two attempts to lock a file."""

LONGEST_KEPT = 24 * 3600.0
"""Seconds for which a file is kept that nobody writes: none of them says anything for as long as that."""

ACCOUNT = "account"
KEPT_BY_KIND = {ACCOUNT: 120.0}
"""The same of files whose names begin so: what an account has made is not kept longer than it is shown."""

_MOST_FILES = 1000
"""Of which one look for old ones takes notice."""


def shared_folder() -> Path:
    """Return the folder that the processes of this user on this machine share."""
    return Path(tempfile.gettempdir()) / f"airflow-segmind-{os.getuid()}"


def open_shared_folder() -> Path:
    """
    Return the folder that the processes of this user on this machine share, which is made if there is none.

    :raises OSError: If it cannot be used, or others may open it.
    """
    folder = shared_folder()
    folder.mkdir(mode=0o700, exist_ok=True)
    _check_folder(folder)
    return folder


def _check_folder(folder: Path) -> None:
    """Check that nobody else has made or can change the folder: everybody may write where it lies."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(f"{folder} is not a folder")
    if found.st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise PermissionError(f"other users may open {folder}; run `chmod 700 {folder}`")


@contextmanager
def locked(path: Path, patience: float | None = None, *, is_made: bool = True) -> Iterator[int]:
    """
    Open a file that no other process has locked, and lock it.

    :param patience: Seconds to wait for the lock; by default ``LOCK_PATIENCE``.
    :param is_made: Whether to make the file if there is none.
    :raises OSError: If it is not a regular file, or stays locked.
    """
    deadline = time.monotonic() + (LOCK_PATIENCE if patience is None else patience)
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | (os.O_CREAT if is_made else 0)
    while True:
        file = os.open(path, flags, 0o600)
        try:
            _lock(file, path, deadline)
            if _is_at(file, path):  # else it was deleted before it was locked
                yield file
                return
        finally:
            os.close(file)


def delete_old_files(folder: Path) -> None:
    """Delete the files that nobody needs any more, also what a process left that died while it wrote one."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry, _ in zip(entries, range(_MOST_FILES), strict=False):
            with suppress(OSError):
                if entry.is_file(follow_symlinks=False) and _is_old(entry.name, entry.stat(follow_symlinks=False)):
                    _delete_if_old(folder / entry.name)


def _delete_if_old(path: Path) -> None:
    """Delete a file if it is still old under its lock. One that is locked is in use."""
    with locked(path, 0.0, is_made=False) as file:
        if _is_old(path.name, os.fstat(file)):
            path.unlink()


def _is_old(name: str, found: os.stat_result) -> bool:
    return time.time() - found.st_mtime > KEPT_BY_KIND.get(name.partition("-")[0], LONGEST_KEPT)


def _lock(file: int, path: Path, deadline: float) -> None:
    if not stat.S_ISREG(os.fstat(file).st_mode):
        raise OSError(f"{path} is not a regular file")
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError(f"{path} is locked by a process that hangs") from None
        time.sleep(LOCK_PAUSE)


def _is_at(file: int, path: Path) -> bool:
    """Tell whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(file), path.lstat())
    except FileNotFoundError:
        return False
