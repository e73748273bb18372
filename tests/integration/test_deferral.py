"""A deferred task has a safety net: Airflow ends its wait if no triggerer takes it up."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, TaskDeferred

from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
from airflow_provider_segmind.sensors.request import SegmindRequestSensor

TIMEOUT = 4
HOUR = timedelta(hours=1)


class Ti:
    """What an operator asks of its task instance, without a database."""

    map_index, task_id, max_tries, try_number = -1, "run", 0, 1

    def __init__(self) -> None:
        self.xcoms: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value

    def xcom_pull(self, key: str, **_: Any) -> Any:
        return self.xcoms.get(key)


def deferred(
    emulator: RunningEmulator, *faults: dict[str, Any], **arguments: Any
) -> tuple[Any, Any, TaskDeferred]:
    emulator.faults(*faults)
    operator = SegmindInferenceOperator(
        task_id="run", model="mock-text", parameters={"prompt": "a fox"}, timeout=TIMEOUT, **arguments
    )
    context: Any = {"ti": Ti()}
    with pytest.raises(TaskDeferred) as caught:
        operator.execute(context)
    return operator, context, caught.value


@pytest.mark.parametrize(
    ("fault", "method"),
    [
        (None, "execute_complete"),
        ({"on": "submit", "drop": "after"}, "execute_found"),
        ({"on": "submit", "status": 429, "reset_in": 2}, "execute_turn"),
    ],
    ids=["request", "unresolved submit", "rate limit"],
)
def test_each_wait_ends_some_time_after_its_own_deadline(
    emulator: RunningEmulator, fault: dict[str, Any] | None, method: str
) -> None:
    _, _, deferral = deferred(emulator, *([fault] if fault else []))
    assert deferral.method_name == method
    assert timedelta(seconds=TIMEOUT) < deferral.timeout < HOUR
    assert time.time() + deferral.timeout.total_seconds() > deferral.trigger.latest_end


def test_the_sensor_does_so_too(emulator: RunningEmulator) -> None:
    sensor = SegmindRequestSensor(task_id="wait", request_id="r1", timeout=TIMEOUT)
    with pytest.raises(TaskDeferred) as caught:
        sensor.execute({"ti": Ti()})
    assert caught.value.timeout is not None
    assert timedelta(seconds=TIMEOUT) < caught.value.timeout < HOUR


def test_what_is_not_remembered_is_not_paid_again_then(emulator: RunningEmulator) -> None:
    operator, context, _ = deferred(emulator)
    (charge,) = emulator.ledger()["charges"]
    with pytest.raises(AirflowFailException, match=charge["request_id"]):
        operator.resume_execution("__fail__", {"error": "Trigger timeout"}, context)


def test_what_is_remembered_is_continued_by_a_retry(emulator: RunningEmulator) -> None:
    operator, context, _ = deferred(emulator)
    context["task_state_store"] = {}
    with pytest.raises(AirflowException) as caught:
        operator.resume_execution("__fail__", {"error": "Trigger timeout"}, context)
    assert not isinstance(caught.value, AirflowFailException)
