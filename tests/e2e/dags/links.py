"""Tasks with links on their pages: of each operator, mapped, failed, and one whose XCom somebody has changed."""

from __future__ import annotations

from typing import Any

from airflow_provider_segmind.compat import DAG
from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
from airflow_provider_segmind.operators.sync import SegmindSyncInferenceOperator
from airflow_provider_segmind.sensors.request import SegmindRequestSensor

IMAGE = "https://example.com/a.png"
FOX = {"prompt": "a fox"}


class OverwrittenOperator(KlingImageToVideoOperator):
    """A clip whose summary somebody has changed who may write XComs."""

    def post_execute(self, context: Any, result: Any = None) -> None:
        """Write another summary."""
        files = [{"url": "javascript:alert(document.cookie)"}]
        context["ti"].xcom_push(key="summary", value={"files": files, "model": "../../evil"})


with DAG("links", schedule=None, params={"model": "fast-text-to-image", "folder": ""}):
    kling: dict[str, Any] = {"prompt": "zoom", "start_image_url": IMAGE, "deferrable": False}
    KlingImageToVideoOperator(task_id="clip", **kling)
    templated = SegmindInferenceOperator(task_id="templated", model="{{ params.model }}", parameters=FOX)
    SegmindInferenceOperator.partial(task_id="mapped", parameters=FOX, deferrable=False).expand(
        model=["fast-text-to-image", "mock-text"]
    )
    SegmindSyncInferenceOperator(task_id="sync", model="fast-text-to-image", parameters=FOX)
    SegmindRequestSensor(task_id="adopted", request_id=templated.output["request_id"], mode="poke")
    SegmindRequestSensor(
        task_id="of_a_model", request_id=templated.output["request_id"], model="{{ params.model }}", mode="poke"
    )
    KlingImageToVideoOperator(task_id="not_stored", output_path="{{ params.folder }}/clip.mp4", **kling)
    OverwrittenOperator(task_id="overwritten", **kling)

with DAG("links_of_a_wait", schedule=None, params={"model": "stuck-model"}):
    SegmindInferenceOperator(task_id="stuck", model="{{ params.model }}", parameters=FOX, deferrable=True)
