"""A clip whose file somebody else writes between two attempts."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

given = json.loads(os.environ.get("SEGMIND_TEST_CONF", "{}"))


def write(context):
    """Write the file, as another task might."""
    Path(context["params"]["output_path"]).write_bytes(b"of another task")


with DAG("written_meanwhile", schedule=None, params={"output_path": "", "if_output_exists": ""}) as dag:
    KlingImageToVideoOperator(
        task_id="clip",
        prompt="zoom",
        start_image_url="https://example.com/a.png",
        output_path="{{ params.output_path }}",
        if_output_exists=given.get("if_output_exists", "replace"),
        poll_interval=0.1,
        retries=1,
        retry_delay=timedelta(0),
        on_retry_callback=write,
    )
