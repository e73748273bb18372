"""Paths in place of text: on a disk, and in an object store with a separate connection."""

from __future__ import annotations

import os
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG, ObjectStoragePath

from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

with DAG("paths", schedule=None) as dag:
    # Only for its test: Airflow keeps the file system of a path in a process, even one without a connection.
    if "SEGMIND_TEST_FOLDER" in os.environ:
        locations = {
            "disk": Path(os.environ["SEGMIND_TEST_FOLDER"]),
            "s3": ObjectStoragePath("s3://products/paths", protocol="s3", conn_id="storage"),
        }
        for name, folder in locations.items():
            KlingImageToVideoOperator(
                task_id=name,
                prompt="zoom",
                start_image_url=folder / "mug [1].jpg",
                output_path=folder / "clip [1].mp4",
                poll_interval=0.1,
            )
            SegmindInferenceOperator(
                task_id=f"{name}_list",
                model="kling-o1-image-to-video",
                parameters={"prompt": "zoom", "start_image_url": folder / "mug [1].jpg", "duration": 5},
                upload=["start_image_url"],
                output_path=folder / "clip [2].mp4",
                poll_interval=0.1,
            )
