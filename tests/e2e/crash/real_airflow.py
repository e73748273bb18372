"""A real Airflow whose triggerers can be killed and whose tasks can be cleared."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from demo import airflow_running
from demo.airflow_api import AirflowApi, Run
from demo.airflow_home import AirflowHome, configured_home
from demo.folder import DemoFolder
from demo.processes import Process, Processes, kill

from .waiting import Waiting

HERE = Path(__file__).parent
START_SECONDS = 240.0
XCOM_SECONDS = 20.0
PAGE = 100
SETTINGS = {
    "CORE__DAGS_FOLDER": HERE / "dags",
    "CORE__PLUGINS_FOLDER": HERE / "plugins",
    "CORE__LAZY_LOAD_PLUGINS": False,
    "CORE__PARALLELISM": 12,
    "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.5,
    "SCHEDULER__JOB_HEARTBEAT_SEC": 2,
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": 60,
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": 10,
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": 50,
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": 3,
    "TRIGGERER__JOB_HEARTBEAT_SEC": 1,
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": 8,
    "WORKERS__MIN_HEARTBEAT_INTERVAL": 3,
}
"""A death is noticed after seconds instead of minutes: what follows from it is the same."""


@dataclass(frozen=True)
class TaskRow:
    """A task instance as Airflow's API shows it."""

    task_id: str
    map_index: int = -1
    state: str | None = None
    tries: int = 0
    started: str | None = None
    triggerer: int | None = None


class RealAirflow:
    """A running Airflow. The public methods are those of a user or of an accident."""

    def __init__(self, home: AirflowHome, processes: Processes, api: AirflowApi) -> None:
        self._home = home
        self._processes = processes
        self._api = api
        self._started = 1
        self._newest = self._triggerer_after(0)
        self._triggerers = {self._newest: _started(processes, "triggerer")}
        self._scheduler = _started(processes, "scheduler")

    @property
    def scheduler_pid(self) -> int:
        """The process of the scheduler, whose children the workers are."""
        return self._scheduler.popen.pid

    def run(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> Run:
        """Start a run of a DAG as soon as it is known."""
        Waiting(START_SECONDS).until(f"the DAG {dag_id}", lambda: self._api.knows(dag_id) or None)
        return self._api.run(dag_id, conf or {})

    def rows(self, dag_id: str, run: Run, since: datetime | None = None) -> list[TaskRow]:
        """Return the task instances of a run; those that have changed since a moment, if one is given."""
        path = f"/dags/{dag_id}/dagRuns/{run_id(run)}/taskInstances"
        changed = {} if since is None else {"updated_at_gte": since.isoformat()}
        found: list[dict[str, Any]] = []
        while page := (self._api.get(path, limit=PAGE, offset=len(found), **changed) or {}).get("task_instances"):
            found += page
            if len(page) < PAGE:
                break
        return [
            TaskRow(
                each["task_id"],
                each["map_index"],
                each["state"],
                each["try_number"],
                each["start_date"],
                (each.get("triggerer_job") or {}).get("id"),
            )
            for each in found
        ]

    def xcom(self, run: Run, row: TaskRow, key: str = "return_value") -> Any:
        """Return what a task instance that succeeded has pushed; None if it has not."""
        with suppress(TimeoutError):
            return Waiting(XCOM_SECONDS).until("an XCom", lambda: run.xcom(row.task_id, key, row.map_index))
        return None

    def clear(self, dag_id: str, run: Run, task_id: str) -> None:
        """Clear a task, as the button in the UI does."""
        body = {"dry_run": False, "task_ids": [task_id], "dag_run_id": run_id(run), "only_failed": False}
        url = f"{self._home.url}/api/v2/dags/{dag_id}/clearTaskInstances"
        with requests.Session() as session:
            session.trust_env = False  # or a proxy might be asked for 127.0.0.1
            session.post(url, json=body, timeout=30).raise_for_status()

    def start_triggerer(self) -> None:
        """Start one more triggerer, and return when Airflow knows it."""
        self._started += 1
        process = _start(self._processes, self._home, "triggerer", self._started)
        self._newest = self._triggerer_after(self._newest)
        self._triggerers[self._newest] = process

    def kill_triggerer(self, job: int) -> None:
        """Kill a triggerer and all that it has started, with SIGKILL."""
        kill(self._triggerers.pop(job), with_children=True)

    def replace_scheduler(self, *, with_workers: bool) -> None:
        """Kill the scheduler with SIGKILL, and start another one."""
        kill(self._scheduler, with_children=with_workers)
        self._started += 1
        self._scheduler = _start(self._processes, self._home, "scheduler", self._started)

    def _triggerer_after(self, known: int) -> int:
        newer = Waiting(START_SECONDS).until(
            "a triggerer", lambda: [job for job in self._triggerer_jobs() if job > known] or None
        )
        return newer[0]

    def _triggerer_jobs(self) -> list[int]:
        jobs = self._api.get("/jobs", job_type="TriggererJob", limit=100) or {}
        return [each["id"] for each in jobs.get("jobs", [])]


def run_id(run: Run) -> str:
    """Return the id of a run."""
    return run._run_id


@contextmanager
def real_airflow(root: Path, environment: Mapping[str, str]) -> Iterator[RealAirflow]:
    """Run an Airflow in a folder that does not exist yet, and leave nothing of it."""
    folder = DemoFolder(root)
    folder.airflow_home.mkdir(parents=True)
    folder.logs.mkdir()
    marks = root / "marks"
    marks.mkdir()
    settings = {f"AIRFLOW__{name}": str(value) for name, value in SETTINGS.items()}
    home = configured_home(folder, {**settings, "CRASH_MARKS": str(marks), **environment})
    processes = Processes(folder.logs)
    waiting = Waiting(START_SECONDS)
    try:
        api = airflow_running.start_airflow(home, processes, waiting)  # type: ignore[arg-type]
        yield RealAirflow(home, processes, api)
    finally:
        processes.stop()


def _started(processes: Processes, name: str) -> Process:
    return next(each for each in processes._running if each.name == name)


def _start(processes: Processes, home: AirflowHome, component: str, number: int) -> Process:
    command = [sys.executable, "-m", "airflow", component, "--skip-serve-logs"]
    return processes.start(f"{component}-{number}", command, home.environment)


@contextmanager
def airflow_root(folder: Path | None) -> Iterator[Path]:
    """
    Yield the folder of an Airflow that a command line asks for. A SIGTERM ends the ``with`` block orderly.

    :param folder: It, if it is to be kept; it must not exist. None for one that is thrown away in the end.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if folder is not None:
        yield folder.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="segmind-e2e-", ignore_cleanup_errors=True) as thrown_away:
        yield Path(thrown_away).resolve() / "airflow"
