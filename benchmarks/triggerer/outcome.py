"""What came of one case, and figures that follow from several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.triggerer.plan import Kind

KIB = 1024.0
NOTHING = "-"
"""What a table says where there is no figure."""


@dataclass(frozen=True)
class Memory:
    """MiB of the process whose event loop runs the triggers: its own, and with its part of what is shared."""

    own: float
    proportional: float


@dataclass(frozen=True)
class Lag:
    """How late the event loop was, in milliseconds."""

    p50: float
    p99: float
    most: float
    samples: int


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


def sizes(outcomes: Sequence[Outcome]) -> list[int]:
    """Return how many jobs waited, each number once."""
    return sorted({each.size for each in outcomes})


def find(outcomes: Sequence[Outcome], kind: Kind, size: int) -> Outcome | None:
    """Return the outcome of a kind, if it was measured and not interrupted."""
    return next((each for each in outcomes if (each.kind, each.size, each.restart) == (kind, size, None)), None)


def work_per_job(outcome: Outcome) -> float | None:
    """Return the CPU seconds for each finished job, without those that the triggerer needs to do nothing."""
    if not outcome.finished:
        return None
    return (outcome.cpu - outcome.idle * outcome.window) / outcome.finished


def above_sleeping(outcomes: Sequence[Outcome], outcome: Outcome) -> float | None:
    """Return the same without what a trigger needs that only sleeps: what is left is the waiting itself."""
    floor = find(outcomes, Kind.SLEEPING, outcome.size)
    own = work_per_job(outcome)
    least = work_per_job(floor) if floor else None
    return own - least if own is not None and least is not None else None


def memory_per_trigger(outcomes: Sequence[Outcome], kind: Kind) -> float | None:
    """
    Return the KiB for each more trigger that waits, between the two largest sizes.

    What the smaller one has already does not count: what the first trigger imports, and the few sockets of all.
    """
    grown = [
        (each.size, each.memory_growth)
        for size in sizes(outcomes)
        if (each := find(outcomes, kind, size)) and each.memory_growth is not None
    ]
    if len(grown) < 2:
        return None
    (few, little), (many, much) = grown[-2:]
    return (much - little) * KIB / (many - few)


def ratio(part: float | None, whole: float | None) -> str:
    """Return how many times the whole goes into the part, for a table."""
    if part is None or whole is None or whole <= 0:
        return NOTHING
    return f"{part / whole:.1f}"
