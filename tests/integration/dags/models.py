"""Other models than Kling: several shapes of output, a wrong model, and the blocking call."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
from airflow_provider_segmind.operators.sync import SegmindSyncInferenceOperator

with DAG("models", schedule=None) as dag:
    for name, model, parameters in (
        ("image", "fast-text-to-image", {"prompt": "a fox"}),
        ("text", "mock-text", {"prompt": "a fox"}),
        ("mock", "mock-inference", {"sleep": 0.1, "credits": 0.5}),
        ("retired", "retired-image-to-video", {"prompt": "a fox"}),
        ("missing", "no-such-model", {}),
    ):
        SegmindInferenceOperator(task_id=name, model=model, parameters=parameters, poll_interval=0.1)
    for name, model in (("sync_image", "fast-text-to-image"), ("sync_text", "mock-text")):
        SegmindSyncInferenceOperator(task_id=name, model=model, parameters={"prompt": "a fox"}, timeout=20)

with DAG("pictures", schedule=None, params={"output_path": ""}):
    SegmindInferenceOperator(
        task_id="pictures",
        model="fast-text-to-image",
        parameters={"prompt": "a fox", "samples": 3},
        output_path="{{ params.output_path }}",
        poll_interval=0.1,
        retries=1,
        retry_delay=timedelta(0),
    )
