"""A key that allows few requests a minute: everything waits its turn, nothing fails, nothing is paid twice."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.rate_limited_submit import RateLimitedSubmit
from airflow_provider_segmind.durability import submission
from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.exceptions import RateLimitedError, UnreachableError
from airflow_provider_segmind.hooks import nonblocking
from airflow_provider_segmind.hooks.segmind import SegmindAsyncHook, SegmindHook
from airflow_provider_segmind.triggers.events import read_event
from airflow_provider_segmind.triggers.rate_limit import SegmindRateLimitTrigger
from airflow_provider_segmind.triggers.request import SegmindRequestTrigger
from airflow_provider_segmind.triggers.submit_events import read_rate_limit_event

Run = Callable[..., dict[str, Any]]
MODES = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "blocking"])
REFUSED = {"on": "submit", "status": 429, "reset_in": 0.5}


@MODES
def test_a_submit_that_is_refused_waits_for_its_turn_and_uses_up_no_retry(
    emulator: RunningEmulator, run_dag: Run, said: Callable[[], str], deferrable: bool
) -> None:
    emulator.faults({**REFUSED, "count": 2})
    clip = run_dag("kling", deferrable=deferrable, timeout=60)["clip"]
    assert (clip.state, clip.try_number) == ("success", 1)
    assert (emulator.ledger()["submits"], emulator.ledger()["count"]) == (1, 1)
    assert emulator.requests()["endpoints"]["submit"] == 3
    assert emulator.requests()["endpoints"]["history"] == 0, "a refused submit was certainly not accepted"
    assert said().count("Waiting for a turn") == 2


def test_a_reset_that_is_over_already_uses_up_no_retry_either(emulator: RunningEmulator, run_dag: Run) -> None:
    emulator.faults({**REFUSED, "reset_in": 0, "count": 1})
    clip = run_dag("kling")["clip"]
    assert (clip.state, clip.try_number, emulator.ledger()["count"]) == ("success", 1, 1)


@pytest.mark.long
@MODES
def test_a_submit_that_gets_no_turn_fails_in_the_end_and_says_that_nothing_was_charged(
    emulator: RunningEmulator, run_dag: Run, said: Callable[[], str], deferrable: bool
) -> None:
    emulator.faults(REFUSED)
    clip = run_dag("kling", deferrable=deferrable, timeout=1)["clip"]
    assert clip.state == "failed"
    assert emulator.ledger()["submits"] == 0
    assert "nothing was charged" in said()


def test_a_refusal_after_an_unresolved_submit_waits_for_its_turn_too(
    emulator: RunningEmulator, run_dag: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submission, "HISTORY_LAG", 2.0)
    monkeypatch.setattr(submission, "latest_usual_duration", lambda *_: 0.0)
    emulator.faults(
        {"on": "submit", "drop": "before", "count": 1},
        {**REFUSED, "count": 1},
    )
    clip = run_dag("kling")["clip"]
    assert (clip.state, emulator.ledger()["count"]) == ("success", 1)


def turn_come(turn: RateLimitedSubmit) -> RateLimitedSubmit:
    """Let a trigger wait for a turn, and return what it says."""

    async def first_event() -> Any:
        return [event.payload async for event in SegmindRateLimitTrigger("segmind_default", turn.as_json()).run()]

    (event,) = asyncio.run(first_event())
    return read_rate_limit_event(json.loads(json.dumps(event)))


@pytest.mark.parametrize("trouble", [False, True], ids=["known key", "no look-up"])
def test_a_trigger_waits_for_the_turn_to_submit_and_sends_nothing(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, trouble: bool
) -> None:
    async def down(conn_id: str) -> Any:
        raise UnreachableError("Airflow is busy")

    if trouble:
        monkeypatch.setattr(nonblocking, "look_up_async", down)
    turn = RateLimitedSubmit(time.time() + 0.7, time.time() + 60)
    assert turn_come(turn) == turn
    assert turn.not_before <= time.time() < turn.not_before + 7
    assert emulator.requests()["total"] == 0


def test_a_turn_to_submit_that_does_not_come_in_time_is_reported(emulator: RunningEmulator) -> None:
    with pytest.raises(RateLimitedError, match="held back 3 times"):
        turn_come(RateLimitedSubmit(time.time() + 60, time.time() + 0.2, refusals=3))


def waited_for(count: int, conn_id: str = "segmind_default") -> list[Any]:
    """Submit requests, wait for all of them on one event loop, and return the events."""
    requests = [SegmindHook(conn_id).submit("fast-text-to-image", {"prompt": f"fox {n}"}) for n in range(count)]
    now = time.time()

    async def event(request_id: str) -> Any:
        trigger = SegmindRequestTrigger(request_id, conn_id, now, now + 60, poll_interval=0.1)
        return (await anext(trigger.run())).payload

    async def events() -> list[Any]:
        return await asyncio.gather(*(event(request.request_id) for request in requests))

    return asyncio.run(events())


def connect_with_limit(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, requests_per_minute: int
) -> None:
    connection = emulator.connection()
    connection["extra"]["requests_per_minute"] = requests_per_minute
    monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", json.dumps(connection))


def polls(emulator: RunningEmulator) -> list[dict[str, Any]]:
    return [each for each in emulator.requests()["log"] if each["endpoint"] in ("status", "result")]


def test_a_connection_that_says_its_limit_spaces_its_requests(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect_with_limit(emulator, monkeypatch, 1200)
    events = waited_for(8)
    assert [read_event(event).state for event in events] == ["COMPLETED"] * 8
    moments = [poll["monotonic"] for poll in polls(emulator)]
    # Seven pauses of 50 ms. On a busy machine the first call may reach Segmind late, and the next one soon after.
    assert max(moments) - min(moments) > 0.5 * 7 * 0.05


def test_a_429_pauses_all_that_wait_with_the_key_until_the_reset(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect_with_limit(emulator, monkeypatch, 6000)
    emulator.faults({"on": "poll", "status": 429, "reset_in": 1.5, "count": 1, "skip": 3})
    events = waited_for(8)
    assert [read_event(event).state for event in events] == ["COMPLETED"] * 8
    polled = polls(emulator)
    refused_at = next(poll["monotonic"] for poll in polled if poll["status"] == 429)
    paused = [poll for poll in polled if refused_at + 0.2 < poll["monotonic"] < refused_at + 1.4]
    assert paused == []
    assert sum(poll["status"] == 429 for poll in polled) == 1


@pytest.mark.parametrize("noticed", ["rejected", "in the queue"])
def test_a_429_to_a_key_that_was_just_renewed_pauses_those_with_the_same_key(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, noticed: str
) -> None:
    request_id = SegmindHook().submit("fast-text-to-image", {"prompt": "a fox"}).request_id
    connect_with_limit(emulator, monkeypatch, 60)
    new_key = json.dumps(emulator.connection("SG_fedcba9876543210"))
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", new_key)
    if noticed == "rejected":
        emulator.faults({"on": "poll", "status": 401, "count": 1})
    else:
        monkeypatch.setattr(nonblocking, "LOOKUP_LIFETIME", 0.5)
    emulator.faults({"on": "poll", "status": 429, "reset_in": 2, "count": 1})

    async def paused() -> float:
        async with SegmindAsyncHook("segmind_default") as renewed, SegmindAsyncHook("other") as other:
            await renewed.send(calls.credits())
            monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", new_key)
            with pytest.raises(RateLimitedError):
                await renewed.send(calls.status(request_id))
            began = time.monotonic()
            await other.send(calls.status(request_id))
            return time.monotonic() - began

    assert asyncio.run(paused()) > 0.9
