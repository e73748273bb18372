"""Deferred task instances, put straight into Airflow's database: neither scheduler nor worker has to run."""

from __future__ import annotations

from datetime import timedelta
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
from sqlalchemy import func, select
from sqlalchemy.orm import Session

BUNDLE = "bench"
DAG_ID = "waiting"
TASK_ID = "wait"
METER_DAG_ID = "measuring"
RUN_ID = "bench"


def put(session: Session, dag_id: str, triggers: list[tuple[str, dict[str, Any]]]) -> None:
    """Put a run of a DAG into the database whose mapped task instances all wait for a trigger."""
    task, version = _dag(session, dag_id)
    _run(session, dag_id, version)
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


def left(session: Session) -> int:
    """Return how many still wait."""
    waiting = select(func.count()).select_from(TaskInstance)
    waiting = waiting.where(TaskInstance.dag_id == DAG_ID, TaskInstance.state == TaskInstanceState.DEFERRED)
    return session.scalar(waiting) or 0


def events(session: Session) -> list[dict[str, Any]]:
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


def _dag(session: Session, dag_id: str) -> tuple[Any, DagVersion]:
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


def _run(session: Session, dag_id: str, version: DagVersion) -> None:
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
