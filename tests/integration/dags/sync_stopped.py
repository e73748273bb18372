"""A synchronous run that Airflow stops before its answer comes."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_segmind.operators.sync import SegmindSyncInferenceOperator

with DAG("sync_stopped", schedule=None) as dag:
    SegmindSyncInferenceOperator(
        task_id="run",
        model="mock-text",
        parameters={"prompt": "a fox"},
        segmind_conn_id="never_answers",
        check_parameters="off",  # else it would be stopped while it asks for the catalogue
        execution_timeout=timedelta(seconds=2),
        retries=2,
        retry_delay=timedelta(0),
    )
