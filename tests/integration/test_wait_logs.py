"""While a task waits, its log says for what, when it looks next, and when it gives up."""

from __future__ import annotations

import logging
import re
from datetime import datetime
from typing import Any

import pytest

from airflow_provider_segmind.compat import TaskDeferred
from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.hooks.segmind import SegmindHook
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
from airflow_provider_segmind.sensors.request import SegmindRequestSensor
from tests.task_instance import Ti

MODEL = "kling-o1-image-to-video"
INPUTS = {"prompt": "zoom", "start_image_url": "https://x.example/a.png"}
WAITS = re.compile(
    r"Request (?P<id>\S+)(?: \((?P<model>\S+)\))?: waiting in the (?P<where>\w+)\. "
    r"The next look is due by (?P<due>\S+); it gives up at (?P<end>\S+)"
)
AT_WORK = {"on": "poll", "json": {"status": "PROCESSING"}, "count": 2}


def run(**arguments: Any) -> Any:
    return KlingImageToVideoOperator(task_id="run", **{**INPUTS, "timeout": 60, **arguments}).execute({"ti": Ti()})


def waits(caplog: pytest.LogCaptureFixture) -> list[re.Match[str]]:
    lines = [each.getMessage() for each in caplog.records if each.levelno == logging.INFO]
    return [found for line in lines if (found := WAITS.search(line))]


def looks(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = [each for each in caplog.records if each.levelno == logging.DEBUG]
    return [
        each.getMessage() for each in lines if each.getMessage().startswith(("Request ", "The request history"))
    ]


async def run_trigger(deferral: TaskDeferred) -> None:
    deferral.trigger.earliest_event = 0.0  # type: ignore[attr-defined]
    async for _ in deferral.trigger.run():
        return


async def test_a_deferral_is_one_line_and_each_look_of_the_trigger_another(
    emulator: RunningEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    emulator.faults(AT_WORK)
    with pytest.raises(TaskDeferred) as deferred:
        run(deferrable=True, poll_interval=0.2)
    (line,) = waits(caplog)
    assert (line["model"], line["where"]) == (MODEL, "triggerer")
    due, end = (datetime.fromisoformat(line[name]) for name in ("due", "end"))
    assert 0 < (end - due).total_seconds() <= 60
    assert not looks(caplog)
    await run_trigger(deferred.value)
    seen = looks(caplog)
    assert len(seen) == 2, "one for each look that did not find the end"
    assert all(each.startswith(f"Request {line['id']}: PROCESSING. The next look is due in") for each in seen)


def test_a_task_that_waits_in_the_worker_says_the_same(
    emulator: RunningEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    emulator.faults(AT_WORK)
    run(deferrable=False, poll_interval=0.2)
    (line,) = waits(caplog)
    assert (line["model"], line["where"]) == (MODEL, "worker")
    assert len(looks(caplog)) == 2


def test_looks_are_silent_unless_somebody_wants_to_see_them(
    emulator: RunningEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    emulator.faults(AT_WORK)
    run(deferrable=False, poll_interval=0.2)
    assert "The next look is due in" not in caplog.text


async def test_a_search_says_for_what_and_until_when(
    emulator: RunningEmulator, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_segmind.durability.submission.HISTORY_LAG", 1.5)
    monkeypatch.setattr("airflow_provider_segmind.durability.submission.latest_usual_duration", lambda *_: 0.0)
    monkeypatch.setattr("airflow_provider_segmind.api.history_search.FIRST_PAUSE", 0.5)
    caplog.set_level(logging.DEBUG)
    emulator.faults({"on": "submit", "drop": "before", "count": 1})
    with pytest.raises(TaskDeferred) as deferred:
        run(deferrable=True)
    assert re.search(
        rf"Searching the request history for the submit to {MODEL} at \S+: from \S+ until \S+", caplog.text
    )
    await run_trigger(deferred.value)
    assert looks(caplog)[0].startswith("The request history: no matching request. The next look is due in")


def test_a_submit_that_waits_for_its_turn_says_until_when(
    emulator: RunningEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    emulator.faults({"on": "submit", "status": 429, "reset_in": 30, "count": 1})
    with pytest.raises(TaskDeferred):
        run(deferrable=True)
    assert re.search(
        rf"The submit to {MODEL} waits for its turn: until \S+ at least. It gives up at \S+Z", caplog.text
    )


@pytest.fixture
def request_id(emulator: RunningEmulator) -> str:
    return SegmindHook().submit(MODEL, {**INPUTS, "duration": 5}).request_id


async def test_a_sensor_says_it_in_every_mode(
    emulator: RunningEmulator, request_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    emulator.faults(AT_WORK)
    with pytest.raises(TaskDeferred) as deferred:
        SegmindRequestSensor(task_id="wait", request_id=request_id, deferrable=True, poke_interval=0.2).execute(
            {"ti": Ti()}
        )
    (line,) = waits(caplog)
    assert (line["id"], line["where"]) == (request_id, "triggerer")
    await run_trigger(deferred.value)
    assert len(looks(caplog)) == 2
    caplog.clear()
    emulator.faults(AT_WORK)
    SegmindRequestSensor(task_id="wait", request_id=request_id, deferrable=False, poke_interval=0.2).execute(
        {"ti": Ti()}
    )
    assert f"Request {request_id}: waiting in the worker (mode poke). It looks now, then every 0 s" in caplog.text
    assert len([each for each in looks(caplog) if "PROCESSING" in each]) == 2


def test_a_timeout_beyond_the_calendar_is_no_trouble(
    emulator: RunningEmulator, request_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    SegmindRequestSensor(
        task_id="wait", request_id=request_id, deferrable=False, timeout=1e12, poke_interval=0.1
    ).execute({"ti": Ti()})
    assert "gives up at a moment beyond the calendar" in caplog.text
