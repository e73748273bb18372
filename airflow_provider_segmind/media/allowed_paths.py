"""Which files of a worker a task may read and write: those below the folders that the administrator allows."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import PurePosixPath

from airflow_provider_segmind.api.text import one_line, safe_repr
from airflow_provider_segmind.compat import conf
from airflow_provider_segmind.exceptions import InvalidParameterError

SECTION, OPTION = "segmind", "allowed_local_paths"
_VARIABLE = f"AIRFLOW__{SECTION}__{OPTION}".upper()


@dataclass(frozen=True)
class AllowedFile:
    """
    A file below a folder that is allowed, with all symbolic links before its name resolved.

    :param root: The allowed folder.
    :param folders: The folders between that and the file.
    :param name: The file's name; empty if the path is that of the allowed folder.
    """

    root: str
    folders: tuple[str, ...]
    name: str


def file_to_read(name: str, path: str) -> AllowedFile:
    """
    Return the file that a path leads to.

    :param name: The parameter that has the path, for messages.
    :param path: Absolute.
    :raises InvalidParameterError: If it is not below an allowed folder.
    """
    return _resolve_allowed(name, path, os.path.realpath(path), "read")


def file_to_write(name: str, path: str) -> AllowedFile:
    """
    Return the file of a path. A symbolic link of that name is not followed: the file takes its place.

    :param name: The parameter that has the path, for messages.
    :param path: Absolute; with a slash at its end, a folder.
    :raises InvalidParameterError: If it is not below an allowed folder.
    """
    folder, file = os.path.split(path)
    return _resolve_allowed(name, path, os.path.join(os.path.realpath(folder), file), "written")  # noqa: PTH118 - keeps ""


def _resolve_allowed(name: str, path: str, resolved: str, done: str) -> AllowedFile:
    folders = _read_allowed_folders(name)
    for folder in folders:
        root = os.path.realpath("/" + folder.lstrip("/"))
        if PurePosixPath(resolved).is_relative_to(root):
            between, _, file = resolved.removeprefix(root).lstrip("/").rpartition("/")
            return AllowedFile(root, tuple(part for part in between.split("/") if part), file)
    example = one_line(os.path.dirname(path))  # noqa: PTH120 - as it was written
    if not folders:
        problem = "no folder is allowed"
    elif resolved != path:
        problem = f"it leads to {safe_repr(resolved)}, which is not in an allowed folder"
    else:
        problem = "it is not in an allowed folder"
    raise InvalidParameterError(
        name,
        f"{safe_repr(path)} may not be {done}: {problem}. An administrator can allow it with the option "
        f"[{SECTION}] {OPTION}, a comma-separated list of absolute folders, such as {_VARIABLE}={example}",
    )


def _read_allowed_folders(name: str) -> list[str]:
    """Return the folders that the option names, as they are written."""
    text = conf.get(SECTION, OPTION, fallback="") or ""
    folders = [each.strip() for each in text.split(",") if each.strip()]
    for folder in folders:
        if not folder.startswith("/") or ".." in folder.split("/"):
            raise InvalidParameterError(
                name,
                f"the option [{SECTION}] {OPTION} ({_VARIABLE}) has the invalid folder {safe_repr(folder)}: write "
                "absolute folders without '~' and '..', separated by commas",
            )
    return folders
