"""A sensor for a request that something else has submitted."""

from airflow_provider_segmind.compat import DAG
from airflow_provider_segmind.sensors.request import SegmindRequestSensor

with DAG("awaited", schedule=None, params={"request_id": ""}):
    SegmindRequestSensor(task_id="wait", request_id="{{ params.request_id }}", deferrable=False, poke_interval=1)
