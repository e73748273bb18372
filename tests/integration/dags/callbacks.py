"""Tasks whose callbacks write down what they get as ``context["exception"]``."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_segmind import exceptions
from airflow_provider_segmind.compat import AirflowFailException
from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
from airflow_provider_segmind.sensors.request import SegmindRequestSensor

KINDS = [each for each in vars(exceptions).values() if isinstance(each, type) and issubclass(each, Exception)]


def write_down(callback: str, context: Any) -> None:
    """Append what a callback learns of the error."""
    error = context["exception"]
    seen = {
        "callback": callback,
        "task": context["ti"].task_id,
        "is": [each.__name__ for each in KINDS if isinstance(error, each)],
        "final": isinstance(error, AirflowFailException),
        "text": str(error),
        "request_id": getattr(error, "request_id", None),
        "status": getattr(error, "status", None),
    }
    with Path(os.environ["SEGMIND_TEST_SEEN"]).open("a") as file:
        file.write(json.dumps(seen) + "\n")


def failed(context: Any) -> None:
    """Be the callback of a task that has failed for good."""
    write_down("failure", context)


def retried(context: Any) -> None:
    """Be the callback of a task that gets another attempt."""
    write_down("retry", context)


CALLBACKS = {"on_failure_callback": failed, "on_retry_callback": retried}

with DAG("callbacks", schedule=None, default_args={"retries": 1, "retry_delay": timedelta(0), **CALLBACKS}) as dag:
    SegmindInferenceOperator(task_id="run", model="mock-text", timeout=60, poll_interval=0.1)
    SegmindRequestSensor(task_id="wait", request_id="00000000-0000-4000-8000-000000000000", timeout=60)
