"""Templates that Airflow renders to Python's own objects, and the outputs of mapped tasks."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

PARAMS = {"prompt": "2026", "duration": 10.0, "image": "https://example.com/a.png", "output_path": ""}

with DAG("native", schedule=None, params=PARAMS, render_template_as_native_obj=True) as dag:
    KlingImageToVideoOperator(
        task_id="clip",
        prompt="{{ params.prompt }}",
        start_image_url="{{ params.image }}",
        duration="{{ params.duration }}",
        output_path="{{ params.output_path }}",
        poll_interval=0.1,
    )

    @task
    def find_prompts(params=None):
        return [params["prompt"]]

    KlingImageToVideoOperator.partial(
        task_id="mapped", start_image_url="https://example.com/a.png", poll_interval=0.1
    ).expand(prompt=find_prompts())

with DAG("collected", schedule=None, params={"names": ["a", "b"]}) as dag:

    @task
    def find_names(params=None):
        return params["names"]

    @task
    def describe(name):
        return f"a picture of {name}"

    prompts = describe.expand(name=find_names())
    SegmindInferenceOperator(
        task_id="nested", model="mock-text", parameters={"messages": prompts}, poll_interval=0.1
    )
