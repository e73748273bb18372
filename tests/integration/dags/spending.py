"""Mapped requests of 0.50 USD each, in a run with a limit."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
from airflow_provider_segmind.operators.pixelflow import SegmindPixelFlowOperator

with DAG("spending", schedule=None, params={"limit": 1.6}):
    mapped = SegmindInferenceOperator.partial(
        task_id="make",
        model="mock-inference",
        expected_cost="{{ 0.5 }}",
        max_cost_per_run="{{ params.limit }}",
        poll_interval=0.1,
        retries=2,
        retry_delay=timedelta(0),
    ).expand(parameters=[{"sleep": 0.1, "credits": 0.5, "number": number} for number in range(5)])
    workflow = SegmindPixelFlowOperator(
        task_id="flow",
        workflow="some-workflow",
        expected_cost=0.01,
        max_cost=0.01,
        max_cost_per_run="{{ params.limit }}",
        poll_interval=0.1,
        trigger_rule="all_done",
    )
    mapped >> workflow
