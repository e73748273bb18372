"""Mapped clips in a pool that counts deferred tasks, and in a queue that has a triggerer of its own."""

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

PROMPTS = [f"The camera circles product {number}" for number in range(6)]

with DAG("one_queue", schedule=None):
    KlingImageToVideoOperator.partial(
        task_id="make_clip",
        start_image_url="https://example.com/first.png",
        timeout=2 * 3600,
        poll_interval=1,
        pool="segmind",
        queue="segmind",
    ).expand(prompt=PROMPTS)
