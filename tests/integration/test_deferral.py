"""A deferred task has a safety net: Airflow ends its wait if no triggerer takes it up."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, TaskDeferred

from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.exceptions import RequestFailedError, UnreachableError
from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
from airflow_provider_segmind.sensors.request import SegmindRequestSensor
from tests.task_instance import Ti

TIMEOUT = 4
HOUR = timedelta(hours=1)


SLOW: Any = {"expected_duration": 60}
"""A request that is worth a deferral."""


def deferred(
    emulator: RunningEmulator, *faults: dict[str, Any], **arguments: Any
) -> tuple[Any, Any, TaskDeferred]:
    emulator.faults(*faults)
    operator = SegmindInferenceOperator(
        task_id="run",
        model="mock-text",
        parameters={"prompt": "a fox"},
        timeout=TIMEOUT,
        **SLOW,
        **arguments,
    )
    context: Any = {"ti": Ti()}
    with pytest.raises(TaskDeferred) as caught:
        operator.execute(context)
    return operator, context, caught.value


@pytest.mark.parametrize(
    ("fault", "method"),
    [
        (None, "execute_complete"),
        ({"on": "submit", "drop": "after"}, "execute_after_search"),
        ({"on": "submit", "status": 429, "reset_in": 2}, "execute_after_rate_limit"),
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


@pytest.mark.parametrize(
    ("operator", "variant"),
    [
        (
            SegmindInferenceOperator(task_id="run", model="mock-text", parameters={"duration": "8"}, **SLOW),
            "duration=8",
        ),
        (SegmindInferenceOperator(task_id="run", model="mock-text", parameters={}, **SLOW), None),
        (KlingImageToVideoOperator(task_id="run", prompt="a", start_image_url="https://x/a.png"), "duration=5"),
        (
            KlingImageToVideoOperator(task_id="run", prompt="a", start_image_url="https://x/a.png", duration=10),
            "duration=10",
        ),
    ],
    ids=["given", "none", "default", "long"],
)
def test_the_trigger_knows_what_decides_how_long_the_request_takes(
    emulator: RunningEmulator, operator: SegmindInferenceOperator, variant: str | None
) -> None:
    with pytest.raises(TaskDeferred) as caught:
        operator.execute({"ti": Ti()})
    deferral: Any = caught.value
    assert deferral.trigger.request.variant == variant


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


def test_nor_if_xcom_cannot_be_read_just_then(emulator: RunningEmulator) -> None:
    operator, context, _ = deferred(emulator)

    def fail(**_: Any) -> None:
        raise ConnectionError("the API server does not answer")

    context["ti"].xcom_pull = fail
    with pytest.raises(AirflowFailException, match="Trigger timeout"):
        operator.resume_execution("__fail__", {"error": "Trigger timeout"}, context)


def test_a_connection_that_cannot_be_read_after_the_wait_costs_no_second_charge(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing is remembered, a retry would submit."""
    operator, context, deferral = deferred(emulator)
    (charge,) = emulator.ledger()["charges"]

    def fail(*_: Any) -> None:
        raise UnreachableError("Airflow cannot look up the connection")

    monkeypatch.setattr("airflow_provider_segmind.hooks.driving.fetch_completed", fail)
    event = {"version": 1, "request_id": charge["request_id"], "state": "COMPLETED", "from_history": False}
    with pytest.raises(AirflowFailException, match=charge["request_id"]):
        getattr(operator, deferral.method_name)(context, event)


def test_what_is_remembered_is_continued_by_a_retry(emulator: RunningEmulator) -> None:
    operator, context, _ = deferred(emulator)
    context["task_state_store"] = {}
    (charge,) = emulator.ledger()["charges"]
    with pytest.raises(AirflowException, match=charge["request_id"]) as caught:
        operator.resume_execution("__fail__", {"error": "Trigger timeout"}, context)
    assert not isinstance(caught.value, AirflowFailException)


def looks(emulator: RunningEmulator) -> int:
    """Return how often a state was asked for: a call for the result says it, too."""
    counts = emulator.requests()["endpoints"]
    return int(counts["status"] + counts["result"])


def shortly(emulator: RunningEmulator, *faults: dict[str, Any], **arguments: Any) -> Any:
    """Execute a task whose request is usually done in half a second."""
    emulator.faults(*faults)
    operator = SegmindInferenceOperator(
        task_id="run", model="mock-text", expected_duration=0.5, poll_interval=0.1, **arguments
    )
    return operator.execute({"ti": Ti(), "outlet_events": {}})


def test_a_request_that_nothing_is_known_of_is_looked_at_before_the_deferral(emulator: RunningEmulator) -> None:
    operator = SegmindInferenceOperator(task_id="run", model="fast-text-to-image", parameters={"prompt": "a fox"})
    assert operator.execute({"ti": Ti(), "outlet_events": {}})
    assert (emulator.ledger()["submits"], looks(emulator)) == (1, 1)


def test_what_is_usually_done_in_seconds_is_delivered_without_a_deferral(emulator: RunningEmulator) -> None:
    assert shortly(emulator)
    assert emulator.ledger()["submits"] == 1
    assert looks(emulator) < 20


@pytest.mark.parametrize(
    "fault",
    [
        {"on": "submit", "outcome": "stuck"},
        {"on": "poll", "status": 503},
        {"on": "result", "status": 500},
    ],
    ids=["slow", "no status", "no result"],
)
def test_what_takes_longer_this_time_is_deferred(emulator: RunningEmulator, fault: dict[str, Any]) -> None:
    with pytest.raises(TaskDeferred) as caught:
        shortly(emulator, fault)
    assert caught.value.method_name == "execute_complete"
    assert 0 < looks(emulator) < 20
    deferral: Any = caught.value
    assert deferral.trigger.request.deadline > time.time() + 600, "the task's own deadline"


def test_a_deadline_that_comes_first_is_not_followed_by_a_deferral(emulator: RunningEmulator) -> None:
    with pytest.raises(AirflowFailException, match="Gave up waiting"):
        shortly(emulator, {"on": "submit", "outcome": "stuck"}, timeout=0.3)


def test_a_request_that_fails_meanwhile_fails_the_task(emulator: RunningEmulator) -> None:
    with pytest.raises(RequestFailedError):
        shortly(emulator, {"on": "submit", "outcome": "blocked"})


def test_a_key_that_allows_few_requests_leaves_the_looks_to_the_triggerer(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = emulator.connection()
    extra = {**connection.get("extra", {}), "requests_per_minute": 10}
    monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", json.dumps({**connection, "extra": extra}))
    with pytest.raises(TaskDeferred):
        shortly(emulator)
    assert looks(emulator) == 0
