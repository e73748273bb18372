"""One clip: an image becomes a video, and its URL the value of the task."""

from __future__ import annotations

from airflow_provider_segmind.compat import DAG, Param, task
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

EXAMPLE_IMAGES = "https://segmind-resources.s3.amazonaws.com/output"

with DAG(
    dag_id="segmind_image_to_video",
    schedule=None,
    tags=["segmind"],
    params={
        "prompt": Param("A seamless transformation of a man driving a vehicle and crashing", type="string"),
        "start_image_url": Param(
            f"{EXAMPLE_IMAGES}/d472b3e1-2b68-406d-9d12-a690c3da4045-seedance_1.5_input.webp", type="string"
        ),
        "end_image_url": Param(
            f"{EXAMPLE_IMAGES}/dbc484a8-bcda-4b9c-97f6-d89dca2f3815-output-1767723467082.png", type="string"
        ),
        "duration": Param(5, enum=[5, 10]),
        "expected_duration": Param(
            None, type=["null", "number"], description="Seconds that a clip usually takes, if not about 145"
        ),
    },
) as dag:
    make_clip = KlingImageToVideoOperator(
        task_id="make_clip",
        prompt="{{ params.prompt }}",
        start_image_url="{{ params.start_image_url }}",
        end_image_url="{{ params.end_image_url }}",
        duration="{{ params.duration }}",
        expected_duration="{{ params.expected_duration }}",
    )

    @task
    def announce(video_url: str) -> None:
        """Stand in for whatever the video is for."""
        print(f"The video is at {video_url} for seven days.")

    announce(make_clip.output)  # type: ignore[arg-type]
