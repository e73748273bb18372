"""A DAG that makes a clip, and one that runs whenever there are new ones, and knows where they are."""

from __future__ import annotations

from pendulum import datetime

from airflow_provider_segmind.compat import DAG, Asset, Param, get_current_context, task, triggering_events
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

CLIP = Asset("product_clips")
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
    def announce() -> list[str]:
        """Say what is new. A run may be for several clips. One that was started by hand looks at the last clip."""
        context = get_current_context()
        events = triggering_events(context, CLIP) or list(context["inlet_events"][CLIP])[-1:]
        extras = [event.extra or {} for event in events]
        for new in extras:  # ``output_path`` is among it, if the clip was stored
            print(f"{new['model']} made {new['url']} for {new['cost']} USD: request {new['request_id']}")
        return [str(new["url"]) for new in extras]

    announce()
