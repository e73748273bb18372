"""Tasks with assets and an alias among their outlets, and one that reads the events."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import DAG, Asset, AssetAlias, get_current_context, task

from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
from airflow_provider_segmind.operators.sync import SegmindSyncInferenceOperator
from airflow_provider_segmind.sensors.request import SegmindRequestSensor

PICTURES = AssetAlias("pictures")
WAITED_FOR = Asset("waited_for")
AT_ONCE = Asset("at_once")
HANDED_OVER = Asset("handed_over")
KEPT = Asset("kept")
STORED = Asset("stored")
FILES = AssetAlias("files")
OUTLETS = (PICTURES, WAITED_FOR, AT_ONCE, HANDED_OVER, KEPT, STORED, FILES)
MODEL = "fast-text-to-image"

with DAG("assets", schedule=None, params={"output_path": "", "request_id": "", "stored_path": ""}):
    SegmindInferenceOperator(
        task_id="pictures",
        model=MODEL,
        parameters={"prompt": "a fox", "samples": 2},
        output_path="{{ params.output_path }}",
        poll_interval=0.1,
        outlets=[PICTURES],
    )
    SegmindSyncInferenceOperator(
        task_id="at_once", model=MODEL, parameters={"prompt": "a fox"}, timeout=20, outlets=[AT_ONCE, PICTURES]
    )
    SegmindRequestSensor(
        task_id="stored",
        request_id="{{ params.request_id }}",
        output_path="{{ params.stored_path }}",
        poke_interval=0.1,
        outlets=[STORED, FILES],
    )
    SegmindRequestSensor(
        task_id="waited_for",
        request_id="{{ params.request_id }}",
        poke_interval=0.1,
        outlets=[WAITED_FOR, PICTURES],
    )

with DAG("no_events", schedule=None, params={"output_path": ""}):
    SegmindInferenceOperator(
        task_id="handed_over",
        model=MODEL,
        parameters={"prompt": "a fox"},
        wait_for_completion=False,
        outlets=[HANDED_OVER, PICTURES],
    )
    SegmindInferenceOperator(
        task_id="kept",
        model=MODEL,
        parameters={"prompt": "a fox"},
        output_path="{{ params.output_path }}",
        if_output_exists="skip",
        outlets=[KEPT, PICTURES],
    )

with DAG("assets_reader", schedule=None):

    @task(inlets=[*OUTLETS])
    def read() -> list[Any]:
        """Return the URI and the extra of each event, by outlet."""
        events = get_current_context()["inlet_events"]
        return [[_uri_and_extra(event) for event in events[inlet]] for inlet in OUTLETS]

    def _uri_and_extra(event: Any) -> list[Any]:
        return [(event.asset if hasattr(event, "asset") else event.dataset).uri, event.extra]

    read()
