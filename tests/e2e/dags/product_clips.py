"""The DAG of docs/runbook.md."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

with DAG("product_clips", schedule=None, start_date=datetime(2026, 1, 1)):
    KlingImageToVideoOperator(
        task_id="make_clip",
        prompt="The camera circles the mug slowly",
        start_image_url="https://example.com/mug.jpg",
        timeout=8,
        poll_interval=2,
    )
