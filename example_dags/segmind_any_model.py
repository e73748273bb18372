"""Any model: its slug and its parameters. This one is Segmind's own test model, which costs next to nothing."""

from __future__ import annotations

from airflow_provider_segmind.compat import DAG, Param
from airflow_provider_segmind.operators.inference import SegmindInferenceOperator

with DAG(
    dag_id="segmind_any_model",
    schedule=None,
    tags=["segmind"],
    params={
        "model": Param("mock-inference", type="string"),
        "parameters": Param({"sleep": 2, "credits": 0.000001}, type="object"),
    },
    render_template_as_native_obj=True,
) as dag:
    SegmindInferenceOperator(
        task_id="run_model",
        model="{{ params.model }}",
        parameters="{{ params.parameters }}",
        timeout=300,
    )
