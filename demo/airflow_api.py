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


@dataclass(frozen=True)
class StateChange:
    """A task's change of state, from Airflow's audit log."""

    state: str
    at: datetime


class AirflowApi:
    """Airflow, seen from outside. Asked again later, if it is not answering (yet), it may know more."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/api/v2"
        self._session = requests.Session()
        self._session.trust_env = False  # or a proxy might be asked for 127.0.0.1

    def is_healthy(self) -> bool:
        """Tell whether the database, scheduler, DAG processor and triggerer are well."""
        health = self._get("/monitor/health") or {}
        return all((health.get(component) or {}).get("status") == "healthy" for component in _COMPONENTS)

    def knows(self, dag_id: str) -> bool:
        """
        Tell whether a DAG has been read.

        :raises DemoError: If its file cannot be imported.
        """
        if self._get(f"/dags/{dag_id}"):
            return True
        for broken in (self._get("/importErrors") or {}).get("import_errors", []):
            if dag_id in broken["filename"]:
                raise DemoError(f"Airflow cannot import {broken['filename']}: {broken['stack_trace']}")
        return False

    def run(self, dag_id: str, conf: Mapping[str, Any]) -> Run:
        """Unpause a DAG and start a run of it."""
        self._send("PATCH", f"/dags/{dag_id}", {"is_paused": False})
        started = self._send("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": dict(conf)})
        return Run(self, dag_id, started["dag_run_id"])

    def pool(self) -> dict[str, Any]:
        """Return what Airflow says of the slots of the default pool."""
        return self._get("/pools/default_pool") or {}

    def _get(self, path: str, **parameters: Any) -> Any:
        """Return what is there, or None if there is nothing or Airflow is busy or not up."""
        try:
            response = self._session.get(f"{self._url}{path}", params=parameters, timeout=_SECONDS_PER_CALL)
        except (requests.ConnectionError, requests.Timeout):
            return None
        if response.status_code == requests.codes.not_found or response.status_code >= 500:
            return None
        return _body(response)

    def _send(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        try:
            return _body(self._session.request(method, f"{self._url}{path}", json=body, timeout=_SECONDS_PER_CALL))
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
        return (self._api._get(self._path) or {}).get("state")

    def task_state(self, task_id: str) -> str | None:
        """Return the state of a task."""
        return (self._api._get(f"{self._path}/taskInstances/{task_id}") or {}).get("state")

    def xcom(self, task_id: str, key: str) -> Any:
        """Return what a task has pushed, or None."""
        path = f"{self._path}/taskInstances/{task_id}/xcomEntries/{key}"
        return (self._api._get(path, stringify=False) or {}).get("value")

    def state_changes(self, task_id: str) -> list[StateChange]:
        """Return the changes of a task's state as Airflow's audit log has them, in order."""
        found = self._api._get("/eventLogs", dag_id=self._dag_id, run_id=self._run_id, task_id=task_id) or {}
        changes = [
            StateChange(each["event"], datetime.fromisoformat(each["when"]))
            for each in found.get("event_logs", [])
        ]
        return sorted(changes, key=lambda change: change.at)


def _body(response: requests.Response) -> Any:
    if not response.ok:
        raise DemoError(f"Airflow answered {response.status_code} to {response.url}: {response.text[:500]}")
    return response.json()
