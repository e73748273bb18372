"""Kills parts of an Airflow at random with SIGKILL, and starts others in their place."""

from __future__ import annotations

import signal
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import psutil

from harness import Cluster, busy_workers

TASK, SUPERVISOR = "task", "supervisor"
COMPONENTS = ("worker", "triggerer", "scheduler")
COMPONENT_SHARE = 1 / 4
"""So many of the deaths end a whole component, where the Airflow has several of each."""


@dataclass
class Killer:
    """
    Kills tasks, the processes that supervise them, and whole components of which there are several.

    Only busy supervisors are chosen: an idle one may hold the lock of its executor's queue, and without it no
    other could ever take a task again.

    :param cluster: What is killed.
    :param random: Chooses.
    """

    cluster: Cluster
    random: Random
    killed: Counter[str] = field(default_factory=Counter, init=False)

    @property
    def deaths(self) -> int:
        """How many have been killed so far."""
        return self.killed.total()

    def kill_one(self) -> bool:
        """Kill one of those that are busy, or a component, and return whether there was one."""
        several = [each for each in COMPONENTS if len(self.cluster.processes(each)) > 1]
        if several and self.random.random() < COMPONENT_SHARE:
            # In turn, so that a short run has each of them.
            self._replace(min(several, key=lambda each: self.killed[each]))
            return True
        return self._kill_task()

    def _replace(self, component: str) -> None:
        self.cluster.kill(self.random.choice(self.cluster.processes(component)))
        self.killed[component] += 1
        self.cluster.start(component)

    def _kill_task(self) -> bool:
        # With Celery its workers run the tasks, else the schedulers do.
        parents = self.cluster.processes("worker") or self.cluster.processes("scheduler")
        busy = [pair for parent in parents for pair in busy_workers(parent.popen.pid)]
        if not busy:
            return False
        supervisor, task = self.random.choice(busy)
        kind, victim = self.random.choice([(SUPERVISOR, supervisor), (TASK, task)])
        with suppress(psutil.Error):
            victim.send_signal(signal.SIGKILL)
            self.killed[kind] += 1
            return True
        return False
