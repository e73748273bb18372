"""What the demo asks Airflow, through its public REST API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import requests

from demo.failure import DemoError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS_PER_CALL = 10.0
_COMPONENTS = ("metadatabase", "scheduler", "dag_processor", "triggerer")
_MOST_INSTANCES = 100
_PUBLIC_API = "/api/v2"
_API_OF_TASKS = "/execution"


@dataclass(frozen=True)
class StateChange:
    """A task's change of state, from Airflow's audit log."""

    state: str
    at: datetime


class AirflowApi:
    """Airflow, seen from outside."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False  # or a proxy might be asked for 127.0.0.1

    def is_healthy(self) -> bool:
        """
        Tell whether the API server, database, scheduler, DAG processor and triggerer are well.

        The API of tasks is asked first, as its first answer takes seconds: better now than in a task.
        """
        if not self._get(f"{_API_OF_TASKS}/health"):
            return False
        health = self.get("/monitor/health") or {}
        return all((health.get(component) or {}).get("status") == "healthy" for component in _COMPONENTS)

    def knows(self, dag_id: str) -> bool:
        """
        Tell whether a DAG has been read.

        :raises DemoError: If its file cannot be imported.
        """
        if self.get(f"/dags/{dag_id}"):
            return True
        for broken in (self.get("/importErrors") or {}).get("import_errors", []):
            if dag_id in broken["filename"]:
                raise DemoError(f"Airflow cannot import {broken['filename']}: {broken['stack_trace']}")
        return False

    def run(self, dag_id: str, conf: Mapping[str, Any]) -> Run:
        """Unpause a DAG and start a run of it."""
        self._send("PATCH", f"/dags/{dag_id}", {"is_paused": False})
        started = self._send("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": dict(conf)})
        return Run(self, dag_id, started["dag_run_id"])

    def pool(self) -> Mapping[str, Any]:
        """Return what Airflow says of the slots of the default pool."""
        return self.get("/pools/default_pool") or {}

    def get(self, path: str, **parameters: Any) -> Any:
        """Return what is there; None if there is nothing (yet), or if Airflow is busy or not up (yet)."""
        return self._get(f"{_PUBLIC_API}{path}", **parameters)

    def _get(self, path: str, **parameters: Any) -> Any:
        try:
            response = self._session.get(f"{self._url}{path}", params=parameters, timeout=_SECONDS_PER_CALL)
        except (requests.ConnectionError, requests.Timeout):
            return None
        if response.status_code == requests.codes.not_found or response.status_code >= 500:
            return None
        return _body(response)

    def _send(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        url = f"{self._url}{_PUBLIC_API}{path}"
        try:
            return _body(self._session.request(method, url, json=body, timeout=_SECONDS_PER_CALL))
        except requests.RequestException as error:
            raise DemoError(f"Airflow did not answer {method} {path}: {error}") from error


class Run:
    """A run of a DAG."""

    def __init__(self, api: AirflowApi, dag_id: str, run_id: str) -> None:
        self._api = api
        self._dag_id = dag_id
        self._run_id = run_id
        self._path = f"/dags/{dag_id}/dagRuns/{run_id}"

    def state(self) -> str | None:
        """Return the state of the run."""
        return (self._api.get(self._path) or {}).get("state")

    def task_states(self) -> dict[str, list[str | None]]:
        """Return by task the states of its instances, in order: one, unless it is mapped."""
        found = self._api.get(f"{self._path}/taskInstances", limit=_MOST_INSTANCES) or {}
        states: dict[str, list[str | None]] = {}
        for each in sorted(found.get("task_instances", []), key=lambda each: int(each["map_index"])):
            states.setdefault(each["task_id"], []).append(each["state"])
        return states

    def xcom(self, task_id: str, key: str, map_index: int = -1) -> Any:
        """Return what a task has pushed, or None."""
        path = f"{self._path}/taskInstances/{task_id}/xcomEntries/{key}"
        return (self._api.get(path, stringify=False, map_index=map_index) or {}).get("value")

    def state_changes(self, task_id: str, map_index: int = -1) -> list[StateChange]:
        """Return the changes of a task's state as Airflow's audit log has them, in order."""
        of_task = {"dag_id": self._dag_id, "run_id": self._run_id, "task_id": task_id, "map_index": map_index}
        found = self._api.get("/eventLogs", **of_task) or {}
        changes = [
            StateChange(each["event"], datetime.fromisoformat(each["when"]))
            for each in found.get("event_logs", [])
        ]
        return sorted(changes, key=lambda change: change.at)


def _body(response: requests.Response) -> Any:
    if not response.ok:
        raise DemoError(f"Airflow answered {response.status_code} to {response.url}: {response.text[:500]}")
    return response.json()
