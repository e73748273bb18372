"""A fast model in one blocking call, once the account can pay for it. It is Segmind's own test model."""

from __future__ import annotations

from airflow_provider_segmind.compat import DAG, Param
from airflow_provider_segmind.operators.sync import SegmindSyncInferenceOperator
from airflow_provider_segmind.sensors.credits import SegmindCreditsSensor

with DAG(
    dag_id="segmind_fast_model",
    schedule=None,
    tags=["segmind"],
    params={"min_credits": Param(1, type="number", description="The balance to wait for, in USD")},
) as dag:
    enough = SegmindCreditsSensor(task_id="enough", min_credits="{{ params.min_credits }}", timeout=3600)

    run_model = SegmindSyncInferenceOperator(
        task_id="run_model", model="mock-inference", parameters={"sleep": 1, "credits": 0.000001}
    )

    enough >> run_model
