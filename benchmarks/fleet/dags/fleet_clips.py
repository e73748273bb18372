"""A DAG for each contestant and number of clips."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG
from airflow.sdk.bases.hook import BaseHook
from contestants import LATENCY, ONLY, RETRIES, RETRY_DELAY, SIZES, TASK_ID, Contestant, chosen

from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

IMAGE = "https://example.com/first.png"


def make_clip(prompt: str, conn_id: str) -> str:
    """Submit, wait, return the video's URL: the client's own example."""
    from segmind import SegmindClient

    connection = BaseHook.get_connection(conn_id)
    client = SegmindClient(api_key=connection.password, base_url=f"{connection.host}/v1")
    job = client.submit_async("kling-o1-image-to-video", prompt=prompt, start_image_url=IMAGE)
    return str(job.wait()["video"]["url"])


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
