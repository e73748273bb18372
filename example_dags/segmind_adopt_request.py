"""
Adopt a request by its id, whoever submitted it: wait for its end, and store its output.

For a request that a task has given up, that another program submitted, or that somebody found in Segmind's
history: trigger this DAG with its id. It never submits, and costs nothing. Segmind keeps the record of a request
for one hour, and its files for seven days; the history may have it for longer.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_segmind.compat import DAG, Param, task
from airflow_provider_segmind.sensors.request import SegmindRequestSensor

with DAG(
    dag_id="segmind_adopt_request",
    schedule=None,
    tags=["segmind"],
    params={
        "request_id": Param("", type="string", description="As a message or Segmind's console shows it"),
        "output_path": Param(
            "",
            type="string",
            description="A file, or a folder with a slash at its end; empty leaves it at Segmind",
        ),
        # A list, because a run may be given any conf: it must not choose among all connections.
        "conn_id": Param("", enum=["", "aws_default", "google_cloud_default", "storage"]),
    },
) as dag:
    adopt = SegmindRequestSensor(
        task_id="adopt",
        request_id="{{ params.request_id.strip() }}",
        output_path="{{ params.output_path }}",
        output_conn_id="{{ params.conn_id }}",
        retries=3,
    )

    @task
    def publish(summary: dict[str, Any]) -> None:
        """Stand in for whatever the output is for."""
        for file in summary["files"]:
            print(f"The output is at {file.get('output_path') or file['url']}")

    publish(adopt.output["summary"])  # type: ignore[index]
