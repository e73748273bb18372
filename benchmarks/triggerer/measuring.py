"""From cases to outcomes."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from benchmarks.triggerer.bench import Bench, bench
from benchmarks.triggerer.outcome import Outcome
from benchmarks.triggerer.plan import Case
from benchmarks.triggerer.restart import RestartWatch
from benchmarks.triggerer.rig import Rig, rigged
from benchmarks.triggerer.usage import memory_of, usage_of
from benchmarks.triggerer.watch import Idle, Watch
from demo.processes import Processes

WARM_UP_SECONDS = 5.0
IDLE_SECONDS = 20.0
LOOK_SECONDS = 1.0


def measured(rounds: Sequence[Sequence[Case]], scale: float = 1.0) -> list[Outcome]:
    """Measure all cases, those of a round side by side."""
    outcomes: list[Outcome] = []
    with bench(scale) as place:
        for number, cases in enumerate(rounds, start=1):
            _say(f"round {number} of {len(rounds)}: {', '.join(case.name for case in cases)}")
            outcomes += _round(place, list(cases))
    return outcomes


def _round(place: Bench, cases: list[Case]) -> list[Outcome]:
    processes = Processes(place.folder)
    try:
        watches = _watches(place, rigged(place, cases, processes))
        for watch in watches:
            watch.begin()
        _say("all triggers are in the database")
        while not all(watch.over for watch in watches):
            time.sleep(LOOK_SECONDS)
            for watch in watches:
                _look(watch)
        return [watch.outcome() for watch in watches]
    finally:
        processes.stop()


def _look(watch: Watch) -> None:
    if watch.over:
        return
    watch.look()
    if watch.over:
        _say(f"{watch.rig.case.name} is over")


def _watches(place: Bench, rigs: list[Rig]) -> list[Watch]:
    """Measure what the triggerers use when idle, and return who is going to watch them."""
    _say("the triggerers are up")
    time.sleep(WARM_UP_SECONDS)
    first = [usage_of(rig.pid) for rig in rigs]
    time.sleep(IDLE_SECONDS)
    return [
        _watch(place, rig, Idle(before, usage_of(rig.pid), memory_of(rig.pid)))
        for rig, before in zip(rigs, first, strict=True)
    ]


def _watch(place: Bench, rig: Rig, idle: Idle) -> Watch:
    kind = RestartWatch if rig.case.restart else Watch
    return kind(place, rig, idle)


def _say(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")
