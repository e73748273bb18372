"""The sensor in its three ways of waiting, for a request that something else submitted."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_segmind.sensors.request import SegmindRequestSensor

with DAG("sensors", schedule=None, params={"request_id": ""}) as dag:
    ID = "{{ params.request_id }}"
    SegmindRequestSensor(task_id="deferred", request_id=ID, poll_interval=0.1, timeout=2, retries=1)
    for mode in ("poke", "reschedule"):
        SegmindRequestSensor(
            task_id=mode, request_id=ID, deferrable=False, mode=mode, poke_interval=0.2, timeout=2, retries=1
        )
    SegmindRequestSensor(task_id="soft", request_id=ID, poll_interval=0.1, timeout=2, soft_fail=True)
