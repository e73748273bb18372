"""
A process that speaks to the databases with Airflow's own models, and stays at hand.

``python -m benchmarks.triggerer.clerk`` answers each line of JSON on its stdin with one on its stdout. It has the
configuration of the triggerers, which share all of it but the database. It puts deferred task instances straight
into a database: neither scheduler nor worker has to run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from airflow.models.dag_version import DagVersion
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, timezone
from airflow.serialization.definitions.dag import SerializedDAG
from airflow.serialization.serialized_objects import LazyDeserializedDAG
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import Engine, create_engine, func, select
from sqlalchemy.orm import Session

from benchmarks.triggerer.plan import Job, Kind

BUNDLE = "bench"
DAG_ID = "waiting"
TASK_ID = "wait"
METER_DAG_ID = "measuring"
RUN_ID = "bench"


class Clerk:
    """The process, from outside."""

    def __init__(self, popen: subprocess.Popen[str], log: Path) -> None:
        self._popen = popen
        self._log = log
        self._answer()

    def ask(self, do: str, database: str, **more: object) -> Any:
        """Return the answer to a question about a database."""
        assert self._popen.stdin is not None  # noqa: S101 - it is a pipe
        self._popen.stdin.write(json.dumps({"do": do, "database": database, **more}) + "\n")
        self._popen.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._popen.stdout is not None  # noqa: S101 - it is a pipe
        line = self._popen.stdout.readline()
        if not line:
            raise RuntimeError(f"the database could not be read or written; see {self._log}")
        return json.loads(line)


@contextmanager
def running_clerk(folder: Path, environment: Mapping[str, str]) -> Iterator[Clerk]:
    """Have a clerk for the length of a ``with`` block."""
    log = folder / "clerk.log"
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.triggerer.clerk"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,
        ) as popen,
    ):
        try:
            yield Clerk(popen, log)
        finally:
            popen.kill()


def main() -> None:
    """Answer until there are no more questions."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # so that nothing that Airflow prints gets among the answers
    answers.write(json.dumps("ready") + "\n")
    answers.flush()
    for line in sys.stdin:
        question = json.loads(line)
        with Session(_engine(question["database"])) as session:
            answer = _answer(session, question)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _answer(session: Session, question: dict[str, Any]) -> Any:
    match question["do"]:
        case "meter":
            from benchmarks.triggerer.triggers import LagMeterTrigger

            _defer(session, METER_DAG_ID, [LagMeterTrigger(question["path"]).serialize()])
        case "defer":
            kind = Kind(question["kind"])
            _defer(session, DAG_ID, [Job(**each).trigger(kind) for each in question["jobs"]])
        case "left":
            return _left(session)
        case "events":
            return _events(session)
    return None


@lru_cache
def _engine(url: str) -> Engine:
    return create_engine(url)


def _defer(session: Session, dag_id: str, triggers: list[tuple[str, dict[str, Any]]]) -> None:
    """Put a run of a DAG into the database whose mapped task instances all wait for a trigger."""
    task, version = _write_dag(session, dag_id)
    _write_run(session, dag_id, version)
    for index, (classpath, kwargs) in enumerate(triggers):
        trigger = Trigger(classpath=classpath, kwargs=kwargs)
        session.add(trigger)
        session.flush()
        waiting = TaskInstance(task, version.id, run_id=RUN_ID, state=TaskInstanceState.DEFERRED, map_index=index)
        waiting.trigger_id = trigger.id
        waiting.try_number = 1
        waiting.start_date = timezone.utcnow()
        waiting.next_method = "execute_complete"
        waiting.next_kwargs = {}
        waiting.trigger_timeout = timezone.utcnow() + timedelta(hours=2)
        session.add(waiting)
    session.commit()


def _left(session: Session) -> int:
    """Return how many still wait."""
    waiting = select(func.count()).select_from(TaskInstance)
    waiting = waiting.where(TaskInstance.dag_id == DAG_ID, TaskInstance.state == TaskInstanceState.DEFERRED)
    return session.scalar(waiting) or 0


def _events(session: Session) -> list[dict[str, Any]]:
    """Return what came for each that no longer waits, and when."""
    rows = session.scalars(
        select(TaskInstance).where(TaskInstance.dag_id == DAG_ID, TaskInstance.state != TaskInstanceState.DEFERRED)
    )
    return [_event(row) for row in rows]


def _event(row: TaskInstance) -> dict[str, Any]:
    event = (row.next_kwargs or {}).get("event") or {}
    return {
        "request_id": event.get("request_id"),
        "at": row.scheduled_dttm.timestamp(),
        "completed": (event.get("result") or {}).get("status") == "COMPLETED",
    }


def _write_dag(session: Session, dag_id: str) -> tuple[Any, DagVersion]:
    if session.get(DagBundleModel, BUNDLE) is None:
        session.add(DagBundleModel(name=BUNDLE))
        session.flush()
    with DAG(dag_id, schedule=None) as dag:
        EmptyOperator(task_id=TASK_ID)
    SerializedDAG.bulk_write_to_db(BUNDLE, None, [dag], session=session)
    SerializedDagModel.write_dag(LazyDeserializedDAG.from_dag(dag), bundle_name=BUNDLE, session=session)
    session.flush()
    written = SerializedDagModel.get(dag_id, session=session)
    version = DagVersion.get_latest_version(dag_id, session=session)
    return written.dag.get_task(TASK_ID), version


def _write_run(session: Session, dag_id: str, version: DagVersion) -> None:
    now = timezone.utcnow()
    run = DagRun(
        dag_id=dag_id,
        run_id=RUN_ID,
        run_type=DagRunType.MANUAL,
        run_after=now,
        start_date=now,
        state=DagRunState.RUNNING,
        triggered_by=DagRunTriggeredByType.TEST,
    )
    run.created_dag_version_id = version.id
    session.add(run)
    session.flush()


if __name__ == "__main__":
    main()
