"""The sensor in its three modes, with each way to end, for a request that something else submitted."""

from __future__ import annotations

from datetime import timedelta

from airflow_provider_segmind.compat import DAG, task
from airflow_provider_segmind.sensors.request import SegmindRequestSensor

MODES = {"deferred": {}, "poke": {"deferrable": False}, "reschedule": {"deferrable": False, "mode": "reschedule"}}
ENDS = {"": {}, "_soft": {"soft_fail": True}, "_never": {"never_fail": True}}
COMMON = {"timeout": 2, "retries": 1, "retry_delay": timedelta(0), "poke_interval": 0.2}

with DAG("sensors", schedule=None, params={"request_id": "", "model": "", "output_path": ""}) as dag:
    for mode, waits in MODES.items():
        for end, skips in ENDS.items():
            SegmindRequestSensor(
                task_id=f"{mode}{end}",
                request_id="{{ params.request_id }}",
                model="{{ params.model }}",
                output_path="{{ params.output_path }}",
                push_result=(mode, end) == ("deferred", ""),
                **COMMON,
                **waits,
                **skips,
            )

with DAG("sensors_existing", schedule=None, params={"request_id": "", "output_path": "", "folder": ""}):
    for mode, waits in MODES.items():
        for choice in ("skip", "error"):
            SegmindRequestSensor(
                task_id=f"{mode}_{choice}",
                request_id="{{ params.request_id }}",
                output_path="{{ params.output_path or params.folder ~ task.task_id ~ '.png' }}",
                if_output_exists=choice,
                **COMMON,
                **waits,
            )

with DAG("sensors_mapped", schedule=None, params={"request_ids": []}):

    @task
    def submit(params=None):
        return params["request_ids"]

    SegmindRequestSensor.partial(task_id="wait", **COMMON).expand(request_id=submit())
    SegmindRequestSensor.partial(task_id="wait_soft", soft_fail=True, **COMMON).expand(request_id=submit())
