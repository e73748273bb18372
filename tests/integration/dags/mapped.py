"""Clips by dynamic mapping: some have the same parameters."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

FEW = ["zoom"] * 4
MANY = [f"zoom {number % 10}" for number in range(50)]

for dag_id, prompts in (("mapped", FEW), ("mapped_many", MANY)):
    with DAG(dag_id, schedule=None) as dag:
        KlingImageToVideoOperator.partial(
            task_id="clip", start_image_url="https://example.com/a.png", poll_interval=0.1
        ).expand(prompt=prompts)
    globals()[dag_id] = dag
