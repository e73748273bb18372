"""Kling, with every argument from the conf of the run, so that one DAG serves all tests."""

from __future__ import annotations

import json
import os
from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

TEMPLATES = {
    "prompt": "zoom",
    "start_image_url": "https://example.com/a.png",
    "end_image_url": "",
    "duration": 5,
    "input_conn_id": "",
    "output_path": "",
    "output_conn_id": "",
    "name_output_after": "",
    "segmind_conn_id": "segmind_default",
    "expected_duration": None,
}
VALUES = {
    "max_output_bytes": 100_000_000,
    "deferrable": True,
    "wait_for_completion": True,
    "timeout": 60,
    "poll_interval": 0.1,
    "durable": True,
    "on_unresolved_submit": "fail",
    "push_result": False,
    "if_output_exists": "replace",
}

given = json.loads(os.environ.get("SEGMIND_TEST_CONF", "{}"))

with DAG("kling", schedule=None, params={**TEMPLATES, **VALUES}) as dag:
    KlingImageToVideoOperator(
        task_id="clip",
        retries=2,
        retry_delay=timedelta(0),
        **{name: f"{{{{ params.{name} }}}}" for name in TEMPLATES},
        **{name: given.get(name, value) for name, value in VALUES.items()},
    )
