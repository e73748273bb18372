"""One DAG for each side, with one task for each event; and one for each event that would happen to all."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from events import CASES, OUTPUTS, VIDEO, Case, Side
from operator_side import MortalKlingOperator, believe_in_late_rows_for
from plain_side import add_clips

from airflow_provider_segmind.compat import DAG
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

IMAGE = "https://example.com/first.png"
POLL = 0.5
RETRIES = 5
"""More than the deaths need: under load, Airflow sometimes fails an attempt of a resumed task without reason."""

RETRIES_WITHOUT_STORAGE = 1
"""All of them fail."""

if "CRASH_HISTORY_LAG" in os.environ:
    believe_in_late_rows_for(float(os.environ["CRASH_HISTORY_LAG"]))


def task(case: Case) -> None:
    """Add the task of a case to the current DAG."""
    event = case.event
    common: dict[str, Any] = {
        "task_id": case.task_id,
        "retries": RETRIES_WITHOUT_STORAGE if case.stores else RETRIES,
        "retry_delay": timedelta(seconds=event.retry_delay),
        "priority_weight": event.weight,
    }
    mortal = {"dies_at": event.dies_at, "whole_worker": event.whole_worker}
    parameters = {"prompt": case.task_id, "start_image_url": IMAGE}
    if case.side is Side.PLAIN:
        add_clips(parameters, event.instances, common, conn_id=case.conn_id, **mortal)
        return
    operator = {
        "segmind_conn_id": case.conn_id,
        "deferrable": case.side is Side.DEFERRED,
        "poll_interval": POLL,
        "start_image_url": IMAGE,
        **common,
    }
    if case.stores:
        operator["output_path"] = f"{os.environ[OUTPUTS]}/{case.task_id}/{VIDEO}"
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
