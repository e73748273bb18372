"""One DAG for each side, with one task for each event; and one for each event that would happen to all."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG
from events import CASES, Case, Side
from operator_side import MortalKlingOperator, believe_in_late_rows_for
from plain_side import MortalPythonOperator, make_clip

from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

IMAGE = "https://example.com/first.png"
POLL = 0.5
RETRIES = 5
"""More than the deaths need: under load, Airflow now and then fails a try of a resumed task by itself."""

if "CRASH_LATEST_ROW" in os.environ:
    believe_in_late_rows_for(float(os.environ["CRASH_LATEST_ROW"]))


def task(case: Case) -> None:
    """Add the task of a case to the current DAG."""
    event = case.event
    common: dict[str, Any] = {
        "task_id": case.task_id,
        "retries": RETRIES,
        "retry_delay": timedelta(seconds=event.retry_delay),
        "priority_weight": event.weight,
    }
    mortal = {"dies_at": event.dies_at, "whole_worker": event.whole_worker}
    parameters = {"prompt": case.task_id, "start_image_url": IMAGE}
    if case.side is Side.PLAIN:
        if event.instances == 1:
            MortalPythonOperator(parameters=parameters, conn_id=case.conn_id, **mortal, **common)
            return
        arguments = {"parameters": parameters, "conn_id": case.conn_id, **mortal}
        clips = PythonOperator.partial(python_callable=make_clip, **common)
        clips.expand(op_kwargs=[arguments] * event.instances)
        return
    operator = {
        "segmind_conn_id": case.conn_id,
        "deferrable": case.side is Side.DEFERRED,
        "poll_interval": POLL,
        "start_image_url": IMAGE,
        **common,
    }
    if event.instances == 1:
        MortalKlingOperator(prompt=case.task_id, timeout=2 * 3600, **mortal, **operator)
        return
    KlingImageToVideoOperator.partial(**operator).expand(prompt=[case.task_id] * event.instances)


for dag_id in sorted({case.dag_id for case in CASES}):
    with DAG(dag_id, schedule=None, max_active_tasks=100) as dag:
        for each in CASES:
            if each.dag_id == dag_id:
                task(each)
    globals()[dag_id] = dag
