"""
What readers of the account get, and the file in which the processes of one user on one machine share it.

An API server may have several processes, and a machine several API servers. The first process that needs an answer
reads it, while the others wait for the lock of its file.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from airflow_provider_segmind.hooks import shared_files

LIFETIME = 60.0
"""Seconds for which an answer is used again."""

LIFETIME_OF_ERRORS = 15.0
"""The same of an error: a reader who reloads a page that says "try again" asks nobody more often."""

LARGEST = 4 * 1024 * 1024
"""Bytes of an answer that is shared: a thousand requests have less than one tenth of it, with usual addresses."""

LONGEST_WAIT = 60.0
"""Seconds for which a process waits for what another one reads. It takes less, unless that one hangs."""

VERSION = 1

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """
    An answer to a reader.

    :param status: Of HTTP.
    :param document: What is sent as JSON.
    :param read_at: When it was read, in seconds since the epoch.
    """

    status: int
    document: dict[str, Any]
    read_at: float

    @property
    def lifetime(self) -> float:
        """Seconds for which it is used again."""
        return LIFETIME if self.status == 200 else LIFETIME_OF_ERRORS

    def is_fresh(self, now: float) -> bool:
        """Tell whether it may be used. What was read in the future was not."""
        return 0 <= now - self.read_at < self.lifetime

    def as_json(self) -> bytes:
        """Return what is sent."""
        return json.dumps(self.document).encode()


IsPossible = Callable[[Answer], bool]


def share(name: str, read: Callable[[], Answer], is_possible: IsPossible) -> Answer:
    """
    Return the answer that another process has read or is reading; else read it for all of them.

    :param name: Of what is asked for. It has to differ for each key, connection and period.
    :param read: Reads the answer. What it raises is shared with nobody.
    :param is_possible: Tells whether ``read`` might return such an answer. The file is not believed otherwise.
    """
    with ExitStack() as stack:
        try:
            folder = shared_files.open_shared_folder()
            path = folder / f"{shared_files.ACCOUNT}-{name}.json"
            file = stack.enter_context(shared_files.locked(path, LONGEST_WAIT))
            known = _read(file, is_possible)
        except OSError as error:
            log.warning("The processes of this machine cannot share what they read of an account: %s", error)
            return read()
        if known is not None:
            return known
        answer = read()
        with suppress(OSError):
            _write(file, answer)
        shared_files.delete_old_files(folder)
        return answer


def _read(file: int, is_possible: IsPossible) -> Answer | None:
    """Return the answer in a file; None if it is not fresh, or cannot be what a process has written there."""
    text = os.pread(file, LARGEST + 1, 0)
    if not text or len(text) > LARGEST:
        return None
    try:
        found = json.loads(text)
        version, status, read_at, document = (found[name] for name in ("version", "status", "read_at", "document"))
    except (ValueError, RecursionError, TypeError, KeyError):
        return None
    if (
        version != VERSION
        or type(status) is not int
        or type(read_at) is not float
        or not isinstance(document, dict)
    ):
        return None
    answer = Answer(status, document, read_at)
    return answer if answer.is_fresh(time.time()) and is_possible(answer) else None


def _write(file: int, answer: Answer) -> None:
    """Write an answer in place of the last one; nothing if it is too large to be shared."""
    kept = {"version": VERSION, "status": answer.status, "read_at": answer.read_at, "document": answer.document}
    text = json.dumps(kept).encode()
    os.ftruncate(file, 0)
    if len(text) <= LARGEST:
        os.pwrite(file, text, 0)
