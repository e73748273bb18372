"""What Airflow has recorded of a run, read when it has ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from benchmarks.small_key.dags.contestants import TASK_ID
from demo.airflow_api import AirflowApi, StateChange
from demo.waiting import Waiting

_PAGE = 100
_STATES = ("running", "deferred", "up_for_retry", "up_for_reschedule", "success", "failed")


@dataclass(frozen=True)
class TaskRecord:
    """
    A mapped task.

    :param state: How it ended.
    :param tries: How many it took.
    :param changes: Each change of its state, in order.
    :param video_url: What it returned, if it did.
    """

    map_index: int
    state: str
    tries: int
    changes: Sequence[StateChange]
    video_url: str | None

    @property
    def stays(self) -> list[float]:
        """How many seconds it held a worker slot, each time: from `running` to what came next."""
        held = [after.at - before.at for before, after in pairwise(self.changes) if before.state == "running"]
        return [each.total_seconds() for each in held]

    @property
    def ended_at(self) -> datetime | None:
        """When it reached its last state; None if it was never run."""
        return self.changes[-1].at if self.changes else None


class Records:
    """Airflow's records of one run of one DAG."""

    def __init__(self, api: AirflowApi, waiting: Waiting, dag_id: str, run_id: str) -> None:
        self._api = api
        self._waiting = waiting
        self._of_run = {"dag_id": dag_id, "run_id": run_id}
        self._path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances"

    def tasks(self) -> list[TaskRecord]:
        """Return the record of each mapped task."""
        changes = self._changes()
        return [
            TaskRecord(
                (index := each["map_index"]),
                each["state"],
                each["try_number"],
                changes.get(index, []),
                self._returned(index) if each["state"] == "success" else None,
            )
            for each in self._all("task_instances", self._path, order_by="map_index")
        ]

    def _changes(self) -> dict[int, list[StateChange]]:
        """Return the changes of state by map index, from the audit log."""
        changes: dict[int, list[StateChange]] = {}
        for row in self._all("event_logs", "/eventLogs", **self._of_run, task_id=TASK_ID, order_by="when"):
            if row["event"] in _STATES:
                change = StateChange(row["event"], datetime.fromisoformat(row["when"]))
                changes.setdefault(row["map_index"], []).append(change)
        return changes

    def _returned(self, map_index: int) -> str:
        path = f"{self._path}/{TASK_ID}/xcomEntries/return_value"
        entry = self._waiting.until("an XCom", lambda: self._api.get(path, map_index=map_index, stringify=False))
        return str(entry["value"])

    def _all(self, name: str, path: str, **parameters: Any) -> list[dict[str, Any]]:
        """Return all rows of a list that Airflow shows in pages."""
        rows: list[dict[str, Any]] = []
        while True:
            page = self._waiting.until(
                path, lambda: self._api.get(path, **parameters, limit=_PAGE, offset=len(rows))
            )[name]
            rows.extend(page)
            if len(page) < _PAGE:
                return rows
