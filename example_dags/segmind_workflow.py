"""A PixelFlow workflow: its id, its inputs as its API page lists them, and its outputs by their names."""

from __future__ import annotations

from typing import Any

from airflow_provider_segmind.compat import DAG, Param, task
from airflow_provider_segmind.operators.pixelflow import SegmindPixelFlowOperator

with DAG(
    dag_id="segmind_workflow",
    schedule=None,
    tags=["segmind"],
    params={
        "workflow": Param("66cec9a38aeef98f887211f1-v1", type="string"),
        "image": Param("https://images.segmind.com/assets/example.png", type="string"),
    },
) as dag:

    @task
    def report(outputs: Any) -> list[str]:
        """Name what the workflow has made."""
        return [f"{name}: {value}" for name, value in outputs.items()]

    drawn = SegmindPixelFlowOperator(
        task_id="draw",
        workflow="{{ params.workflow }}",
        inputs={"input_image": "{{ params.image }}"},
    )
    report(drawn.output)
