"""A folder of images, one clip each, by dynamic task mapping."""

from __future__ import annotations

import base64
import mimetypes
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_segmind.hooks.segmind import SegmindHook
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

with DAG(
    dag_id="segmind_folder_of_images",
    schedule=None,
    tags=["segmind"],
    params={"folder": Param(str(Path(__file__).parent / "images"), type="string")},
) as dag:

    @task
    def upload_images(params: dict[str, str] | None = None) -> list[str]:
        """Upload each image of the folder, so that Segmind can fetch it, and return their URLs."""
        images = sorted(Path((params or {})["folder"]).glob("*.jpg"))
        return [SegmindHook().upload([data_url(image)])[0] for image in images]

    @task
    def list_videos(video_urls: list[str]) -> None:
        """Stand in for whatever the videos are for."""
        for url in video_urls:
            print(url)

    def data_url(image: Path) -> str:
        """Return a file in the form in which it is uploaded."""
        content_type, _ = mimetypes.guess_type(image.name)
        return f"data:{content_type};base64,{base64.b64encode(image.read_bytes()).decode()}"

    clips = KlingImageToVideoOperator.partial(
        task_id="make_clip", prompt="The camera circles the product slowly", duration=5
    ).expand(start_image_url=upload_images())

    list_videos(clips.output)
