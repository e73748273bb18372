"""Figures that follow from several outcomes."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.triggerer.kinds import Kind
from benchmarks.triggerer.outcome import Outcome

KIB = 1024.0
NOTHING = "-"
"""What a table says where there is no figure."""


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
