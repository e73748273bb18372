"""One DAG for each contestant, each with the same mapped tasks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG
from contestants import ONLY, TASK_ID, TASKS, Contestant, Waits, chosen

from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
from benchmarks.official_client import IMAGE, make_clip

PROMPTS = [f"The camera circles product {number}" for number in range(TASKS)]


def clips(contestant: Contestant) -> None:
    """Add the tasks of a contestant to the current DAG."""
    common: dict[str, Any] = {
        "task_id": TASK_ID,
        "retries": contestant.retries,
        "retry_delay": timedelta(seconds=60),
    }
    if contestant.waits is Waits.OFFICIAL:
        arguments = [{"prompt": prompt, "conn_id": contestant.conn_id} for prompt in PROMPTS]
        PythonOperator.partial(python_callable=make_clip, **common).expand(op_kwargs=arguments)
        return
    KlingImageToVideoOperator.partial(
        segmind_conn_id=contestant.conn_id,
        deferrable=contestant.waits is Waits.TRIGGERER,
        start_image_url=IMAGE,
        **common,
    ).expand(prompt=PROMPTS)


for each in chosen(ONLY):
    with DAG(each.name, schedule=None, max_active_tasks=TASKS) as dag:
        clips(each)
    globals()[each.name] = dag
