"""
A check of the budget before a night of clips: it fails in the evening, and not in the middle of the night.

``timeout=0`` looks once. The failed task is what an alert goes by: ``on_failure_callback``, or Airflow's metrics.
"""

from __future__ import annotations

from pendulum import datetime

from airflow_provider_segmind.compat import DAG, Param
from airflow_provider_segmind.sensors.credits import SegmindCreditsSensor

with DAG(
    dag_id="segmind_budget_check",
    schedule="0 18 * * *",
    start_date=datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["segmind"],
    params={"min_credits": Param(91, type="number", description="USD: for 100 clips at about 0.91 USD each")},
) as dag:
    SegmindCreditsSensor(task_id="enough", min_credits="{{ params.min_credits }}", timeout=0)
