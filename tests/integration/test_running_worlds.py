"""Whatever Segmind says of the result of a request that runs: over the wire, its end is found."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from airflow_provider_segmind.api.answers import RequestReport
from airflow_provider_segmind.api.early_results import EarlyResults
from airflow_provider_segmind.api.follow import FollowedRequest
from airflow_provider_segmind.compat import AirflowFailException
from airflow_provider_segmind.emulator.running import RunningEmulator, running_emulator
from airflow_provider_segmind.emulator.worlds import CHOICES
from airflow_provider_segmind.hooks import driving
from airflow_provider_segmind.hooks.driving import wait_for
from airflow_provider_segmind.hooks.segmind import SegmindHook
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
from airflow_provider_segmind.sensors.request import SegmindRequestSensor
from airflow_provider_segmind.triggers.events import read_event
from airflow_provider_segmind.triggers.request import SegmindRequestTrigger
from tests.task_instance import Ti

DURATION = 1000.0
TIMEOUT = 300.0
LOOKS = 4
USELESS = [(404, "error")]
SHORT = [(200, "state"), (404, "error"), (425, "error")]
WORLDS = [
    pytest.param(
        (status, body), id=f"{status} with {body}", marks=() if (status, body) in SHORT else pytest.mark.long
    )
    for status in CHOICES["running_status"]
    for body in CHOICES["running_body"]
]
OTHER_ANSWERS: list[dict[str, Any]] = [
    {"body": "empty"},
    {"body": "html"},
    {"body": "truncated"},
    {"status": 403},
    {"status": 503},
    {"drop": "before"},
    {"json": {"output": "https://example.com/preview.mp4"}},
    {"json": {"error": {"message": "not ready"}}},
]


@pytest.fixture(scope="module")
def _slow_segmind() -> Iterator[RunningEmulator]:
    with running_emulator(latency=DURATION) as running:
        yield running


@pytest.fixture
def emulator(
    _slow_segmind: RunningEmulator, no_scheduler: None, monkeypatch: pytest.MonkeyPatch
) -> RunningEmulator:
    """A Segmind whose jobs end when a test says so."""
    _slow_segmind.reset()
    monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", json.dumps(_slow_segmind.connection()))
    monkeypatch.setattr(driving, "_early_results", {})
    return _slow_segmind


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest, emulator: RunningEmulator) -> tuple[int, str]:
    status, body = request.param
    emulator.change_world(running_status=status, running_body=body)
    return status, body


@contextmanager
def ending_after(emulator: RunningEmulator, looks: int) -> Iterator[None]:
    """Let all jobs end when there have been so many looks at each of them."""
    over = threading.Event()

    def end() -> None:
        while not over.wait(0.02):
            seen = Counter(each["request_id"] for each in calls_of(emulator))
            jobs = emulator.ledger()["submits"]
            if jobs and len(seen) == jobs and min(seen.values()) >= looks:
                emulator.advance(2 * DURATION)
                return

    ender = threading.Thread(target=end)
    ender.start()
    try:
        yield
    finally:
        over.set()
        ender.join()


def submitted(count: int = 1) -> list[FollowedRequest]:
    requests = [SegmindHook().submit("fast-text-to-image", {"prompt": f"fox {n}"}) for n in range(count)]
    now = time.time()
    return [FollowedRequest(each.request_id, now, now + TIMEOUT, poll_interval=0.05) for each in requests]


def in_the_triggerer(emulator: RunningEmulator, requests: list[FollowedRequest]) -> list[RequestReport]:
    """Wait for all of them on one event loop."""

    async def event(request: FollowedRequest) -> Any:
        trigger = SegmindRequestTrigger(
            request.request_id, "segmind_default", request.submitted_at, request.deadline, request.poll_interval
        )
        return (await anext(trigger.run())).payload

    async def events() -> list[Any]:
        return await asyncio.gather(*map(event, requests))

    with ending_after(emulator, LOOKS):
        return [read_event(each) for each in asyncio.run(events())]


def calls_of(emulator: RunningEmulator) -> list[dict[str, Any]]:
    return [each for each in emulator.requests()["log"] if each["endpoint"] in ("status", "result")]


def early(emulator: RunningEmulator) -> int:
    """Return how many calls for a result came while its request ran: its last call has the result."""
    results = Counter(each["request_id"] for each in calls_of(emulator) if each["endpoint"] == "result")
    return results.total() - len(results)


def test_the_triggerer_finds_each_end_and_learns_from_one_answer(
    emulator: RunningEmulator, world: tuple[int, str]
) -> None:
    results = in_the_triggerer(emulator, submitted(6))
    assert all(result.completed and result.body["output"] for result in results)
    learned = driving.early_results("segmind_default")
    assert learned.understood is (world not in USELESS)
    if world in USELESS:
        assert early(emulator) <= 1
    else:
        assert early(emulator) > 1
    assert emulator.requests()["endpoints"]["history_item"] == 0, "a 404 of a request that runs is no end"


def test_the_worker_finds_the_end_too(emulator: RunningEmulator, world: tuple[int, str]) -> None:
    (request,) = submitted()
    with ending_after(emulator, LOOKS):
        assert wait_for(request, SegmindHook()).body["output"]
    asked = calls_of(emulator)
    moments = [each["monotonic"] for each in asked]
    assert moments == sorted(moments)
    assert emulator.requests()["endpoints"]["history_item"] == 0


def test_a_sensor_that_pokes_finds_the_end(emulator: RunningEmulator, world: tuple[int, str]) -> None:
    (request,) = submitted()
    sensor = SegmindRequestSensor(
        task_id="wait", request_id=request.request_id, deferrable=False, poke_interval=0.05, do_xcom_push=False
    )
    with ending_after(emulator, LOOKS):
        assert sensor.execute({"ti": Ti()})
    if world in USELESS:
        assert early(emulator) <= 1


def test_a_sensor_that_is_rescheduled_asks_for_the_status(emulator: RunningEmulator) -> None:
    """Each look is one of another process, which knows nothing."""
    (request,) = submitted()
    sensor = SegmindRequestSensor(
        task_id="wait", request_id=request.request_id, deferrable=False, mode="reschedule", do_xcom_push=False
    )
    assert not sensor.poke({"ti": Ti()}).is_done
    assert [each["endpoint"] for each in calls_of(emulator)] == ["status"]


@pytest.mark.parametrize("answer", OTHER_ANSWERS, ids=str)
def test_any_other_answer_is_no_end_either(emulator: RunningEmulator, answer: dict[str, Any]) -> None:
    requests = submitted(3)
    emulator.faults({"on": "result", "count": 1, **answer})
    assert all(result.completed for result in in_the_triggerer(emulator, requests))
    assert emulator.ledger()["submits"] == 3


def test_a_video_is_paid_and_delivered_once_in_each_world(
    emulator: RunningEmulator, world: tuple[int, str]
) -> None:
    operator = KlingImageToVideoOperator(
        task_id="run",
        prompt="the camera goes around the mug",
        start_image_url="https://images.example.com/mug.png",
        poll_interval=0.05,
        deferrable=False,
        durable=False,
    )
    with ending_after(emulator, 1):
        url = operator.execute({"ti": Ti()})
    (charge,) = emulator.ledger()["charges"]
    assert charge["request_id"] in url


def test_a_request_that_is_gone_is_an_end_in_each_world(emulator: RunningEmulator, world: tuple[int, str]) -> None:
    (request,) = submitted()
    driving.early_results("segmind_default").learn_clear()
    emulator.faults({"on": "any", "status": 404})
    old = FollowedRequest(request.request_id, request.submitted_at - 1000, request.deadline, poll_interval=0.05)
    with pytest.raises(Exception, match="expired") as caught:
        wait_for(old, SegmindHook())
    assert not isinstance(caught.value, AirflowFailException)


def test_an_understanding_of_another_host_does_no_harm(emulator: RunningEmulator) -> None:
    """The connection leads elsewhere now, where a running request answers as a broken one did before."""
    emulator.change_world(running_status=425, running_body="error")
    in_the_triggerer(emulator, submitted(2))
    emulator.reset()
    emulator.change_world(running_status=404, running_body="error")
    assert all(result.completed for result in in_the_triggerer(emulator, submitted(4)))
    assert isinstance(driving.early_results("segmind_default"), EarlyResults)
