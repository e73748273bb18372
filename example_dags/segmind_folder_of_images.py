"""
A folder of images, one clip each, by dynamic task mapping.

Both folders may be in an object store, ``s3://products/images/``, or on a disk. Local folders must be allowed to
the workers: ``AIRFLOW__SEGMIND__ALLOWED_LOCAL_PATHS=/data/images,/data/clips``. The images may have any names:
they are never rendered as templates, and each clip is called by its image.

All images are mapped over, in the order of their names, and an image that has its clip costs nothing. So the DAG
can be run again when more images have come, and pays for those alone. A run can be cleared, all of it or what has
failed. One run after the other: a new one knows nothing of requests that another has paid for.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from airflow_provider_segmind.compat import DAG, ObjectStoragePath, Param, task
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
        # A list, because a run may be given any conf: it must not choose among all connections.
        "conn_id": Param("", enum=["", "aws_default", "google_cloud_default", "storage"]),
        "prompt": Param("The camera circles the product slowly", type="string"),
        "expected_duration": Param(
            None, type=["null", "number"], description="Seconds that a clip usually takes, if not about 145"
        ),
    },
) as dag:

    @task
    def find_images(params: dict[str, str] | None = None) -> list[str]:
        """Return all images, each time in the same order: a cleared run gives each task the same image."""
        given = params or {}
        images = ObjectStoragePath(given["images"], conn_id=given["conn_id"] or None)
        return sorted(str(image) for image in images.iterdir() if image.suffix in IMAGES)

    make_clip = KlingImageToVideoOperator.partial(
        task_id="make_clip",
        prompt="{{ params.prompt }}",
        input_conn_id="{{ params.conn_id }}",
        output_path="{{ params.clips.rstrip('/') }}/",
        output_conn_id="{{ params.conn_id }}",
        name_output_after="start_image_url",
        if_output_exists="skip",
        map_index_template="{{ task.start_image_url.rpartition('/')[2][:100] }}",
        expected_duration="{{ params.expected_duration }}",
        retries=3,
    ).expand(start_image_url=find_images())

    @task
    def publish(clips: list[str]) -> None:
        """Stand in for whatever the clips are for. Of a new one it gets the URL, of an old one the path."""
        print(f"{len(list(clips))} clips")

    publish(make_clip.output)
