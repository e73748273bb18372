"""A DAG for each contestant and number of clips."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG
from contestants import LATENCY, ONLY, RETRIES, RETRY_DELAY, SIZES, TASK_ID, Contestant, chosen

from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
from benchmarks.official_client import IMAGE, make_clip


def add_clips(contestant: Contestant, clips: int) -> None:
    """Add the mapped tasks of a contestant to the current DAG."""
    conn_id = contestant.conn_id(clips)
    prompts = [f"The camera circles product {number}" for number in range(clips)]
    if contestant.is_official:
        common: dict[str, Any] = {"retries": RETRIES, "retry_delay": timedelta(seconds=RETRY_DELAY)}
        calls = [{"prompt": prompt, "conn_id": conn_id} for prompt in prompts]
        PythonOperator.partial(task_id=TASK_ID, python_callable=make_clip, **common).expand(op_kwargs=calls)
    else:
        KlingImageToVideoOperator.partial(
            task_id=TASK_ID, segmind_conn_id=conn_id, start_image_url=IMAGE, expected_duration=LATENCY
        ).expand(prompt=prompts)


for each in chosen(ONLY):
    for size in SIZES:
        with DAG(each.dag_id(size), schedule=None, max_active_tasks=size) as dag:
            add_clips(each, size)
        globals()[dag.dag_id] = dag
