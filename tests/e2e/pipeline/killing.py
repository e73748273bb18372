"""Killing workers at random."""

from __future__ import annotations

import signal
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import psutil


@dataclass
class Killer:
    """
    Kills tasks, and the workers that supervise them, with SIGKILL.

    Only busy workers are chosen: an idle one may hold the lock of LocalExecutor's queue, and without it no other
    could ever take a task again.

    :param scheduler: Process id of the scheduler, whose children LocalExecutor's workers are.
    """

    scheduler: int
    random: Random
    tasks: int = field(default=0, init=False)
    workers: int = field(default=0, init=False)

    def kill_one(self) -> bool:
        """Kill one of those that are busy, and tell whether there was one."""
        busy = busy_workers(self.scheduler)
        if not busy:
            return False
        worker, task = self.random.choice(busy)
        whole_worker = self.random.random() < 1 / 2
        with suppress(psutil.Error):
            (worker if whole_worker else task).send_signal(signal.SIGKILL)
            self.workers += whole_worker
            self.tasks += not whole_worker
            return True
        return False


def busy_workers(scheduler: int) -> list[tuple[psutil.Process, psutil.Process]]:
    """Return the workers that have a task, each with the process of its task."""
    with suppress(psutil.Error):
        workers = psutil.Process(scheduler).children()
        return [(worker, task) for worker in workers for task in _children(worker)]
    return []


def _children(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return [each for each in process.children() if each.status() != psutil.STATUS_ZOMBIE]
    return []
