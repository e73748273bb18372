"""What came of one case."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.triggerer.kinds import Kind
from benchmarks.triggerer.lag import Lag
from benchmarks.triggerer.usage import Memory


@dataclass(frozen=True)
class Restart:
    """
    What a kill in the middle led to.

    :param waiting: Jobs that were waiting when the triggerer was killed.
    :param quiet: Seconds from the kill to the first status request of the next triggerer.
    :param before: Most status requests in any one second before the kill.
    :param after: The same after it.
    """

    waiting: int
    quiet: float
    before: int
    after: int


@dataclass(frozen=True)
class Outcome:
    """
    The raw figures of one case. Times are seconds.

    :param finished: Jobs whose result reached the task.
    :param window: From just before the triggers were inserted to the last event.
    :param cpu: CPU of the triggerer's processes in that window.
    :param loop_cpu: Of that, what the process with the event loop used.
    :param idle: CPU seconds of all its processes in a second of doing nothing.
    :param starting: Seconds until all triggers had started; None if some never did.
    :param blocked: Warnings of a blocked event loop while the triggers started, and after that.
    :param delays: From each job's end to its task's event.
    """

    kind: Kind
    size: int
    finished: int
    window: float
    cpu: float
    loop_cpu: float
    idle: float
    loop_idle: float
    starting: float | None
    memory_before: Memory
    memory_waiting: Memory | None
    lag_idle: Lag | None
    lag_starting: Lag | None
    lag_steady: Lag | None
    blocked: tuple[int, int]
    status_requests: int
    result_requests: int
    other_answers: int
    handshakes: int
    delays: list[float] = field(repr=False)
    restart: Restart | None = None

    @property
    def cpu_per_job(self) -> float | None:
        """CPU seconds for each finished job, all included."""
        return self.cpu / self.finished if self.finished else None

    @property
    def memory_growth(self) -> float | None:
        """MiB by which the process with the event loop has grown while all wait."""
        return self.memory_waiting.own - self.memory_before.own if self.memory_waiting else None
