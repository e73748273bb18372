"""Asking the clerk."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_END_SECONDS = 10.0


class Clerk:
    """The clerk's process, from outside."""

    def __init__(self, popen: subprocess.Popen[str], log: Path) -> None:
        self._popen = popen
        self._log = log
        self._answer()

    def ask(self, do: str, database: str, **more: object) -> Any:
        """Return the answer to a question about a database."""
        assert self._popen.stdin is not None  # noqa: S101 - it is a pipe
        self._popen.stdin.write(json.dumps({"do": do, "database": database, **more}) + "\n")
        self._popen.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._popen.stdout is not None  # noqa: S101 - it is a pipe
        line = self._popen.stdout.readline()
        if not line:
            raise RuntimeError(f"the database could not be read or written; see {self._log}")
        return json.loads(line)


@contextmanager
def clerk(folder: Path, environment: Mapping[str, str]) -> Iterator[Clerk]:
    """Have a clerk for the length of a ``with`` block."""
    log = folder / "clerk.log"
    with log.open("wb") as errors:
        popen = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.triggerer.clerk"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,
        )
        try:
            yield Clerk(popen, log)
        finally:
            _ended(popen)


def _ended(popen: subprocess.Popen[str]) -> None:
    popen.kill()
    popen.wait(_END_SECONDS)
    for pipe in (popen.stdin, popen.stdout):
        if pipe is not None:
            pipe.close()
