"""Tasks for each thing that the tab shows."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import DAG, AirflowFailException
from airflow.providers.standard.operators.python import PythonOperator

from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

HOSTILE = "<script>window.hacked = true</script><img src=x onerror='window.hacked = true'>"
FOREIGN = "https://media.example.com/outputs/clip.mp4"


class OverwrittenOperator(KlingImageToVideoOperator):
    """A clip whose summary somebody has changed who may write XComs."""

    custom_operator_name = "KlingImageToVideoOperator"
    """From Airflow 3.4 on, the tab is on the pages of some names alone."""

    def post_execute(self, context: Any, result: Any = None) -> None:
        """Write another summary."""
        urls = ("javascript:window.hacked=true", "https://user:secret@evil.example/a.mp4", FOREIGN)
        files = [{"url": url, "content_type": "video/mp4", "output_path": HOSTILE} for url in urls]
        files += [{"url": ["not", "text"]}, "not a file"]  # type: ignore[list-item]
        context["ti"].xcom_push(key="summary", value={"files": files, "model": HOSTILE, "request_id": HOSTILE})


class BrokenOperator(KlingImageToVideoOperator):
    """A clip that is paid for, in a task that fails after it."""

    custom_operator_name = "KlingImageToVideoOperator"

    def post_execute(self, context: Any, result: Any = None) -> None:
        """Fail as a callback of the user's may."""
        raise AirflowFailException("the clip cannot be used")


def do_something_else() -> None:
    """Stand in for a task of another provider."""


# In the worker, and soon: what the tab shows is the same, and the tests need not wait for a triggerer.
quick = {"deferrable": False, "expected_duration": 2}

with DAG("media", schedule=None, params={"image": "", "folder": ""}, default_args=quick):
    image = {"start_image_url": "{{ params.image }}"}
    KlingImageToVideoOperator(
        task_id="clip", prompt="The camera circles the mug", output_path="{{ params.folder }}/", **image
    )
    KlingImageToVideoOperator.partial(task_id="mapped", **image).expand(prompt=["zoom in", "zoom out"])
    KlingImageToVideoOperator(task_id="hostile", prompt=HOSTILE, **image)
    SegmindInferenceOperator(task_id="blocked", model="blocked-model", parameters={"prompt": "forbidden"})
    OverwrittenOperator(task_id="overwritten", prompt="zoom", **image)
    SegmindInferenceOperator(
        task_id="gallery", model="fast-text-to-image", parameters={"prompt": "a fox", "samples": 3}
    )
    SegmindInferenceOperator(task_id="text", model="mock-text", parameters={"prompt": HOSTILE})
    BrokenOperator(task_id="broken", prompt="zoom", **image)
    SegmindInferenceOperator(
        task_id="forgotten", model="mock-inference", parameters={"credits": 0.25}, wait_for_completion=False
    )
    PythonOperator(task_id="not_segmind", python_callable=do_something_else)

with DAG("waiting", schedule=None):
    SegmindInferenceOperator(
        task_id="stuck", model="stuck-model", parameters={"prompt": "slow"}, expected_duration=120, timeout=3600
    )
