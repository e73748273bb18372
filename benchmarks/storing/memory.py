"""The memory of tasks in the workers of a LocalExecutor."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median

import psutil

from tests.e2e.pipeline.killing import busy_workers

EVERY = 0.02
MIB = 1024.0


class Peak:
    """
    The most memory that a task had.

    :param idle: MiB of a worker that has no task: a task is a fork of it.
    """

    def __init__(self, idle: float) -> None:
        self.idle = idle
        self.highest = idle

    @property
    def above_idle(self) -> float:
        """MiB that a task had more."""
        return self.highest - self.idle


@contextmanager
def watched(scheduler: int) -> Iterator[Peak]:
    """
    Watch all tasks for the length of a ``with`` block.

    The kernel keeps each process's peak, so that none between two looks is missed but the very last.
    """
    workers = psutil.Process(scheduler).children()
    peak = Peak(median(_mib(worker.pid, "VmRSS") for worker in workers))
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(EVERY):
            for _, task in busy_workers(scheduler):
                peak.highest = max(peak.highest, _mib(task.pid, "VmHWM"))

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield peak
    finally:
        stop.set()
        watching.join()


def _mib(pid: int, name: str) -> float:
    """Return a figure of a process; 0 if the process is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / MIB
    return 0.0
