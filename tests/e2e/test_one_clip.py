"""The first example on a real Airflow of any version: its scheduler, its triggerer, and what else it has."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from airflow import __version__ as airflow_version
from crash.database import database
from packaging.version import Version
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Engine

from airflow_provider_segmind.emulator.running import RunningEmulator, running_emulator
from demo.airflow_home import AirflowHome, configured_home
from demo.failure import DemoError
from demo.folder import DemoFolder
from demo.log_tail import last_lines
from demo.processes import Processes
from demo.waiting import Waiting

AIRFLOW = (sys.executable, "-m", "airflow")
DAG_ID, TASK_ID, RUN_ID = "segmind_image_to_video", "make_clip", "one_clip"
AIRFLOW_2 = Version(airflow_version) < Version("3")
SECONDS_FOR_ALL = 300.0
JOB_SECONDS = 600.0
"""Longer than the test may take: no job ends before the test has seen the task wait, and says so."""
LOOK_AFTER = 2.0
COMPONENTS = [
    *([] if AIRFLOW_2 else [("api-server",), ("dag-processor",)]),
    ("scheduler", "--skip-serve-logs"),
    ("triggerer", "--skip-serve-logs"),
]
SETTINGS = {
    "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.5,
}

pytestmark = pytest.mark.timeout(SECONDS_FOR_ALL + 60, method="signal")  # the other method would leave processes


@dataclass(frozen=True)
class OneAirflow:
    """An Airflow that runs: what is said to it on the command line, and what its database says."""

    home: AirflowHome
    processes: Processes
    waiting: Waiting
    engine: Engine

    def say(self, *arguments: str) -> None:
        """Run an `airflow` command to its end."""
        name, command = "-".join(arguments[:2]), [*AIRFLOW, *arguments]
        process = self.processes.start(name, command, self.home.environment, lasting=False)
        self.waiting.until(f"airflow {' '.join(arguments)}", lambda: self.processes.finished(process) or None)

    def rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement), values)]

    def until_rows(self, what: str, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        return self.waiting.until(what, lambda: self.rows(statement, **values) or None)

    def states(self) -> dict[str, str]:
        return dict(self.rows("SELECT task_id, state FROM task_instance WHERE run_id = :run", run=RUN_ID))

    def slot_is_free(self) -> bool | None:
        """Tell whether the scheduler has noticed that the first task has left its worker."""
        return "Received executor event with state success" in self._log_of("scheduler").read_text() or None

    def ended(self) -> bool | None:
        """Tell whether the run has succeeded; a failure is an error at once."""
        states = self.states()
        broken = [task for task, state in states.items() if state in ("failed", "upstream_failed", "removed")]
        if broken:
            raise DemoError(f"{broken[0]} is {states[broken[0]]}", log=self._log_of(broken[0]))
        return (
            self.rows("SELECT 1 FROM dag_run WHERE run_id = :run AND state = 'success'", run=RUN_ID) != [] or None
        )

    def printed(self, task_id: str) -> str:
        """Return the log of a task: what it printed is in there on every version."""
        return self._log_of(task_id).read_text()

    def _log_of(self, name: str) -> Path:
        """Return the log of a task, or of a component and of a task that has none."""
        logs = Path(self.home.environment["AIRFLOW_HOME"]).parent / "logs"
        of_component = logs / f"{name}.log"
        return next(logs.glob(f"tasks/**/task_id={name}/attempt=1.log"), of_component)


@contextmanager
def one_airflow(root: Path, emulator: RunningEmulator) -> Iterator[OneAirflow]:
    """Run an Airflow in a folder, and leave nothing of it, whatever happens."""
    folder = DemoFolder(root)
    folder.airflow_home.mkdir()
    folder.logs.mkdir()
    processes = Processes(folder.logs)
    with signals_restored(), database() as (kind, where):
        waiting = Waiting(SECONDS_FOR_ALL)
        waiting.mind(processes.check)
        settings = {f"AIRFLOW__{name}": str(value) for name, value in SETTINGS.items()}
        if AIRFLOW_2 and kind == "SQLite":
            settings["AIRFLOW__CORE__EXECUTOR"] = (
                "SequentialExecutor"  # the only one that Airflow 2 allows with it
            )
        home = configured_home(folder, {**settings, **where, **emulator.environment()})
        url = where.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", f"sqlite:///{folder.airflow_home / 'airflow.db'}")
        airflow = OneAirflow(home, processes, waiting, create_engine(url))
        try:
            airflow.say("db", "migrate")
            for component in COMPONENTS:
                processes.start(component[0], [*AIRFLOW, *component], home.environment)
            yield airflow
        except DemoError as error:
            pytest.fail("\n".join([str(error), *(last_lines(error.log) if error.log else ())]))
        finally:
            processes.stop()
            airflow.engine.dispose()


@contextmanager
def signals_restored() -> Iterator[None]:
    """Undo what ``Waiting`` does to signals, once the processes are gone that it guards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def test_a_clip_is_awaited_by_the_triggerer_and_paid_once(tmp_path: Path) -> None:
    with running_emulator(latency=JOB_SECONDS) as emulator, one_airflow(tmp_path, emulator) as airflow:
        airflow.until_rows("the DAG", "SELECT 1 FROM serialized_dag WHERE dag_id = :dag", dag=DAG_ID)
        conf = json.dumps({"expected_duration": LOOK_AFTER})
        airflow.say("dags", "trigger", DAG_ID, "--run-id", RUN_ID, "--conf", conf)

        airflow.until_rows("a triggerer to wait", 'SELECT 1 FROM "trigger" WHERE triggerer_id IS NOT NULL')
        assert airflow.states()[TASK_ID] == "deferred"
        # A task that is resumed before the scheduler has noticed this is taken for a killed one.
        airflow.waiting.until("the scheduler to know that the worker is done", airflow.slot_is_free)
        emulator.advance(JOB_SECONDS)
        airflow.waiting.until("the run to succeed", airflow.ended)

        assert airflow.states() == {TASK_ID: "success", "announce": "success"}
        assert f"The video is at {emulator.url}/outputs/" in airflow.printed("announce")
        assert emulator.ledger()["count"] == 1
        assert emulator.requests()["endpoints"]["submit"] == 1


def test_nothing_is_left_running(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.getbasetemp()
    assert [each for each in psutil.process_iter() if _cwd(each).is_relative_to(root)] == []


def _cwd(process: psutil.Process) -> Path:
    try:
        return Path(process.cwd())
    except psutil.Error:
        return Path("/")
