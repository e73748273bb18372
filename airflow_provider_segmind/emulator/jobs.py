"""The life of a job. Its state is computed from the clock when somebody asks: nothing runs in the background."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_segmind.emulator.models import Model

QUEUED = "QUEUED"
PROCESSING = "PROCESSING"
COMPLETED = "COMPLETED"
FAILED = "FAILED"


class Outcome(StrEnum):
    """How a job ends."""

    COMPLETED = "completed"
    FAILED = "failed"
    BLOCKED = "blocked"
    STUCK = "stuck"
    EXPIRED = "expired"
    UNKNOWN_STATE = "unknown_state"


_ERRORS = {
    Outcome.FAILED: "Inference failed: the model returned an error",
    Outcome.BLOCKED: "The request was blocked by the content safety policy (RAI)",
}


@dataclass(frozen=True, slots=True)
class Fate:
    """What is going to become of a job, decided when it is accepted.

    `state` and `state_seconds` belong to `unknown_state`: the state to report after QUEUED, and for how many
    real seconds (None: forever).
    """

    outcome: Outcome = Outcome.COMPLETED
    error: str | None = None
    state: str = "PAUSED"
    state_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """An accepted request. Durations are real seconds, already scaled; money is USD."""

    request_id: str
    model: Model
    sent: Mapping[str, Any]
    parameters: Mapping[str, Any]
    api_key: str
    accepted_at: float
    queue_seconds: float
    inference_seconds: float
    cost: float
    balance: float
    seed: int
    fate: Fate

    @property
    def starts_at(self) -> float:
        """Epoch seconds when a worker takes the job."""
        return self.accepted_at + self.queue_seconds

    @property
    def finishes_at(self) -> float:
        """Epoch seconds when the job reaches COMPLETED or FAILED; infinity if it never does."""
        if self.fate.outcome is Outcome.STUCK:
            return math.inf
        detour = 0.0
        if self.fate.outcome is Outcome.UNKNOWN_STATE:
            detour = math.inf if self.fate.state_seconds is None else self.fate.state_seconds
        return self.starts_at + detour + self.inference_seconds

    @property
    def fails(self) -> bool:
        """Whether the job ends FAILED, and so is refunded."""
        return self.fate.outcome in (Outcome.FAILED, Outcome.BLOCKED)

    @property
    def error(self) -> str | None:
        """The error of a job that fails."""
        return (self.fate.error or _ERRORS[self.fate.outcome]) if self.fails else None

    def state(self, now: float) -> str:
        """The state that the status endpoint reports at epoch second `now`."""
        if now >= self.finishes_at:
            return FAILED if self.fails else COMPLETED
        if now < self.starts_at:
            return QUEUED
        if self.fate.outcome is Outcome.UNKNOWN_STATE and now < self.finishes_at - self.inference_seconds:
            return self.fate.state
        return PROCESSING

    def expired(self, now: float, retention: float) -> bool:
        """Whether the gateway has forgotten the record."""
        return self.fate.outcome is Outcome.EXPIRED or now >= self.accepted_at + retention


class Jobs:
    """Every job accepted since the start, in order of acceptance. Expiry hides records, it does not drop them."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}

    def add(self, job: Job) -> None:
        """Remember an accepted job."""
        self._jobs[canonical(job.request_id)] = job

    def get(self, request_id: str) -> Job | None:
        """The job of that id, of any age; with or without dashes."""
        return self._jobs.get(canonical(request_id))

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs.values())

    def __len__(self) -> int:
        return len(self._jobs)


def new_request_id(*, with_dashes: bool = True) -> str:
    """An id that no other emulator run hands out again."""
    return str(uuid.uuid4()) if with_dashes else uuid.uuid4().hex


def canonical(request_id: str) -> str:
    """An id without its dashes."""
    return request_id.replace("-", "")
