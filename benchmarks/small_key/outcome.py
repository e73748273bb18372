"""What became of a contestant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from airflow_provider_segmind.emulator.running import RunningEmulator
from benchmarks.races import LIMITED
from benchmarks.small_key.dags.contestants import TASK_ID, Contestant
from harness import Cluster, Run, StateChange, TaskRow, slot_stays


@dataclass(frozen=True)
class Task:
    """
    A mapped task that has ended.

    :param changes: Each change of its state, in order.
    :param video_url: What it returned, if it did.
    """

    row: TaskRow
    changes: Sequence[StateChange]
    video_url: str | None

    @property
    def ended_at(self) -> datetime | None:
        """When it reached its last state; None if it was never run."""
        return self.changes[-1].at if self.changes else None


@dataclass(frozen=True)
class Delivery:
    """
    A video that a task has returned.

    :param at: When the task succeeded.
    :param delay: How many seconds after the video was made.
    """

    at: float
    delay: float


@dataclass(frozen=True)
class Outcome:
    """
    What became of a contestant. Moments are seconds after the start of all.

    :param states: How many tasks ended in which state.
    :param attempts: Of each task.
    :param stays: How many seconds each task held a worker slot, each time.
    :param charged: How many videos Segmind charged, and did not refund.
    :param paid: The same in USD.
    :param deliveries: Each charged video that is the return value of a task, in order.
    :param ended_at: When the last task ended, however it did.
    :param requests: How many were sent, by endpoint.
    :param limited: How many of them were answered with 429.
    :param sent: The moment, endpoint, HTTP status and job of each request.
    """

    contestant: str
    states: Mapping[str, int]
    attempts: Sequence[int]
    stays: Sequence[Sequence[float]]
    charged: int
    paid: float
    deliveries: Sequence[Delivery]
    ended_at: float
    requests: Mapping[str, int]
    limited: Mapping[str, int]
    sent: Sequence[tuple[float, str, int | None, str | None]]

    @property
    def delivered(self) -> int:
        """How many videos were paid and delivered."""
        return len(self.deliveries)

    @property
    def slot_seconds_per_video(self) -> float | None:
        """Worker-slot seconds of all tasks for each video that was delivered; None if none was."""
        return sum(map(sum, self.stays)) / self.delivered if self.delivered else None

    @property
    def first_stays(self) -> list[float]:
        """Seconds of the first time in a worker, of each task."""
        return [stays[0] for stays in self.stays if stays]

    @property
    def later_stays(self) -> list[float]:
        """Seconds of all other times in a worker."""
        return [stay for stays in self.stays for stay in stays[1:]]


def outcome(
    contestant: Contestant, run: Run, cluster: Cluster, emulator: RunningEmulator, started: datetime
) -> Outcome:
    """Put together what Airflow and the emulator of a contestant have recorded."""
    tasks = _tasks(run, cluster)
    ledger = emulator.ledger()
    log = emulator.requests()["log"]
    return Outcome(
        contestant=contestant.name,
        states=dict(Counter(str(task.row.state) for task in tasks)),
        attempts=[task.row.try_number for task in tasks],
        stays=[slot_stays(task.changes) for task in tasks],
        charged=ledger["count"],
        paid=ledger["total"],
        deliveries=_deliveries(tasks, emulator, started),
        ended_at=max((_after(started, task.ended_at) for task in tasks if task.ended_at), default=0.0),
        requests=dict(Counter(each["endpoint"] for each in log)),
        limited=dict(Counter(each["endpoint"] for each in log if each["status"] == LIMITED)),
        sent=[
            (round(each["at"] - started.timestamp(), 3), each["endpoint"], each["status"], each["request_id"])
            for each in log
        ],
    )


def _tasks(run: Run, cluster: Cluster) -> list[Task]:
    changes = run.state_changes(TASK_ID)

    def return_value(row: TaskRow) -> str | None:
        if row.state != "success":
            return None
        return str(cluster.until("an XCom", lambda: run.xcom(TASK_ID, map_index=row.map_index)))

    return [Task(row, changes.get(row.map_index, []), return_value(row)) for row in run.rows(TASK_ID)]


def _deliveries(tasks: Sequence[Task], emulator: RunningEmulator, started: datetime) -> list[Delivery]:
    """Return one for each video, even if several tasks had returned it."""
    made = {f"{emulator.url}/outputs/{job.request_id}.mp4": job.finishes_at for job in emulator._state.jobs}
    ended = {task.video_url: task.ended_at for task in tasks if task.video_url in made and task.ended_at}
    found = [
        Delivery(_after(started, moment), round(moment.timestamp() - made[str(url)], 3))
        for url, moment in ended.items()
    ]
    return sorted(found, key=lambda delivery: delivery.at)


def _after(started: datetime, moment: datetime) -> float:
    return round((moment - started).total_seconds(), 3)
