"""Submit now, do something else, and wait for the video at the end."""

from __future__ import annotations

from airflow_provider_segmind.compat import DAG, task
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
from airflow_provider_segmind.sensors.request import SegmindRequestSensor

with DAG(dag_id="segmind_fire_and_forget", schedule=None, tags=["segmind"]) as dag:
    submit = KlingImageToVideoOperator(
        task_id="submit",
        prompt="A slow zoom towards the horizon",
        start_image_url=(
            "https://segmind-resources.s3.amazonaws.com/output/"
            "d472b3e1-2b68-406d-9d12-a690c3da4045-seedance_1.5_input.webp"
        ),
        wait_for_completion=False,
    )

    @task
    def write_the_caption() -> str:
        """Do what has no need of the video yet."""
        return "Made with Kling O1"

    wait = SegmindRequestSensor(task_id="wait", request_id="{{ ti.xcom_pull(task_ids='submit') }}")

    @task
    def publish(caption: str, video_url: str) -> None:
        """Stand in for whatever comes last."""
        print(f"{caption}: {video_url}")

    submit >> wait
    publish(write_the_caption(), wait.output)  # type: ignore[arg-type]
