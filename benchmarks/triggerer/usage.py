"""What a triggerer has used so far, and what it holds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

MIB = 2**20


@dataclass(frozen=True)
class Usage:
    """
    One reading.

    :param at: Seconds since the epoch.
    :param cpu: CPU seconds of all its processes, user and system, since they were started.
    :param loop_cpu: Those of the process whose event loop runs the triggers.
    """

    at: float
    cpu: float
    loop_cpu: float


@dataclass(frozen=True)
class Memory:
    """MiB of the process whose event loop runs the triggers: its own, and with its part of what is shared."""

    own: float
    proportional: float


def usage_of(pid: int) -> Usage:
    """Return what a triggerer has used until now."""
    supervisor = psutil.Process(pid)
    return Usage(time.time(), sum(_cpu(each) for each in _family(supervisor)), _cpu(_loop_process(supervisor)))


def memory_of(pid: int) -> Memory:
    """Return the memory of the process with the event loop."""
    told = _loop_process(psutil.Process(pid)).memory_full_info()
    return Memory(told.uss / MIB, told.pss / MIB)


def _loop_process(supervisor: psutil.Process) -> psutil.Process:
    """Return the child that has used the most: the only one, but for a moment at the start when there is none."""
    return max(supervisor.children(), key=_cpu, default=supervisor)


def _family(supervisor: psutil.Process) -> Iterator[psutil.Process]:
    yield supervisor
    yield from supervisor.children(recursive=True)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)
