"""From cases to outcomes."""

from __future__ import annotations

import sys
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from benchmarks.triggerer.outcome import Memory, Outcome, Restart
from benchmarks.triggerer.plan import Case, Job
from benchmarks.triggerer.readings import Usage, lag_between, memory_of, usage_of
from benchmarks.triggerer.rig import Bench, Rig, running_bench

WARM_UP_SECONDS = 5.0
IDLE_SECONDS = 20.0
LOOK_SECONDS = 1.0
WAITING_SECONDS = 30.0
"""So long after all triggers have started their memory is measured."""

CAP_SECONDS = 120.0
"""So long after the end of the last job its event is waited for."""

SETTLING_SECONDS = 2.0
"""What belongs to the start of the triggers goes on for so long after they were counted."""

KILL_AFTER = 50.0
"""Seconds after which a triggerer is killed, before the scale: no job has ended by then."""


def measure(rounds: Sequence[Sequence[Case]], scale: float = 1.0) -> list[Outcome]:
    """Measure all cases, those of a round side by side."""
    outcomes: list[Outcome] = []
    with running_bench(scale) as bench:
        for number, cases in enumerate(rounds, start=1):
            _say(f"round {number} of {len(rounds)}: {', '.join(case.name for case in cases)}")
            outcomes += _round(bench, cases)
    return outcomes


def _round(bench: Bench, cases: Sequence[Case]) -> list[Outcome]:
    with bench.rigs(cases) as rigs:
        watches = _watches(rigs, bench.scale)
        for watch in watches:
            watch.begin()
        _say("all triggers are in the database")
        while not all(watch.over for watch in watches):
            time.sleep(LOOK_SECONDS)
            for watch in watches:
                _look(watch)
        return [watch.outcome() for watch in watches]


def _look(watch: Watch) -> None:
    watch.rig.cluster.waiting.check()
    if watch.over:
        return
    watch.look()
    if watch.over:
        _say(f"{watch.rig.case.name} is over")


def _watches(rigs: Sequence[Rig], scale: float) -> list[Watch]:
    """Measure what the triggerers use when idle, and return what is going to watch them."""
    _say("the triggerers are up")
    time.sleep(WARM_UP_SECONDS)
    first = [usage_of(rig.pid) for rig in rigs]
    time.sleep(IDLE_SECONDS)
    return [
        (RestartWatch if rig.case.restart else Watch)(
            rig, scale, Idle(before, usage_of(rig.pid), memory_of(rig.pid))
        )
        for rig, before in zip(rigs, first, strict=True)
    ]


def _say(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")


@dataclass(frozen=True)
class Idle:
    """A triggerer that has nothing to do but to measure."""

    first: Usage
    last: Usage
    memory: Memory


@dataclass
class Watch:
    """Looks again and again, and notes what there is to note."""

    rig: Rig
    scale: float
    idle: Idle
    jobs: list[Job] = field(default_factory=list)
    begun: Usage = field(init=False)
    over: bool = False
    _ended: Usage | None = None
    _started: float | None = None
    _memory: Memory | None = None
    _log_at_begin: int = 0
    _handshakes_at_begin: int = 0
    _log_at_start: int | None = None

    def begin(self) -> None:
        """Submit the jobs and insert their triggers."""
        self.jobs = self.rig.segmind.submit(self.rig.case.size)
        self._handshakes_at_begin = self.rig.segmind.handshakes
        self._log_at_begin = self.rig.log_size()
        self.begun = usage_of(self.rig.pid)
        self.rig.ask("defer", kind=self.rig.case.kind, jobs=[vars(job) for job in self.jobs])

    def look(self) -> None:
        """Note what has happened since the last look."""
        usage = usage_of(self.rig.pid)
        left = self.rig.ask("left")
        self._note_start()
        self._note_memory()
        if left == 0 or time.time() > max(job.finishes_at for job in self.jobs) + CAP_SECONDS:
            self._ended = usage_of(self.rig.pid) if left == 0 else usage
            self.over = True

    def outcome(self) -> Outcome:
        """Return the figures."""
        assert self._ended is not None  # noqa: S101 - it is over
        begun, ended, idle = self.begun, self._ended, self.idle
        seen = self.rig.segmind.requests()
        events = self.rig.ask("events")
        ends = {job.request_id: job.finishes_at for job in self.jobs}
        good = [each for each in events if each["completed"] and each["request_id"] in ends]
        last = max((each["at"] for each in good), default=ended.at)
        settled = (self._started or ended.at) + SETTLING_SECONDS
        rate, loop_rate = _rates(idle)
        return Outcome(
            kind=self.rig.case.kind,
            size=self.rig.case.size,
            finished=len(good),
            window=last - begun.at,
            cpu=ended.cpu - begun.cpu,
            loop_cpu=ended.loop_cpu - begun.loop_cpu,
            idle=rate,
            loop_idle=loop_rate,
            starting=self._started - begun.at if self._started else None,
            memory_before=idle.memory,
            memory_waiting=self._memory,
            lag_idle=lag_between(self.rig.meter, idle.first.at, idle.last.at),
            lag_starting=lag_between(self.rig.meter, begun.at, settled),
            lag_steady=lag_between(self.rig.meter, settled, last),
            blocked=self._blocked(),
            status_requests=seen["endpoints"]["status"],
            result_requests=seen["endpoints"]["result"],
            other_answers=sum(count for status, count in seen["statuses"].items() if status != "200"),
            handshakes=self.rig.segmind.handshakes - self._handshakes_at_begin,
            delays=sorted(each["at"] - ends[each["request_id"]] for each in good),
        )

    def _note_start(self) -> None:
        if self._started is None and self.rig.started_triggers() >= self.rig.case.size:
            self._started = time.time()
        settled = self._started is not None and time.time() >= self._started + SETTLING_SECONDS
        if settled and self._log_at_start is None:
            self._log_at_start = self.rig.log_size()

    def _note_memory(self) -> None:
        wait = WAITING_SECONDS * min(self.scale, 1)
        if self._memory is None and self._started is not None and time.time() >= self._started + wait:
            self._memory = memory_of(self.rig.pid)

    def _blocked(self) -> tuple[int, int]:
        start = self._log_at_start if self._log_at_start is not None else self.rig.log_size()
        return self.rig.blocked_since(self._log_at_begin, start), self.rig.blocked_since(start)


def _rates(idle: Idle) -> tuple[float, float]:
    seconds = idle.last.at - idle.first.at
    return (
        (idle.last.cpu - idle.first.cpu) / seconds,
        (idle.last.loop_cpu - idle.first.loop_cpu) / seconds,
    )


@dataclass
class RestartWatch(Watch):
    """The same, with an accident: the triggerer is killed while all wait, and another one is started."""

    _killed: float | None = None
    _waiting: int = 0

    def look(self) -> None:
        """Kill the triggerer when it is time to; then go on looking."""
        if self._killed is None and time.time() >= self.begun.at + KILL_AFTER * self.scale:
            self._waiting = self.rig.ask("left")
            self.rig.replace_triggerer()
            self._killed = time.time()
        super().look()

    def outcome(self) -> Outcome:
        """Return the figures; those of CPU and memory mean nothing here."""
        return replace(super().outcome(), restart=self._restart())

    def _restart(self) -> Restart | None:
        log = self.rig.segmind.requests()["log"]
        times = sorted(each["at"] for each in log if each["endpoint"] == "status")
        if self._killed is None:
            return None
        cut = bisect_left(times, self._killed)
        before, after = times[:cut], times[cut:]
        quiet = after[0] - self._killed if after else float("inf")
        return Restart(self._waiting, quiet, most_in_a_second(before), most_in_a_second(after))


def most_in_a_second(times: Sequence[float]) -> int:
    """Return the largest number of moments, in order, in any one second."""
    return max((index + 1 - bisect_left(times, at - 1) for index, at in enumerate(times)), default=0)
