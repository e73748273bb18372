"""Watching one case from the moment its triggers are inserted until its last event."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from benchmarks.triggerer.bench import Bench
from benchmarks.triggerer.kinds import Job
from benchmarks.triggerer.lag import lag_between
from benchmarks.triggerer.outcome import Outcome
from benchmarks.triggerer.rig import Rig
from benchmarks.triggerer.usage import Memory, Usage, memory_of, usage_of

WAITING_SECONDS = 30.0
"""So long after all triggers have started their memory is measured."""

CAP_SECONDS = 120.0
"""So long after the end of the last job its event is waited for."""

SETTLING_SECONDS = 2.0
"""What belongs to the start of the triggers goes on for so long after they were counted."""


@dataclass(frozen=True)
class Idle:
    """A triggerer that has nothing to do but to measure."""

    first: Usage
    last: Usage
    memory: Memory


@dataclass
class Watch:
    """Looks again and again, and notes what there is to note."""

    bench: Bench
    rig: Rig
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
        self.rig.segmind.submit(self.rig.case.size)
        seen = self.rig.segmind.seen()
        self.jobs = [Job(**each) for each in seen["jobs"]]
        self._handshakes_at_begin = seen["handshakes"]
        self._log_at_begin = self.rig.log_size()
        self.begun = usage_of(self.rig.pid)
        jobs = [vars(job) for job in self.jobs]
        self.bench.clerk.ask("defer", self.rig.database, kind=self.rig.case.kind, jobs=jobs)

    def look(self) -> None:
        """Note what has happened since the last look."""
        self.rig.check()
        usage = usage_of(self.rig.pid)
        left = self.bench.clerk.ask("left", self.rig.database)
        self._note_start()
        self._note_memory()
        if left == 0 or time.time() > max(job.finishes_at for job in self.jobs) + CAP_SECONDS:
            self._ended = usage_of(self.rig.pid) if left == 0 else usage
            self.over = True

    def outcome(self) -> Outcome:
        """Return the figures."""
        assert self._ended is not None  # noqa: S101 - it is over
        begun, ended, idle = self.begun, self._ended, self.idle
        seen = self.rig.segmind.seen()
        events = self.bench.clerk.ask("events", self.rig.database)
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
            handshakes=seen["handshakes"] - self._handshakes_at_begin - 1,  # the last one was ours
            delays=sorted(each["at"] - ends[each["request_id"]] for each in good),
        )

    def _note_start(self) -> None:
        if self._started is None and self.rig.started_triggers() >= self.rig.case.size:
            self._started = time.time()
        settled = self._started is not None and time.time() >= self._started + SETTLING_SECONDS
        if settled and self._log_at_start is None:
            self._log_at_start = self.rig.log_size()

    def _note_memory(self) -> None:
        wait = WAITING_SECONDS * min(self.bench.scale, 1)
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
