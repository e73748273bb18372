"""A Segmind on loopback and an Airflow with a database, for tests that run the real thing."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.storage import S3, s3_server

HERE = Path(__file__).parent
KEYS = ("request_id", "summary", "result")
DAGS = HERE / "dags"
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(DAGS)


@dataclass(frozen=True)
class TaskRun:
    """How one task instance ended."""

    state: str
    try_number: int
    value: Any = None
    xcoms: dict[str, Any] = field(default_factory=dict)

    @property
    def summary(self) -> dict[str, Any]:
        """What the task has pushed of its request."""
        return dict(self.xcoms["summary"])

    @property
    def file(self) -> dict[str, Any]:
        """What the task has pushed of its one file."""
        (file,) = self.summary["files"]
        return dict(file)


Run = Callable[..., dict[str, TaskRun]]


@pytest.fixture(autouse=True)
def _dags_test(no_scheduler: None) -> None:
    """All of these tests run tasks with `airflow dags test`, or call them themselves."""


@pytest.fixture(scope="session")
def airflow_db(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The database of this process's Airflow. The first of several processes makes it, and the others copy it."""
    own = Path(os.environ["AIRFLOW_HOME"]) / "airflow.db"
    if "PYTEST_XDIST_WORKER" not in os.environ:
        _make_database()
        return
    shared = tmp_path_factory.getbasetemp().parent / "airflow.db"
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if shared.exists():
            shutil.copy(shared, own)
        else:
            _make_database()
            shutil.copy(own, shared)


def _make_database() -> None:
    airflow = Path(sys.executable).with_name("airflow")
    done = subprocess.run([airflow, "db", "migrate"], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def run_dag(run_dag_of: Callable[[Path], Run], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """
    Run a DAG of ``dags/`` and return how each task ended, by task id (and map index).

    Airflow reads all files of a folder, twice, and writes their DAGs to its database. So it is given a folder with
    one file: all of them take twice as long.
    """

    def run(dag_id: str, **conf: Any) -> dict[str, TaskRun]:
        (file,) = [each for each in DAGS.glob("*.py") if f'("{dag_id}", ' in each.read_text()]
        folder = tmp_path_factory.mktemp(dag_id)
        shutil.copy(file, folder)
        return run_dag_of(folder)(dag_id, **conf)

    return run


@pytest.fixture
def run_dag_of(airflow_db: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Run]:
    """
    Return what runs the DAGs of a folder with ``airflow dags test``.

    A DAG finds the conf in ``SEGMIND_TEST_CONF``, too: what is not a template has to be known when it is parsed,
    which the same process does.
    """
    from airflow.cli import cli_parser

    def use(folder: Path) -> None:
        monkeypatch.setitem(os.environ, "AIRFLOW__CORE__DAGS_FOLDER", str(folder))
        monkeypatch.setattr("airflow.settings.DAGS_FOLDER", str(folder))

    def of(folder: Path) -> Run:
        use(folder)

        def run(dag_id: str, **conf: Any) -> dict[str, TaskRun]:
            use(folder)
            monkeypatch.setitem(os.environ, "SEGMIND_TEST_CONF", json.dumps(conf))
            arguments = cli_parser.get_parser().parse_args(["dags", "test", dag_id, "--conf", json.dumps(conf)])
            try:
                arguments.func(arguments)
            except (SystemExit, Exception) as end:  # noqa: BLE001 - a failed run is for the test to judge
                sys.stdout.write(f"airflow dags test ended with {end!r}\n")
            return _last_run(dag_id)

        return run

    return of


@pytest.fixture
def readme_dag() -> str:
    """The DAG to paste that the README has."""
    (dag,) = re.findall(r"```python\n(.*?)```", (HERE.parents[1] / "README.md").read_text(), re.DOTALL)
    return str(dag)


def _last_run(dag_id: str) -> dict[str, TaskRun]:
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        newest = select(DagRun.run_id).where(DagRun.dag_id == dag_id).order_by(DagRun.id.desc()).limit(1)
        of_run = TaskInstance.dag_id == dag_id, TaskInstance.run_id == session.scalar(newest)
        runs = {}
        for ti in session.scalars(select(TaskInstance).where(*of_run)):
            name = ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]"
            pull = {"task_ids": ti.task_id, "map_indexes": ti.map_index, "session": session}
            xcoms = {key: ti.xcom_pull(key=key, **pull) for key in KEYS}
            runs[name] = TaskRun(str(ti.state), ti.try_number, ti.xcom_pull(**pull), xcoms)
        return runs


@pytest.fixture(scope="session")
def storage() -> Iterator[S3]:
    """A real S3 server with the bucket `products`, and the connection `storage` to it."""
    pytest.importorskip("moto.server", reason="the newest Airflow is tested with it")
    with s3_server("products") as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_STORAGE", json.dumps(running.connection))
        yield running


@pytest.fixture
def bucket(storage: S3) -> Any:
    """The bucket `products`, as boto3 has it."""
    return storage.bucket
