"""What the sensors do with Airflow's own arguments, and with a deferral that ends early."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_segmind.compat import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.exceptions import (
    AuthenticationError,
    InvalidParameterError,
    RequestExpiredError,
    RequestFailedError,
    RequestTimeoutError,
    UnreachableError,
)
from airflow_provider_segmind.sensors.credits import SegmindCreditsSensor
from airflow_provider_segmind.sensors.request import SegmindRequestSensor
from airflow_provider_segmind.triggers.events import broken_off, error_event
from airflow_provider_segmind.triggers.request import SegmindRequestTrigger
from tests.task_instance import Ti

REQUEST = "7d1c0b6e-1111-4222-8333-944445555666"
SKIPPING: list[dict[str, Any]] = [{"soft_fail": True}, {"never_fail": True}]


def sensor(**arguments: Any) -> Any:
    return SegmindRequestSensor(**{"task_id": "wait", "request_id": REQUEST, "deferrable": True, **arguments})


def trigger_of(**arguments: Any) -> SegmindRequestTrigger:
    with pytest.raises(TaskDeferred) as caught:
        sensor(**arguments).execute({"ti": Ti()})
    trigger = caught.value.trigger
    assert isinstance(trigger, SegmindRequestTrigger)
    assert trigger.trouble is None
    return trigger


def test_a_deferred_sensor_looks_when_an_answer_is_likely_unless_the_user_says_how_often() -> None:
    assert trigger_of().request.poll_interval is None
    assert trigger_of(max_wait=60).request.poll_interval is None, (
        "without backoff, Airflow ignores it in other modes"
    )
    assert trigger_of(poke_interval=5).request.poll_interval == 5
    assert trigger_of(poke_interval=timedelta(minutes=1)).request.poll_interval == 60
    assert sensor().poke_interval == 30, "for a task that is not deferred"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"if_output_exists": "keep", "output_path": "/clips/"}, "if_output_exists: must be one of"),
        ({"if_output_exists": "skip"}, "if_output_exists: needs an output_path"),
        ({"model": "not/a slug"}, "model: must be the slug of a model"),
    ],
)
def test_what_is_known_is_checked_at_parse(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidParameterError, match=problem):
        sensor(**arguments)


def test_backoff_reaches_the_trigger() -> None:
    request = trigger_of(poke_interval=5, exponential_backoff=True, max_wait=timedelta(seconds=40)).request
    assert (request.poll_interval, request.exponential_backoff, request.max_wait) == (5, True, 40)
    assert [request.interval(age) for age in (0, 5, 15, 35, 900)] == [5, 10, 20, 40, 40]
    unlimited = trigger_of(exponential_backoff=True, max_wait=0).request
    assert (unlimited.poll_interval, unlimited.interval(900)) == (30, 930)


@pytest.mark.parametrize("interval", [0, timedelta(0)])
def test_looking_without_a_pause_is_refused(interval: Any) -> None:
    with pytest.raises(InvalidParameterError, match="poke_interval"):
        sensor(poke_interval=interval)


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize("request_id", [None, "", "None", "no id"])
def test_what_is_not_an_id_ends_the_task_before_any_request(request_id: Any, deferrable: bool) -> None:
    def waiting(**arguments: Any) -> Any:
        waits = sensor(request_id="{{ params.later }}", deferrable=deferrable, **arguments)
        waits.request_id = request_id  # as rendered
        return waits

    # There is no connection: a request would fail in another way.
    with pytest.raises(AirflowFailException, match="request_id"):
        waiting().execute({"ti": Ti()})
    for skips in SKIPPING:
        with pytest.raises(AirflowSkipException, match="request_id"):
            waiting(**skips).execute({"ti": Ti()})


@pytest.mark.parametrize("words", ["Trigger/execution timeout", "Trigger timeout", "Trigger failure"])
def test_a_deferral_that_breaks_off_is_a_failure_that_may_be_retried_or_a_skip(words: str) -> None:
    """The scheduler of Airflow 2.11 says the first of these when the time is up; that of 3.x the second."""
    kwargs = {"error": words, "traceback": ["Traceback", "of the trigger"]}
    with pytest.raises(AirflowException, match=REQUEST) as caught:
        sensor().resume_execution("__fail__", kwargs, {"ti": Ti()})
    assert not isinstance(caught.value, AirflowFailException)
    for skips in SKIPPING:
        with pytest.raises(AirflowSkipException, match=f"{next(iter(skips))}=True: .*{REQUEST}"):
            sensor(**skips).resume_execution("__fail__", kwargs, {"ti": Ti()})


def test_the_timeout_of_a_deferral_is_that_of_a_sensor() -> None:
    with pytest.raises(AirflowException) as caught:
        sensor().resume_execution("__fail__", {"error": deferral_timeout_words()}, {"ti": Ti()})
    assert type(caught.value) is AirflowSensorTimeout
    assert "clear this task to wait for it again" in str(caught.value)


def deferral_timeout_words() -> Any:
    """Return what the scheduler of the installed version says."""
    try:
        from airflow.sdk.bases.operator import TriggerFailureReason
    except ImportError:
        return "Trigger/execution timeout"
    return TriggerFailureReason.TRIGGER_TIMEOUT.value


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RequestFailedError("blocked", status=422), AirflowFailException),
        (RequestExpiredError("unknown"), AirflowFailException),
        (AuthenticationError("rejected", status=401), AirflowFailException),
        (RequestTimeoutError("not finished"), AirflowSensorTimeout),
        (UnreachableError("Airflow cannot look up the connection"), AirflowException),
        (broken_off("the wait in the triggerer", KeyError("x")), AirflowException),
    ],
)
def test_what_the_trigger_reports_ends_the_task_or_skips_it(error: Any, kind: type[Exception]) -> None:
    """What a retry can help may be retried: a sensor never pays."""
    kwargs = {"event": error_event(REQUEST, error)}
    with pytest.raises(AirflowException) as caught:
        sensor().resume_execution("execute_complete", kwargs, {"ti": Ti()})
    assert isinstance(caught.value, kind)
    assert isinstance(caught.value, type(error))
    for skips in SKIPPING:
        with pytest.raises(AirflowSkipException, match=REQUEST):
            sensor(**skips).resume_execution("execute_complete", kwargs, {"ti": Ti()})


def test_an_event_that_cannot_be_read_may_be_retried() -> None:
    with pytest.raises(AirflowException, match="cannot be read") as caught:
        sensor().resume_execution("execute_complete", {"event": {"version": 1}}, {"ti": Ti()})
    assert not isinstance(caught.value, AirflowFailException)


class BrokenTi(Ti):
    def xcom_push(self, key: str, value: Any) -> None:
        raise RuntimeError("no room")


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_bug_fails_the_task_unless_it_is_never_to_fail(emulator: RunningEmulator, deferrable: bool) -> None:
    def end(ti: Ti, **skips: Any) -> Any:
        waits = sensor(request_id=request_id, deferrable=deferrable, poke_interval=0.1, **skips)
        if not deferrable:
            return waits.execute({"ti": ti})
        return waits.resume_execution("execute_complete", {"event": event}, {"ti": ti})

    request_id = submitted(emulator)
    event = only_event(trigger_of(request_id=request_id, poke_interval=0.1))
    assert end(Ti()) == event["result"]["output"]
    with pytest.raises(RuntimeError, match="no room"):
        end(BrokenTi())
    with pytest.raises(RuntimeError, match="no room"):
        end(BrokenTi(), soft_fail=True)
    with pytest.raises(AirflowSkipException):
        end(BrokenTi(), never_fail=True)


def submitted(emulator: RunningEmulator) -> str:
    from airflow_provider_segmind.hooks.segmind import SegmindHook

    return SegmindHook().submit("fast-text-to-image", {"prompt": "a fox"}).request_id


def only_event(trigger: SegmindRequestTrigger) -> Any:
    async def events() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    (event,) = asyncio.run(events())
    return event


def test_at_its_timeout_a_poking_sensor_ends_as_a_deferred_one(emulator: RunningEmulator) -> None:
    emulator.faults({"on": "submit", "outcome": "stuck"})
    request_id = submitted(emulator)
    poking = {"request_id": request_id, "deferrable": False, "poke_interval": 0.1, "timeout": 0}
    with pytest.raises(AirflowSensorTimeout, match="clear this task to wait for it again"):
        sensor(**poking).execute({"ti": Ti()})
    for skips in SKIPPING:
        with pytest.raises(AirflowSkipException, match="clear this task to wait for it again"):
            sensor(**poking, **skips).execute({"ti": Ti()})


@pytest.mark.parametrize("timeout", [0, 0.5])
def test_a_short_timeout_still_looks_once_in_the_triggerer(emulator: RunningEmulator, timeout: float) -> None:
    request_id = submitted(emulator)
    only_event(trigger_of(request_id=request_id, poke_interval=0.1))  # waits until it is COMPLETED
    assert only_event(trigger_of(request_id=request_id, timeout=timeout))["state"] == "COMPLETED"


def test_the_credits_sensor_skips_in_the_same_cases(emulator: RunningEmulator) -> None:
    def balance(**arguments: Any) -> Any:
        return SegmindCreditsSensor(task_id="credits", mode="poke", timeout=0, **arguments)

    for wrong in ({"min_credits": 1e9}, {"min_credits": "{{ params.later }}"}):
        with pytest.raises((AirflowSensorTimeout, AirflowFailException)):
            balance(**wrong).execute({"ti": Ti()})
        for skips in SKIPPING:
            with pytest.raises(AirflowSkipException):
                balance(**wrong, **skips).execute({"ti": Ti()})
