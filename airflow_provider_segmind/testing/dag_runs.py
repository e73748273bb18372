"""Running a DAG in this process, wherever it is defined, and reading how its tasks ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

BUNDLE = "dags-folder"
"""The one bundle of DAGs that every Airflow 3 has unless it is configured otherwise."""

XCOMS = ("request_id", "summary", "result")
"""What the operators push beside the return value."""


@dataclass(frozen=True)
class TaskResult:
    """
    How a task instance ended.

    :param state: Such as ``success`` or ``failed``.
    :param value: What it returned.
    :param xcoms: What else it pushed: ``request_id``, ``summary`` and ``result``, as far as there is any.
    :param try_number: How many attempts it took.
    """

    state: str
    value: Any = None
    xcoms: Mapping[str, Any] = field(default_factory=dict)
    try_number: int = 1


@dataclass(frozen=True)
class RunResult:
    """
    How a DAG run ended.

    :param state: ``success`` or ``failed``.
    :param tasks: Each task instance by its task id; a mapped one as ``task_id[0]``.
    """

    state: str
    tasks: Mapping[str, TaskResult]

    def __getitem__(self, task_id: str) -> TaskResult:
        return self.tasks[task_id]


def share_api_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Let all tasks of this process share one API server, as Airflow 3.3 does.

    Airflow 3.0 to 3.2 build another one at each start of a task, which takes seconds. Airflow 2 has none.
    """
    try:
        supervisor = import_module("airflow.sdk.execution_time.supervisor")
    except ImportError:
        return
    build = getattr(supervisor, "in_process_api_server", None)
    if build is not None and not hasattr(build, "cache_clear"):
        monkeypatch.setattr(supervisor, "in_process_api_server", _shared(build))


@cache
def _shared(build: Callable[[], Any]) -> Callable[[], Any]:
    return cache(build)


def run_dag_once(dag: Any, conf: Mapping[str, Any] | None = None) -> RunResult:
    """
    Run a DAG with its ``test`` method, and return how it ended. A task that fails raises nothing here.

    :param conf: The conf of the run.
    """
    _write_to_database(dag)
    run = dag.test(run_conf=dict(conf or {}))
    return _read_result(dag.dag_id, run.run_id)


def _write_to_database(dag: Any) -> None:
    """
    Do what a DAG processor would have done by now. Airflow 3.1 and later run no DAG that is not in the database.

    They look for it in the folder of DAGs, where one that a test defines is not.
    """
    try:
        write = _find("sync_bag_to_db", "airflow.dag_processing.dagbag", "airflow.models.dagbag")
    except ImportError:
        return  # 2.11 and 3.0 do not ask for it
    bundles = import_module("airflow.dag_processing.bundles.manager").DagBundlesManager()
    bundles.sync_bundles_to_db()
    bag_class = _find("DagBag", "airflow.dag_processing.dagbag", "airflow.models.dagbag")
    bag = bag_class(dag_folder=_dags_folder(), collect_dags=False)
    if getattr(dag, "relative_fileloc", "") is None:
        dag.relative_fileloc = Path(dag.fileloc).name
    bag.dags[dag.dag_id] = dag
    write(bag, BUNDLE, None)


def _dags_folder() -> str:
    return str(import_module("airflow.settings").DAGS_FOLDER)


def _find(name: str, *modules: str) -> Any:
    for each in modules:
        try:
            return getattr(import_module(each), name)
        except (ImportError, AttributeError):
            continue
    raise ImportError(f"the installed Airflow has {name} in none of {', '.join(modules)}")


def _read_result(dag_id: str, run_id: str) -> RunResult:
    from sqlalchemy import select

    run_class = import_module("airflow.models.dagrun").DagRun
    task_class = import_module("airflow.models.taskinstance").TaskInstance
    with import_module("airflow.utils.session").create_session() as session:
        run = session.scalar(select(run_class).where(run_class.dag_id == dag_id, run_class.run_id == run_id))
        of_run = task_class.dag_id == dag_id, task_class.run_id == run_id
        tasks = {}
        for ti in session.scalars(select(task_class).where(*of_run)):
            name = ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]"
            tasks[name] = _read_task(ti, session)
        return RunResult(str(run.state), tasks)


def _read_task(ti: Any, session: Any) -> TaskResult:
    pull = {"task_ids": ti.task_id, "map_indexes": ti.map_index, "session": session}
    pushed = {key: ti.xcom_pull(key=key, **pull) for key in XCOMS}
    xcoms = {key: value for key, value in pushed.items() if value is not None}
    return TaskResult(str(ti.state), ti.xcom_pull(**pull), xcoms, ti.try_number)
