"""What Airflow says of itself, and is asked to do, through its public REST API: that of Airflow 3, or of 2."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import requests

from harness.failure import HarnessError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.waiting import Waiting

AIRFLOW_2 = version("apache-airflow").startswith("2.")
ENDED = ("success", "failed", "upstream_failed", "skipped", "removed")
"""The states in which a task, or a run, stays."""

_FAILED = ("failed", "upstream_failed", "removed")
_STATES = ("running", "deferred", "up_for_retry", "up_for_reschedule", "success", "failed")
_SECONDS_PER_CALL = 30.0
_PUBLIC_API = "/api/v1" if AIRFLOW_2 else "/api/v2"
_HEALTH = "/health" if AIRFLOW_2 else "/monitor/health"
_HEALTH_OF_TASK_API = "/execution/health"
_PAGE = 100


@dataclass(frozen=True)
class TaskRow:
    """
    A task instance as Airflow shows it.

    :param try_number: The number of its current attempt.
    :param started: When that began, as ISO 8601.
    :param process: Which process of the cluster ran it last: a worker, or a scheduler with its own workers.
    :param triggerer: Which triggerer waits for it.
    """

    task_id: str
    map_index: int = -1
    state: str | None = None
    try_number: int = 0
    started: str | None = None
    process: str = ""
    triggerer: str | None = None


@dataclass(frozen=True)
class StateChange:
    """A task's change of state, from Airflow's audit log."""

    state: str
    at: datetime


class AirflowApi:
    """
    Airflow, seen from outside.

    :param waiting: For what Airflow has to say, but is too busy to say at once.
    """

    def __init__(self, url: str, waiting: Waiting) -> None:
        self._url = url
        self._waiting = waiting
        self._session = requests.Session()
        self._session.trust_env = False  # or a proxy might be asked for 127.0.0.1

    def is_healthy(self, components: Sequence[str]) -> bool:
        """
        Tell whether the database and these components are well, of several of a kind one at least.

        The API of tasks is asked first, as its first answer takes seconds: better now than in a task.

        :param components: Some of `scheduler`, `dag_processor` and `triggerer`.
        """
        if not AIRFLOW_2 and not self._get(_HEALTH_OF_TASK_API):
            return False
        health = self.get(_HEALTH) or {}
        return all((health.get(each) or {}).get("status") == "healthy" for each in ("metadatabase", *components))

    def knows(self, dag_id: str) -> bool:
        """
        Tell whether a DAG has been read.

        :raises HarnessError: If its file cannot be imported.
        """
        if self.get(f"/dags/{dag_id}"):
            return True
        for broken in (self.get("/importErrors") or {}).get("import_errors", []):
            if dag_id in broken["filename"]:
                raise HarnessError(f"Airflow cannot import {broken['filename']}: {broken['stack_trace']}")
        return False

    def run(
        self,
        dag_id: str,
        conf: Mapping[str, Any] | None = None,
        *,
        run_id: str | None = None,
        run_after: datetime | None = None,
    ) -> Run:
        """Start a run of a DAG as soon as the DAG is known, or at a later moment."""
        self._waiting.until(f"the DAG {dag_id}", lambda: self.knows(dag_id))
        self.send("PATCH", f"/dags/{dag_id}", {"is_paused": False})
        body: dict[str, Any] = {"conf": dict(conf or {})} | ({} if AIRFLOW_2 else {"logical_date": None})
        if run_id is not None:
            body["dag_run_id"] = run_id
        if run_after is not None:
            body["run_after"] = run_after.isoformat()
        return Run(self, dag_id, self.send("POST", f"/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def pool(self) -> Mapping[str, Any]:
        """Return what Airflow says of the slots of the default pool."""
        return self.get("/pools/default_pool") or {}

    def living(self, kind: str) -> set[str]:
        """
        Return which processes of a kind Airflow knows to be alive. Airflow 2 does not say.

        :param kind: `Scheduler` or `Triggerer`.
        """
        found = self.get("/jobs", job_type=f"{kind}Job", is_alive="true", limit=_PAGE) or {}
        return {each["hostname"] for each in found.get("jobs", [])}

    def get(self, path: str, **parameters: Any) -> Any:
        """Return what is there; None if there is nothing (yet), or if Airflow is busy or not up (yet)."""
        return self._get(f"{_PUBLIC_API}{path}", **parameters)

    def get_all(self, name: str, path: str, **parameters: Any) -> list[dict[str, Any]]:
        """
        Return all rows of a list that Airflow shows in pages.

        :param name: What the answer calls the list.

        :raises HarnessError: If Airflow stays too busy.
        """
        rows: list[dict[str, Any]] = []
        while True:
            wanted = {**parameters, "limit": _PAGE, "offset": len(rows)}
            page = self._waiting.until(path, partial(self.get, path, **wanted))[name]
            rows += page
            if len(page) < _PAGE:
                return rows

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        """
        Have Airflow do something, and return its answer.

        :raises HarnessError: If it refuses, or does not answer.
        """
        url = f"{self._url}{_PUBLIC_API}{path}"
        try:
            return _body(self._session.request(method, url, json=body, timeout=_SECONDS_PER_CALL))
        except requests.RequestException as error:
            raise HarnessError(f"Airflow did not answer {method} {path}: {error}") from error

    def delete(self, path: str) -> None:
        """
        Have Airflow delete something.

        :raises HarnessError: If it refuses, or does not answer.
        """
        try:
            response = self._session.delete(f"{self._url}{_PUBLIC_API}{path}", timeout=_SECONDS_PER_CALL)
            response.raise_for_status()
        except requests.RequestException as error:
            raise HarnessError(f"Airflow did not delete {path}: {error}") from error

    def _log_in(self) -> bool:
        """Get a token, which Airflow 3.1 wants though everybody is an administrator. Tell whether there is one."""
        response = self._session.get(f"{self._url}/auth/token", timeout=_SECONDS_PER_CALL)
        token = response.json().get("access_token") if response.ok else None
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"
        return bool(token)

    def _get(self, path: str, **parameters: Any) -> Any:
        try:
            response = self._session.get(f"{self._url}{path}", params=parameters, timeout=_SECONDS_PER_CALL)
            if response.status_code == requests.codes.unauthorized and self._log_in():
                response = self._session.get(f"{self._url}{path}", params=parameters, timeout=_SECONDS_PER_CALL)
        except (requests.ConnectionError, requests.Timeout):
            return None
        if response.status_code == requests.codes.not_found or response.status_code >= 500:
            return None
        return _body(response)


class Run:
    """A run of a DAG."""

    def __init__(self, api: AirflowApi, dag_id: str, run_id: str) -> None:
        self._api = api
        self.dag_id = dag_id
        self.run_id = run_id
        self._path = f"/dags/{dag_id}/dagRuns/{run_id}"

    def state(self) -> str | None:
        """Return the state of the run."""
        return (self._api.get(self._path) or {}).get("state")

    def has_ended(self) -> bool:
        """Tell whether the run is a success or has failed."""
        return self.state() in ENDED

    def has_succeeded(self) -> bool:
        """
        Tell whether the run is a success.

        :raises HarnessError: If the run, or a task of it, has failed.
        """
        for row in self.rows():
            if row.state in _FAILED:
                raise HarnessError(f"the task {row.task_id} of {self.dag_id} is {row.state}")
        if (state := self.state()) == "failed":
            raise HarnessError(f"the run of {self.dag_id} has failed")
        return state == "success"

    def rows(self, task_id: str | None = None, *, since: datetime | None = None) -> list[TaskRow]:
        """
        Return the task instances of the run, those of a mapped task in order.

        :param task_id: Of one task only.
        :param since: Only those that have changed since then.
        """
        changed = {} if since is None else {"updated_at_gte": since.isoformat()}
        found = [
            _row(each) for each in self._api.get_all("task_instances", f"{self._path}/taskInstances", **changed)
        ]
        return sorted(
            (row for row in found if task_id in (None, row.task_id)), key=lambda row: (row.task_id, row.map_index)
        )

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """Return what a task has pushed, or None."""
        path = f"{self._path}/taskInstances/{task_id}/xcomEntries/{key}"
        return (self._api.get(path, stringify="false", map_index=map_index) or {}).get("value")

    def links(self, task_id: str, map_index: int = -1) -> dict[str, str | None]:
        """Return the links on a task's page by what is written on them. Airflow 2 has them for no map index."""
        path = f"{self._path}/taskInstances/{task_id}/links"
        parameters = {} if AIRFLOW_2 else {"map_index": map_index}
        found = self._api.get(path, **parameters) or {}
        return dict(found.get("extra_links", found))

    def clear(self, task_id: str, *, keep_state: bool = False) -> None:
        """
        Clear a task, as the button in the UI does.

        :param keep_state: Whether to keep what the task has in Airflow's task state store. Airflow 3.4 asks.
        """
        body = {
            "dry_run": False,
            "task_ids": [task_id],
            "dag_run_id": self.run_id,
            "only_failed": False,
            "reset_dag_runs": True,  # the default of Airflow 3
        }
        if keep_state:
            body["keep_task_state"] = True
        self._api.send("POST", f"/dags/{self.dag_id}/clearTaskInstances", body)

    def clear_all(self) -> None:
        """Clear the whole run, as the button in the UI does."""
        self._api.send("POST", f"{self._path}/clear", {"dry_run": False, "only_failed": False})

    def resume(self) -> None:
        """Let a run that has ended go on, with the tasks that have not."""
        self._api.send("PATCH", self._path, {"state": "queued"})

    def state_changes(self, task_id: str) -> dict[int, list[StateChange]]:
        """Return the changes of a task's state by map index, in order, as Airflow's audit log has them."""
        of_task = {"dag_id": self.dag_id, "run_id": self.run_id, "task_id": task_id}
        changes: dict[int, list[StateChange]] = {}
        for each in self._api.get_all("event_logs", "/eventLogs", **of_task, order_by="when"):
            if each["event"] in _STATES:
                change = StateChange(each["event"], datetime.fromisoformat(each["when"]))
                changes.setdefault(each["map_index"], []).append(change)
        return changes


def slot_stays(changes: Sequence[StateChange]) -> list[float]:
    """Return for how many seconds a task held a worker slot, each time: from `running` to what came next."""
    return [
        (after.at - before.at).total_seconds() for before, after in pairwise(changes) if before.state == "running"
    ]


def _row(found: Mapping[str, Any]) -> TaskRow:
    return TaskRow(
        task_id=found["task_id"],
        map_index=found["map_index"],
        state=found["state"],
        try_number=found["try_number"],
        started=found["start_date"],
        process=found["hostname"],
        triggerer=(found.get("triggerer_job") or {}).get("hostname"),
    )


def _body(response: requests.Response) -> Any:
    if not response.ok:
        raise HarnessError(f"Airflow answered {response.status_code} to {response.url}: {response.text[:500]}")
    return response.json()
