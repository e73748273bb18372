"""
A folder of images, one clip each, by dynamic task mapping.

Both folders may lie in an object store, ``s3://products/images/``, or on a disk. An image that has its clip is
left out: so the DAG can be run again when more images have come, and pays for those alone. One run after the
other: a new one knows nothing of requests that another has paid for. What has failed is cleared task by task.

On a disk, both folders have to be below those of Airflow's option ``[segmind] allowed_local_paths``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG, ObjectStoragePath, Param, task

from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

IMAGES = (".png", ".jpg", ".jpeg", ".webp")

with DAG(
    dag_id="segmind_folder_of_images",
    schedule=None,
    max_active_runs=1,
    tags=["segmind"],
    params={
        "images": Param(str(Path(__file__).parent / "images"), type="string"),
        "clips": Param(str(Path(tempfile.gettempdir()) / "segmind_clips"), type="string"),
        "conn_id": Param("", type="string", description="The connection to both, if they lie in an object store"),
        "prompt": Param("The camera circles the product slowly", type="string"),
        "expected_duration": Param(
            None, type=["null", "number"], description="Seconds that a clip usually takes, if not about 145"
        ),
    },
) as dag:

    @task
    def find_images(params: dict[str, str] | None = None) -> list[dict[str, str]]:
        """Return each image that has no clip yet, and where its clip belongs."""
        given = params or {}
        images, clips = (
            ObjectStoragePath(given[name], conn_id=given["conn_id"] or None) for name in ("images", "clips")
        )
        wanted = {image: clips / f"{image.name}.mp4" for image in images.iterdir() if image.suffix in IMAGES}
        return [
            {"start_image_url": str(image), "output_path": str(clip)}
            for image, clip in wanted.items()
            if not clip.exists()
        ]

    make_clip = KlingImageToVideoOperator.partial(
        task_id="make_clip",
        prompt="{{ params.prompt }}",
        expected_duration="{{ params.expected_duration }}",
        retries=3,
    ).expand_kwargs(find_images())  # type: ignore[arg-type]

    @task
    def publish(video_urls: list[str]) -> None:
        """Stand in for whatever the clips are for."""
        print(f"{len(list(video_urls))} new clips")

    publish(make_clip.output)  # type: ignore[arg-type]
