"""
A DAG that runs whenever a request of the account is done, whoever submitted it, for Airflow 3.0 and later.

The triggerer reads Segmind's request history once a minute, and never submits. One run may be for several
requests: those that were done while the DAG was busy.
"""

from __future__ import annotations

from airflow.sdk import DAG, Asset, AssetWatcher

from airflow_provider_segmind.compat import get_current_context, task, triggering_events
from airflow_provider_segmind.triggers.request_ended import SegmindRequestEndedTrigger

REQUESTS = Asset(
    "segmind_requests",
    watchers=[AssetWatcher(name="segmind_history", trigger=SegmindRequestEndedTrigger())],
)

with DAG(dag_id="segmind_on_any_request", schedule=[REQUESTS], tags=["segmind"]):

    @task
    def announce() -> list[str]:
        """Say what is done."""
        events = triggering_events(get_current_context(), REQUESTS)
        requests = [event.extra["payload"] for event in events]
        for each in requests:
            where = each["output_urls"] or "nowhere"
            print(f"{each['model']} made {where} for {each['cost']} USD: request {each['request_id']}")
        return [each["request_id"] for each in requests]

    announce()
