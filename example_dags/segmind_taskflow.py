"""
A catalogue of products, one clip each: a function writes the prompt, and ``@task.segmind`` makes the clip.

The function runs in the worker, right before the submit. What it returns goes to Segmind as it is: a product that
is called ``{{ conn.prod_db.password }}`` stays a text. Write the folder of the clips and their connection into the
DAG, as here into its params, and not into what the function returns.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from airflow_provider_segmind.compat import DAG, Param, task

IMAGES = Path(__file__).parent / "images"

with DAG(
    dag_id="segmind_taskflow",
    schedule=None,
    max_active_runs=1,
    tags=["segmind"],
    params={
        "clips": Param(str(Path(tempfile.gettempdir()) / "segmind_clips"), type="string"),
        "style": Param("slowly, in warm light", type="string", maxLength=200),
    },
) as dag:

    @task
    def find_products() -> list[dict[str, str]]:
        """Stand in for a query of your catalogue."""
        return [{"name": name, "image": str(IMAGES / f"{name}.jpg")} for name in ("lamp", "mug", "plant")]

    @task.segmind(
        model="kling-o1-image-to-video",
        output_path="{{ params.clips.rstrip('/') }}/",
        name_output_after="start_image_url",
        if_output_exists="skip",
        retries=3,
    )
    def make_clip(product: dict[str, str], params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what Kling O1 is to make of a product."""
        style = (params or {})["style"]
        return {
            "prompt": f"The camera circles the {product['name']} {style}",
            "start_image_url": product["image"],
            "duration": 10 if product["name"] == "lamp" else 5,
        }

    @task
    def publish(clips: list[str]) -> None:
        """Stand in for whatever the clips are for."""
        print(f"{len(list(clips))} clips")

    publish(make_clip.expand(product=find_products()))  # type: ignore[arg-type]
