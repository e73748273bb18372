"""Four clips with the same parameters."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

with DAG("mapped", schedule=None) as dag:
    KlingImageToVideoOperator.partial(
        task_id="clip", start_image_url="https://example.com/a.png", poll_interval=0.1
    ).expand(prompt=["zoom"] * 4)
