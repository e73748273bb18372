"""A DAG that makes a clip, and one that runs whenever there is a new one, and knows where it is."""

from __future__ import annotations

from pendulum import datetime

from airflow_provider_segmind.compat import DAG, Asset, Param, get_current_context, task
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

CLIP = Asset("segmind://clips/product")
EXAMPLE_IMAGE = (
    "https://segmind-resources.s3.amazonaws.com/output/"
    "d472b3e1-2b68-406d-9d12-a690c3da4045-seedance_1.5_input.webp"
)

with DAG(
    dag_id="segmind_make_clip",
    schedule=None,
    tags=["segmind"],
    params={
        "start_image_url": Param(EXAMPLE_IMAGE, type="string"),
        "output_path": Param("", type="string", description="Where to store it; empty leaves it at Segmind"),
    },
):
    KlingImageToVideoOperator(
        task_id="make_clip",
        prompt="The camera circles the product slowly",
        start_image_url="{{ params.start_image_url }}",
        output_path="{{ params.output_path }}",
        outlets=[CLIP],
    )

with DAG(
    dag_id="segmind_on_new_clip", schedule=[CLIP], start_date=datetime(2026, 1, 1, tz="UTC"), tags=["segmind"]
):

    @task(inlets=[CLIP])
    def announce() -> str:
        """Say what is new; ``output_path`` is among it, if the clip was stored."""
        newest = get_current_context()["inlet_events"][CLIP][-1].extra
        print(f"{newest['model']} made {newest['url']} for {newest['cost']} USD: request {newest['request_id']}")
        return str(newest["url"])

    announce()
