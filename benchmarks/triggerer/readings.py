"""What a triggerer has used so far and what it holds, and how late its event loop was."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.triggerer.outcome import Lag, Memory

MIB = 2**20
_MILLI = 1000.0


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


def usage_of(pid: int) -> Usage:
    """Return what a triggerer has used until now."""
    supervisor = psutil.Process(pid)
    return Usage(time.time(), sum(_cpu(each) for each in _family(supervisor)), _cpu(_loop_process(supervisor)))


def memory_of(pid: int) -> Memory:
    """Return the memory of the process with the event loop."""
    used = _loop_process(psutil.Process(pid)).memory_full_info()
    return Memory(used.uss / MIB, used.pss / MIB)


def _loop_process(supervisor: psutil.Process) -> psutil.Process:
    """Return the child that has used the most: the only one, but for a moment at the start when there is none."""
    return max(supervisor.children(), key=_cpu, default=supervisor)


def _family(supervisor: psutil.Process) -> Iterator[psutil.Process]:
    yield supervisor
    yield from supervisor.children(recursive=True)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def lag_between(path: Path, begin: float, end: float) -> Lag | None:
    """Return what was measured between two moments, in seconds since the epoch."""
    late = sorted(value for at, value in _samples(path) if begin <= at < end)
    if not late:
        return None
    return Lag(_share(late, 0.5), _share(late, 0.99), late[-1] * _MILLI, len(late))


def _samples(path: Path) -> list[tuple[float, float]]:
    lines = path.read_text().splitlines() if path.exists() else []
    pairs = [line.split() for line in lines]
    return [(float(pair[0]), float(pair[1])) for pair in pairs if len(pair) == 2]


def _share(values: Sequence[float], share: float) -> float:
    return values[round(share * (len(values) - 1))] * _MILLI
