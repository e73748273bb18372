"""A task with an alias among its outlets, and one that reads the alias's events."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import DAG, AssetAlias, get_current_context, task

from airflow_provider_segmind.operators.inference import SegmindInferenceOperator

PICTURES = AssetAlias("pictures")

with DAG("alias", schedule=None, params={"output_path": ""}):
    SegmindInferenceOperator(
        task_id="pictures",
        model="fast-text-to-image",
        parameters={"prompt": "a fox", "samples": 2},
        output_path="{{ params.output_path }}",
        poll_interval=0.1,
        outlets=[PICTURES],
    )

with DAG("alias_reader", schedule=None):

    @task(inlets=[PICTURES])
    def read() -> list[Any]:
        """Return the URI and the extra of each event."""
        events = get_current_context()["inlet_events"][PICTURES]
        return [[(event.asset if hasattr(event, "asset") else event.dataset).uri, event.extra] for event in events]

    read()
