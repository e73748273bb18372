"""Saving an output to a file for Python code: whole, or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from airflow_provider_segmind.api.text import safe_repr
from airflow_provider_segmind.exceptions import InvalidParameterError

LARGEST_FILE = 2 * 1024**3
"""Bytes that a download may have, unless the caller says otherwise."""


def local_path(path: str | os.PathLike[str]) -> Path:
    """
    Return the path of a file on this machine.

    :raises InvalidParameterError: If it is a URI, or a folder.
    """
    text = os.fspath(path)
    if "://" in text:
        raise InvalidParameterError(
            "path",
            f"must be a path on this machine, not {safe_repr(text)}. Operators store in object storage",
        )
    if not text or text.endswith(os.sep) or Path(text).is_dir():
        raise InvalidParameterError("path", f"must be the path of a file, not of a folder: {safe_repr(text)}")
    return Path(text)


def save(pieces: Iterable[bytes], target: Path, mode: int = 0o666) -> None:
    """
    Write a file next to its final place, and move it there when it is whole.

    :param mode: Who may use it, as far as the process's umask allows.
    """
    partial = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with open(partial, "xb", opener=lambda path, flags: os.open(path, flags, mode)) as file:
            for piece in pieces:
                file.write(piece)
        partial.replace(target)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
