"""The processes that run an executor's tasks."""

from __future__ import annotations

from contextlib import suppress

import psutil


def busy_workers(parent: int) -> list[tuple[psutil.Process, psutil.Process]]:
    """
    Return the processes that supervise a task, each with the process of its task.

    :param parent: The process id of their parent: a scheduler with LocalExecutor, or a Celery worker.
    """
    with suppress(psutil.Error):
        workers = psutil.Process(parent).children()
        return [(worker, task) for worker in workers for task in _children(worker)]
    return []


def _children(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return [each for each in process.children() if each.status() != psutil.STATUS_ZOMBIE]
    return []
