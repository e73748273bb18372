"""Functions under ``@task.segmind``: a mapped one that defers, and one that is killed after it has paid."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from airflow_provider_segmind.compat import DAG, task

NOTES = Path(os.environ.get("DECORATED_NOTES", "."))
RECORDS = Path(os.environ.get("AIRFLOW__SEGMIND__RECORDS_PATH", "."))


def note_call(name: str) -> int:
    """Write down that a function was called, and return how often it has been by now."""
    (NOTES / f"{name}-{time.time_ns()}").touch()
    return len(list(NOTES.glob(f"{name}-*")))


def die_when_paid() -> None:
    """Kill this process as soon as the record of its request has the id."""
    while not any(map(is_paid, RECORDS.glob("*.json"))):
        time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGKILL)


def is_paid(record: Path) -> bool:
    """Whether this is the record of the task `dies`, after its submit."""
    written = record.read_text()
    return '"task_id": "dies"' in written and '"request_id": "' in written


with DAG("decorated_tasks", schedule=None):

    @task.segmind(model="decorated-job", expected_duration=60, poll_interval=1, retries=2)
    def draw(number: int, ti: Any = None) -> dict[str, Any]:
        """Return the parameters of a request that takes two seconds."""
        note_call(f"draw_{ti.map_index}")
        return {"sleep": 2, "number": number}

    @task.segmind(model="decorated-job", deferrable=False, poll_interval=1, retries=2)
    def dies() -> dict[str, Any]:
        """Return other parameters in each attempt. The first one ends while it waits for the request."""
        calls = note_call("dies")
        if calls == 1:
            threading.Thread(target=die_when_paid, daemon=True).start()
        return {"sleep": 8, "calls": calls}

    draw.expand(number=[1, 2, 3])
    dies()
