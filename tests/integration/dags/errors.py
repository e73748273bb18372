"""One task for each situation of docs/errors.md, with one retry."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG

from tests.integration.situations import SITUATIONS, ObservedOperator

with DAG("errors", schedule=None) as dag:
    for situation in SITUATIONS:
        ObservedOperator(
            task_id=situation.key,
            retries=1,
            retry_delay=timedelta(0),
            **{
                "prompt": "zoom",
                "start_image_url": "https://example.com/a.png",
                "segmind_conn_id": situation.key,
                "poll_interval": 0.2,
                "timeout": 60,
                **situation.arguments,
            },
        )
