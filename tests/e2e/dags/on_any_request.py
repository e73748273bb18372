"""A DAG that runs when a request of the account has ended, with a watch that looks every other second."""

from __future__ import annotations

import os

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_segmind.triggers.request_ended import SegmindRequestEndedTrigger

CONN_ID = os.environ.get("WATCHED_CONN_ID", "segmind_default")
TRIGGER = SegmindRequestEndedTrigger(poll_interval=2, segmind_conn_id=CONN_ID)
REQUESTS = Asset("requests", watchers=[AssetWatcher(name="history", trigger=TRIGGER)])

with DAG("on_any_request", schedule=[REQUESTS], is_paused_upon_creation=False):

    @task
    def note() -> None:
        """Be run."""

    note()
