"""Mapped tasks whose values come from another task, as names of files do."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
from airflow_provider_segmind.operators.sync import SegmindSyncInferenceOperator

IMAGE = "https://example.com/a.png"
TEXT = "mock-text"

with DAG("untrusted", schedule=None, params={"prompts": ["zoom"], "prefix": "from conf"}) as dag:

    @task
    def find_prompts(params=None):
        return params["prompts"]

    @task
    def find_arguments(params=None):
        return [{"prompt": prompt} for prompt in params["prompts"]]

    @task
    def find_parameters(params=None):
        return [{"parameters": {"messages": [{"content": prompt}]}} for prompt in params["prompts"]]

    arguments, parameters = find_arguments(), find_parameters()
    KlingImageToVideoOperator.partial(task_id="expand", start_image_url=IMAGE, poll_interval=0.1).expand(
        prompt=find_prompts()
    )
    KlingImageToVideoOperator.partial(
        task_id="expand_kwargs", start_image_url=IMAGE + "?{{ params.prefix }}", poll_interval=0.1
    ).expand_kwargs(arguments)
    SegmindInferenceOperator.partial(task_id="nested", model=TEXT, poll_interval=0.1).expand_kwargs(parameters)
    SegmindSyncInferenceOperator.partial(task_id="sync", model=TEXT).expand_kwargs(parameters)
    whole = parameters.map(lambda row: row["parameters"])
    SegmindInferenceOperator.partial(task_id="nested_expand", model=TEXT, poll_interval=0.1).expand(
        parameters=whole
    )
    SegmindSyncInferenceOperator.partial(task_id="sync_expand", model=TEXT).expand(parameters=whole)
    SegmindInferenceOperator.partial(task_id="written_expand", model=TEXT, poll_interval=0.1).expand(
        parameters=[{"prompt": "{{ params.prefix }}"}]
    )
    SegmindInferenceOperator.partial(task_id="written", model=TEXT, poll_interval=0.1).expand_kwargs(
        [{"parameters": {"prompt": "{{ params.prefix }}"}}]
    )
    SegmindInferenceOperator(
        task_id="conf", model=TEXT, parameters={"prompt": "{{ params.prompts[0] }}"}, poll_interval=0.1
    )
