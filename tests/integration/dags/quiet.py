"""Tasks that are to push nothing to XCom."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
from airflow_provider_segmind.operators.sync import SegmindSyncInferenceOperator
from airflow_provider_segmind.sensors.request import SegmindRequestSensor

IMAGE = "https://example.com/a.png"

with DAG("quiet", schedule=None, default_args={"do_xcom_push": False}, params={"request_id": ""}):
    kling = {"poll_interval": 0.1, "push_result": True, "start_image_url": IMAGE}
    KlingImageToVideoOperator(task_id="alone", prompt="zoom", **kling)
    KlingImageToVideoOperator.partial(task_id="mapped", **kling).expand(prompt=["zoom"])
    SegmindSyncInferenceOperator(task_id="sync", model="fast-text-to-image", parameters={"prompt": "a fox"})
    SegmindRequestSensor(task_id="wait", request_id="{{ params.request_id }}", poke_interval=0.1)
