"""
Submit in one DAG, and wait in another.

The first DAG ends as soon as Segmind has the request. It announces the id as an event of an asset, and the second
DAG runs for each of these events: it waits, and stores the video in a folder, by the id of its request.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from pendulum import datetime

from airflow_provider_segmind.compat import DAG, Asset, Param, get_current_context, task
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
from airflow_provider_segmind.sensors.request import SegmindRequestSensor

SUBMITTED = Asset("product_requests")
EXAMPLE_IMAGE = (
    "https://segmind-resources.s3.amazonaws.com/output/"
    "d472b3e1-2b68-406d-9d12-a690c3da4045-seedance_1.5_input.webp"
)

with DAG(
    dag_id="segmind_submit",
    schedule=None,
    tags=["segmind"],
    params={"start_image_url": Param(EXAMPLE_IMAGE, type="string")},
):
    submit = KlingImageToVideoOperator(
        task_id="submit",
        prompt="The camera circles the product slowly",
        start_image_url="{{ params.start_image_url }}",
        wait_for_completion=False,
    )

    @task(outlets=[SUBMITTED])
    def announce(request_id: str) -> None:
        """Emit the event that starts the other DAG."""
        get_current_context()["outlet_events"][SUBMITTED].extra.update(request_id=request_id)

    announce(submit.output)  # type: ignore[arg-type]

with DAG(
    dag_id="segmind_wait",
    schedule=[SUBMITTED],
    start_date=datetime(2026, 1, 1, tz="UTC"),
    tags=["segmind"],
    params={"clips": Param(str(Path(tempfile.gettempdir()) / "segmind_clips"), type="string")},
):

    @task(inlets=[SUBMITTED])
    def find_requests() -> list[str]:
        """Return the ids of all events that this run is for; of the newest one, if somebody has triggered it."""
        context: Any = get_current_context()
        found = context.get("triggering_asset_events") or context.get("triggering_dataset_events") or {}
        events = [event for of_asset in found.values() for event in of_asset]
        return [event.extra["request_id"] for event in events or [context["inlet_events"][SUBMITTED][-1]]]

    SegmindRequestSensor.partial(task_id="wait", output_path="{{ params.clips.rstrip('/') }}/", retries=3).expand(
        request_id=find_requests()
    )
