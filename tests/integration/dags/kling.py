"""Kling, with every argument a template, so that one DAG serves all tests."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

DEFAULTS = {
    "prompt": "zoom",
    "start_image_url": "https://example.com/a.png",
    "end_image_url": "",
    "duration": 5,
    "input_conn_id": "",
    "output_path": "",
    "output_conn_id": "",
    "max_output_bytes": 100_000_000,
    "segmind_conn_id": "segmind_default",
    "deferrable": True,
    "wait_for_completion": True,
    "timeout": 60,
    "poll_interval": 0.1,
    "expected_duration": None,
    "durable": True,
    "on_unresolved_submit": "fail",
}

with DAG("kling", schedule=None, params=DEFAULTS) as dag:
    KlingImageToVideoOperator(
        task_id="clip",
        retries=2,
        retry_delay=timedelta(0),
        **{name: f"{{{{ params.{name} }}}}" for name in DEFAULTS},
    )
