"""What goes wrong, and for whom: read by the DAGs, by the emulators and by the judge."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from airflow import __version__

AIRFLOW = tuple(int(part) for part in __version__.split(".")[:2])
"""The installed version, such as `(3, 3)`."""

FORGETFUL = AIRFLOW < (3, 3) or AIRFLOW >= (3, 4)
"""Whether Airflow's own store is not enough: it has none, or a clear deletes what is there."""

IN_FILES = os.environ.get("CRASH_RECORDS", "1" if FORGETFUL else "0") == "1"
"""Whether the records of the requests are files, as `[segmind] records_path` has it."""

CLEARS_CAN_KEEP = AIRFLOW >= (3, 4)
"""Whether one can ask Airflow to keep the state of a task that is cleared."""


class Side(StrEnum):
    """What makes the video: the operator in its two modes, or a Python task around the official client."""

    DEFERRED = "deferred"
    BLOCKING = "blocking"
    PLAIN = "plain"


class Act(StrEnum):
    """What is done to a task from outside while it runs."""

    NONE = ""
    TRIGGERER_RESTARTED = "triggerer_restarted"
    TRIGGERER_REPLACED = "triggerer_replaced"
    KEY_REVOKED = "key_revoked"
    STORAGE_BROKEN = "storage_broken"
    CLEARED = "cleared"
    SCHEDULER_KILLED = "scheduler_killed"
    MACHINE_LOST = "machine_lost"


DEATHS_FAIL = AIRFLOW == (3, 0)
"""Whether Airflow fails a task whose process was killed, whatever its `retries`. Then the task is cleared."""

MARKS = "CRASH_MARKS"
"""Environment variable with the folder in which each death leaves a mark."""

OUTPUTS = "CRASH_OUTPUTS"
"""Environment variable with the folder that videos are stored in, each in a folder of its task."""

VIDEO = "clip.mp4"

EVERYONE = tuple(Side)
OPERATOR = (Side.DEFERRED, Side.BLOCKING)
NEVER_BY_ITSELF = 3600.0
"""Seconds of a job that ends when the emulator's clock is advanced, not before."""


@dataclass(frozen=True)
class Event:
    """
    One thing that goes wrong.

    :param name: Its prompt is this and the side.
    :param title: For the reader of the table.
    :param dies_at: The point at which the task's process kills itself with SIGKILL in its first attempt.
    :param segmind: Settings of the emulator of each of its tasks.
    :param act: What is done to the task from outside.
    :param clear_keeps: Whether the task's state is kept when it is cleared; if not, Airflow's default holds.
    :param videos: How many are paid if each is paid once.
    :param last: Whether it gets a separate run after all others have ended: it would happen to them, too.
    """

    name: str
    title: str
    sides: tuple[Side, ...] = EVERYONE
    dies_at: str = ""
    whole_worker: bool = False
    segmind: Mapping[str, Any] = field(default_factory=dict, hash=False)
    act: Act = Act.NONE
    clear_keeps: bool = False
    instances: int = 1
    retry_delay: float = 1.0
    videos: int = 1
    weight: int = 1
    last: bool = False


@dataclass(frozen=True)
class Case:
    """One task: an event that happens to one side."""

    event: Event
    side: Side

    @property
    def task_id(self) -> str:
        """Also its prompt, and the end of its connection's id."""
        return f"{self.event.name}_{self.side}"

    @property
    def dag_id(self) -> str:
        """The DAG that it belongs to."""
        return f"paid_once_{self.event.name if self.event.last else self.side}"

    @property
    def stores(self) -> bool:
        """Whether the task stores its video."""
        return self.event.act is Act.STORAGE_BROKEN

    @property
    def conn_id(self) -> str:
        """The connection to its own emulator."""
        return f"segmind_{self.task_id}"


def _submit(**fault: Any) -> dict[str, Any]:
    return {"on": "submit", "count": 1, **fault}


def _faults(*faults: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return {"faults": faults, **settings}


_SLOW = {"latency": NEVER_BY_ITSELF, "retention": 2 * NEVER_BY_ITSELF}
_LOST = _submit(drop="after")

DEATHS = (
    Event("before_intent", "before the intent is written", OPERATOR, "before_intent"),
    Event("before_post", "before the POST (operator: the intent is written)", dies_at="before_post", weight=9),
    Event(
        "no_answer",
        "Segmind has accepted, the answer is not there yet",
        dies_at="no_answer",
        segmind=_faults(_submit(hang=True, accepted=True)),
        weight=5,
    ),
    Event("before_persist", "the answer is there, the id is not kept yet", dies_at="before_persist"),
    Event(
        "worker_lost",
        "the same, and the worker dies with the task",
        dies_at="before_persist",
        whole_worker=True,
        weight=9,
    ),
    Event("persisted", "the id is kept", OPERATOR, "persisted"),
    Event("at_defer", "just before the task defers", (Side.DEFERRED,), "at_defer"),
    Event("while_waiting", "while the worker waits", (Side.BLOCKING, Side.PLAIN), "while_waiting"),
    Event(
        "triggerer_restarted",
        "while deferred: triggerer killed, then restarted",
        (Side.DEFERRED,),
        segmind=_SLOW,
        act=Act.TRIGGERER_RESTARTED,
        weight=9,
    ),
    Event(
        "triggerer_replaced",
        "while deferred: one of two triggerers killed",
        (Side.DEFERRED,),
        segmind=_SLOW,
        act=Act.TRIGGERER_REPLACED,
        weight=9,
    ),
    Event("at_resume", "at the start of the resumed task", (Side.DEFERRED,), "at_resume"),
    Event("before_result", "the result is there, nothing is pushed yet", dies_at="before_result"),
    Event("before_delivered", "the result is pushed, not marked as delivered", OPERATOR, "before_delivered"),
    Event("after_delivered", "marked as delivered, `execute` not left", OPERATOR, "after_delivered"),
    Event("before_success", "`execute` has returned, the task has not succeeded yet", dies_at="before_success"),
)

LOSSES = (
    Event(
        "scheduler_killed",
        "while waiting: scheduler killed, its workers live on",
        segmind=_SLOW,
        act=Act.SCHEDULER_KILLED,
        last=True,
    ),
    Event(
        "machine_lost",
        "while waiting: scheduler and all workers killed",
        segmind=_SLOW,
        act=Act.MACHINE_LOST,
        last=True,
    ),
)

FAULTS = (
    Event("dropped", "answer to the submit dropped after acceptance", segmind=_faults(_LOST)),
    Event(
        "gateway_504", "504 to the submit after acceptance", segmind=_faults(_submit(status=504, accepted=True))
    ),
    Event(
        "dropped_and_died",
        "answer dropped, and death before the request that was found is kept",
        OPERATOR,
        "before_persist",
        segmind=_faults(_LOST),
    ),
    Event(
        "history_late",
        "answer dropped, history 20 s late",
        OPERATOR,
        segmind=_faults(_LOST, history_lag=20.0),
        weight=7,
    ),
    Event(
        "history_down",
        "answer dropped, history down at first",
        OPERATOR,
        segmind=_faults(_LOST, {"on": "history", "status": 503, "count": 4}),
        weight=7,
    ),
    Event(
        "expired",
        "id kept, death, record expired before the retry",
        dies_at="persisted",
        segmind={"latency": 0.5, "retention": 2.0},
        retry_delay=31.0,
        weight=9,
    ),
    Event(
        "expired_early",
        "record expired while it is waited for",
        segmind=_faults(_submit(outcome="expired")),
        weight=7,
    ),
    Event(
        "key_revoked",
        "key revoked while waiting, restored, task cleared",
        segmind=_SLOW,
        act=Act.KEY_REVOKED,
        weight=9,
    ),
    Event(
        "key_revoked_kept",
        "the same, cleared with `keep_task_state`",
        OPERATOR,
        segmind=_SLOW,
        act=Act.KEY_REVOKED,
        clear_keeps=True,
        weight=9,
    ),
    Event(
        "storage_broken",
        "the video cannot be stored, storage repaired, task cleared",
        OPERATOR,
        segmind=_SLOW,
        act=Act.STORAGE_BROKEN,
        weight=9,
    ),
    Event(
        "storage_broken_kept",
        "the same, cleared with `keep_task_state`",
        OPERATOR,
        segmind=_SLOW,
        act=Act.STORAGE_BROKEN,
        clear_keeps=True,
        weight=9,
    ),
    Event("rate_limited", "429 to the submit", segmind=_faults(_submit(status=429, reset_in=3.0))),
    Event("failed", "FAILED (not charged), then a retry", segmind=_faults(_submit(outcome="failed"))),
    Event(
        "mapped",
        "12 identical mapped instances, 5 answers dropped",
        (Side.DEFERRED, Side.PLAIN),
        segmind=_faults({**_LOST, "count": 5}),
        instances=12,
        videos=12,
    ),
    Event(
        "mapped_slow",
        "6 identical mapped instances, 2 answers dropped, 2 late by 8 s",
        OPERATOR,
        segmind=_faults(_submit(slow=8.0, count=2), {**_LOST, "count": 2}),
        instances=6,
        videos=6,
    ),
    Event("cleared", "cleared after success: one more video is wanted", act=Act.CLEARED, videos=2, weight=5),
    Event(
        "cleared_kept",
        "the same, cleared with `keep_task_state`",
        OPERATOR,
        act=Act.CLEARED,
        clear_keeps=True,
        videos=2,
        weight=5,
    ),
)


def impossible(event: Event) -> str:
    """Return why an event cannot happen on this Airflow; an empty string if it can."""
    if event.clear_keeps and not CLEARS_CAN_KEEP:
        return "before Airflow 3.4, nothing asks whether to keep the state of a cleared task"
    return ""


ONLY = tuple(filter(None, os.environ.get("CRASH_ONLY", "").split(",")))
"""Names of the events to play, for a closer look; all if there are none."""


def chosen(events: tuple[Event, ...]) -> tuple[Event, ...]:
    """Return those of the events that are to be played, and can be."""
    return tuple(event for event in events if (not ONLY or event.name in ONLY) and not impossible(event))


CASES = tuple(Case(event, side) for event in chosen((*DEATHS, *LOSSES, *FAULTS)) for side in event.sides)
