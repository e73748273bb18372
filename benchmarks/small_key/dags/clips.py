"""One DAG for each contestant, each with the same mapped tasks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG
from airflow.sdk.bases.hook import BaseHook
from contestants import ONLY, TASK_ID, TASKS, Contestant, Waits, chosen

from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

IMAGE = "https://example.com/first.png"
PROMPTS = [f"The camera circles product {number}" for number in range(TASKS)]


def make_clip(prompt: str, conn_id: str) -> str:
    """Submit, wait, return the video's URL: the client's own example."""
    from segmind import SegmindClient

    connection = BaseHook.get_connection(conn_id)
    client = SegmindClient(api_key=connection.password, base_url=f"{connection.host}/v1")
    job = client.submit_async("kling-o1-image-to-video", prompt=prompt, start_image_url=IMAGE)
    return str(job.wait()["video"]["url"])


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
