"""The ways to wait that are compared, and the trigger that each job has."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MODEL = "kling-o1-image-to-video"
CONN_ID = "segmind_default"
PATIENCE = 3600.0
RIVALS = "benchmarks.triggerer.rivals"


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


def trigger_of(kind: Kind, job: Job) -> tuple[str, dict[str, Any]]:
    """Return the class path and the arguments of the trigger that waits for a job."""
    if kind is Kind.SEGMIND:
        return _segmind(job)
    if kind is Kind.HTTP:
        return f"{RIVALS}.http_style.HttpStyleTrigger", {"conn_id": CONN_ID, "request_id": job.request_id}
    if kind is Kind.THREAD:
        return f"{RIVALS}.thread_style.ThreadStyleTrigger", {"conn_id": CONN_ID, "request_id": job.request_id}
    return f"{RIVALS}.sleeping.SleepingTrigger", {"request_id": job.request_id, "until": job.finishes_at}


def _segmind(job: Job) -> tuple[str, dict[str, Any]]:
    from airflow_provider_segmind.triggers.request import SegmindRequestTrigger

    return SegmindRequestTrigger(
        request_id=job.request_id,
        segmind_conn_id=CONN_ID,
        submitted_at=job.submitted_at,
        deadline=job.submitted_at + PATIENCE,
        model=MODEL,
    ).serialize()
