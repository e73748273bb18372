"""Requests that take seconds, of a model that is expected to take longer: each task defers and is resumed soon."""

import time
from typing import Any

from airflow_provider_segmind.compat import DAG
from airflow_provider_segmind.operators.inference import SegmindInferenceOperator


class SlowDelivery(SegmindInferenceOperator):
    """The operator as it is, but with an output that takes a while to deliver."""

    def output_of(self, result: Any) -> Any:
        """Return the output after as long as a worker of Airflow 3 needs to report that the task has deferred."""
        time.sleep(6)
        return super().output_of(result)


with DAG("short_jobs", schedule=None):
    for number in range(4):
        SlowDelivery(
            task_id=f"short_job_{number}",
            model="short-job",
            parameters={"sleep": 2, "number": number},
            expected_duration=60,
            poll_interval=1,
        )
