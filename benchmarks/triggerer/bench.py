"""What all rounds share: a folder, databases, and the clerk."""

from __future__ import annotations

import resource
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.triggerer.airflow_home import home
from benchmarks.triggerer.asking import Clerk, clerk
from benchmarks.triggerer.database import Databases, databases
from benchmarks.triggerer.stopping import orderly
from demo.processes import Processes
from tests.e2e.crash.waiting import Waiting

TEMPLATE = "template"
START_SECONDS = 240.0
_OPEN_FILES = 16_384


@dataclass(frozen=True)
class Bench:
    """
    Where measuring takes place.

    :param scale: Multiplies the duration of the jobs; 1 is real.
    """

    folder: Path
    databases: Databases
    clerk: Clerk
    scale: float


@contextmanager
def bench(scale: float) -> Iterator[Bench]:
    """Prepare all that the rounds share, and leave nothing of it."""
    _allow_open_files()
    folder = Path(tempfile.mkdtemp(prefix="segmind-triggerer-"))
    try:
        with orderly(), databases(folder) as made:
            template = home(folder / TEMPLATE, made.url(TEMPLATE), 1)
            template.folder.mkdir()
            made.create(TEMPLATE)
            _migrate(folder, dict(template.environment))
            with clerk(folder, template.environment) as asked:
                yield Bench(folder, made, asked, scale)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _migrate(folder: Path, environment: dict[str, str]) -> None:
    processes = Processes(folder)
    try:
        command = [sys.executable, "-m", "airflow", "db", "migrate"]
        migrating = processes.start("migrate", command, environment, lasting=False)
        Waiting(START_SECONDS).until("the database", lambda: processes.finished(migrating) or None)
    finally:
        processes.stop()


def _allow_open_files() -> None:
    """A triggerer has one log file open for each trigger."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
