"""The ways to wait that are compared, what is measured together, and in what order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MODEL = "kling-o1-image-to-video"
CONN_ID = "segmind_default"
LONGEST_JOB = 3600.0
RIVALS = "benchmarks.triggerer.triggers"
DEFAULT_SIZES = (10, 100)
LONG_SIZE = 1000
LARGEST_TOGETHER = 100
"""So many jobs may wait in each of several triggerers at a time, without one disturbing the other."""


class Kind(StrEnum):
    """A way to wait."""

    SEGMIND = "segmind"
    HTTP = "http_style"
    THREAD = "thread_style"
    SLEEPING = "sleeping"


@dataclass(frozen=True)
class Job:
    """A job at the emulated Segmind. Times are seconds since the epoch."""

    request_id: str
    submitted_at: float
    finishes_at: float

    def trigger(self, kind: Kind) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments of the trigger that waits for this job."""
        if kind is Kind.SEGMIND:
            from airflow_provider_segmind.triggers.request import SegmindRequestTrigger

            deadline = self.submitted_at + LONGEST_JOB
            return SegmindRequestTrigger(
                self.request_id, CONN_ID, self.submitted_at, deadline, model=MODEL
            ).serialize()
        if kind is Kind.SLEEPING:
            return f"{RIVALS}.SleepingTrigger", {"request_id": self.request_id, "until": self.finishes_at}
        name = "HttpStyleTrigger" if kind is Kind.HTTP else "ThreadStyleTrigger"
        return f"{RIVALS}.{name}", {"conn_id": CONN_ID, "request_id": self.request_id}


@dataclass(frozen=True)
class Case:
    """So many jobs that wait in one triggerer in one way; ``restart``: the triggerer is killed in the middle."""

    kind: Kind
    size: int
    restart: bool = False

    @property
    def name(self) -> str:
        """A name for files and databases."""
        return f"{self.kind}_{self.size}{'_restart' if self.restart else ''}"


def rounds(sizes: Sequence[int], kinds: Iterable[Kind] = tuple(Kind), *, restart: bool = True) -> list[list[Case]]:
    """Return the cases: small ones side by side, the others one after the other."""
    kinds = tuple(kinds)
    small = [Case(kind, size) for size in sizes if size <= LARGEST_TOGETHER for kind in kinds]
    if restart and small and Kind.SEGMIND in kinds:
        small.append(Case(Kind.SEGMIND, max(each.size for each in small), restart=True))
    large = [[Case(kind, size)] for size in sizes if size > LARGEST_TOGETHER for kind in kinds]
    return ([small] if small else []) + large
