"""One task of each operator and sensor, as the reference describes them. Each pushes all that it can."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
from airflow_provider_segmind.operators.sync import SegmindSyncInferenceOperator
from airflow_provider_segmind.sensors.credits import SegmindCreditsSensor
from airflow_provider_segmind.sensors.request import SegmindRequestSensor

IMAGE = "https://example.com/a.png"

with DAG("reference", schedule=None):
    kling = KlingImageToVideoOperator(
        task_id="kling", prompt="zoom", start_image_url=IMAGE, poll_interval=0.1, push_result=True
    )
    SegmindInferenceOperator(
        task_id="inference",
        model="fast-text-to-image",
        parameters={"prompt": "a fox"},
        poll_interval=0.1,
        push_result=True,
    )
    SegmindSyncInferenceOperator(task_id="sync", model="fast-text-to-image", parameters={"prompt": "a fox"})
    wait = SegmindRequestSensor(
        task_id="request-sensor",
        request_id="{{ ti.xcom_pull(task_ids='kling', key='request_id') }}",
        poke_interval=0.1,
        push_result=True,
    )
    SegmindCreditsSensor(task_id="credits-sensor", min_credits=0, timeout=0)
    kling >> wait
