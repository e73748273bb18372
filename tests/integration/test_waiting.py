"""Waiting over the wire: the trigger and the blocking wait see the same Segmind and end in the same way."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import certifi
import msgspec
import pytest

from airflow_provider_segmind.api.answers import RequestReport
from airflow_provider_segmind.api.follow import FollowedRequest
from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.exceptions import (
    AuthenticationError,
    ContentBlockedError,
    InvalidConnectionError,
    RequestExpiredError,
    RequestFailedError,
    RequestTimeoutError,
    SegmindError,
    UnreachableError,
)
from airflow_provider_segmind.hooks import nonblocking
from airflow_provider_segmind.hooks.driving import wait_for
from airflow_provider_segmind.hooks.segmind import SegmindHook
from airflow_provider_segmind.triggers.events import read_event
from airflow_provider_segmind.triggers.request import SegmindRequestTrigger

Wait = Callable[[FollowedRequest], RequestReport]


def in_the_worker(request: FollowedRequest) -> RequestReport:
    return wait_for(request, SegmindHook())


def in_the_triggerer(request: FollowedRequest) -> RequestReport:
    async def first_event() -> Any:
        trigger = SegmindRequestTrigger(
            request.request_id, "segmind_default", request.submitted_at, request.deadline, request.poll_interval
        )
        return [event.payload async for event in trigger.run()]

    (event,) = asyncio.run(first_event())
    assert event["request_id"] == request.request_id
    return read_event(event)


@pytest.fixture(params=[in_the_worker, in_the_triggerer], ids=lambda wait: wait.__name__)
def wait(request: pytest.FixtureRequest, emulator: RunningEmulator) -> Wait:
    return request.param  # type: ignore[no-any-return]


def submitted(timeout: float = 30, age: float = 0) -> FollowedRequest:
    request_id = SegmindHook().submit("fast-text-to-image", {"prompt": "a fox"}).request_id
    now = time.time()
    return FollowedRequest(request_id, now - age, now + timeout, poll_interval=0.1)


@pytest.mark.parametrize(
    "fault",
    [
        *({"on": "poll", "status": status} for status in (404, 500, 502, 503, 504)),
        {"on": "poll", "status": 429, "reset_in": 0.5, "reset_format": "none"},
        *(
            pytest.param(
                {"on": "poll", "status": 429, "reset_in": 0.5, "reset_format": form}, marks=pytest.mark.long
            )
            for form in ("iso", "rfc1123", "epoch", "epoch_ms")
        ),
        *({"on": "poll", "drop": when} for when in ("before", "midway")),
        *({"on": "poll", "body": body} for body in ("html", "truncated", "not_json", "list", "empty")),
        {"on": "poll", "json": {"status": "PAUSED"}},
        {"on": "poll", "json": {"status": 7}},
        {"on": "result", "status": 500},
        {"on": "result", "drop": "midway"},
        {"on": "result", "body": "list"},
        {"on": "result", "body": "huge", "size": 50_000_000},
    ],
    ids=lambda fault: " ".join(map(str, fault.values())),
)
def test_passing_trouble_is_waited_out(emulator: RunningEmulator, wait: Wait, fault: dict[str, Any]) -> None:
    emulator.faults({**fault, "count": 2})
    result = wait(submitted())
    assert result.completed
    assert result.body["output"]
    assert emulator.ledger()["submits"] == 1


@pytest.mark.parametrize(
    ("fault", "age", "error"),
    [
        ({"on": "submit", "outcome": "failed", "error": "GPU on fire"}, 0, RequestFailedError),
        ({"on": "submit", "outcome": "blocked"}, 0, ContentBlockedError),
        ({"on": "any", "status": 404}, 3600, RequestExpiredError),
        ({"on": "submit", "outcome": "stuck"}, 0, RequestTimeoutError),
        ({"on": "submit", "outcome": "unknown_state"}, 0, RequestTimeoutError),
        ({"on": "poll", "status": 401}, 0, AuthenticationError),
        ({"on": "poll", "hang": True}, 0, RequestTimeoutError),
        ({"on": "result", "body": "html"}, 0, RequestTimeoutError),
    ],
    ids=lambda value: " ".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_both_end_with_the_same_error(
    emulator: RunningEmulator,
    wait: Wait,
    monkeypatch: pytest.MonkeyPatch,
    fault: dict[str, Any],
    age: float,
    error: type[SegmindError],
) -> None:
    if fault["on"] != "any":
        emulator.faults(fault)
    if fault.get("hang"):
        monkeypatch.setattr("airflow_provider_segmind.hooks.connection.DEFAULT_CALL_TIMEOUT", 0.5)
    request = submitted(timeout=1.5, age=age)
    if fault["on"] == "any":
        emulator.faults(fault)
    with pytest.raises(error) as caught:
        wait(request)
    assert caught.value.request_id == request.request_id
    assert request.request_id in str(caught.value)
    assert emulator.ledger()["submits"] == 1


def test_a_record_that_expired_while_nobody_looked_is_recovered(emulator: RunningEmulator, wait: Wait) -> None:
    emulator.faults({"on": "submit", "outcome": "expired"}, {"on": "history_item", "status": 503, "count": 1})
    request = submitted(age=4000)
    emulator.advance(10)
    result = wait(request)
    assert result.body.keys() == {"status", "output", "metrics"}, "what the history has of it"
    assert request.request_id in str(result.body["output"])
    assert emulator.ledger()["submits"] == 1


def test_a_trigger_run_twice_delivers_twice_and_costs_once(emulator: RunningEmulator) -> None:
    request = submitted()
    assert in_the_triggerer(request) == in_the_triggerer(request)
    assert emulator.ledger()["count"] == 1


def test_a_trigger_without_its_connection_says_so(
    emulator: RunningEmulator, airflow_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = submitted(timeout=1)
    monkeypatch.delenv("AIRFLOW_CONN_SEGMIND_DEFAULT")
    with pytest.raises(SegmindError, match="there is no connection 'segmind_default'") as caught:
        in_the_triggerer(request)
    assert caught.value.request_id == request.request_id


@pytest.mark.parametrize("lifetime", [nonblocking.LOOKUP_LIFETIME, 0.0], ids=["known", "just looked up"])
def test_a_key_changed_while_waiting_is_picked_up(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, lifetime: float
) -> None:
    """The key is revoked after the first look; the connection has a new one when it is looked up after that."""
    monkeypatch.setattr(nonblocking, "LOOKUP_LIFETIME", lifetime)
    request = submitted()
    emulator.faults(
        {"on": "poll", "skip": 1, "count": 1, "status": 401},
        {"on": "poll", "json": {"status": "QUEUED"}, "count": 1},
    )
    look_up = nonblocking.look_up_async

    async def renewed(conn_id: str) -> Any:
        rejected = any(each["status"] == 401 for each in emulator.requests()["log"])
        key = "SG_fedcba9876543210" if rejected else "SG_0123456789abcdef"
        monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", json.dumps(emulator.connection(key)))
        return await look_up(conn_id)

    monkeypatch.setattr(nonblocking, "look_up_async", renewed)
    assert in_the_triggerer(request).completed


def test_a_rejected_key_is_no_end_as_long_as_the_connection_cannot_be_looked_up(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key may have been changed: nobody knows until Airflow answers again."""
    request = submitted()
    emulator.faults({"on": "poll", "count": 2, "status": 401})
    look_up, calls_made = nonblocking.look_up_async, []

    async def unlucky(conn_id: str) -> Any:
        calls_made.append(conn_id)
        if len(calls_made) == 2:
            raise UnreachableError("Airflow is busy")
        key = "SG_0123456789abcdef" if len(calls_made) == 1 else "SG_fedcba9876543210"
        monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", json.dumps(emulator.connection(key)))
        return await look_up(conn_id)

    monkeypatch.setattr(nonblocking, "look_up_async", unlucky)
    assert in_the_triggerer(request).completed


@pytest.mark.parametrize("known", [True, False], ids=["known before", "at first"])
def test_a_ca_bundle_that_cannot_be_used_is_reported_unless_another_is_known(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, known: bool
) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text(certifi.contents() if known else "half a certif")
    connection = emulator.connection()
    connection["extra"]["verify"] = str(bundle)
    monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", json.dumps(connection))
    monkeypatch.setattr(nonblocking, "LOOKUP_LIFETIME", 0.0)
    request = submitted()
    look_up = nonblocking.look_up_async

    async def rewritten_meanwhile(conn_id: str) -> Any:
        found = await look_up(conn_id)
        asked = emulator.requests()["endpoints"]["status"]
        if asked:
            bundle.write_text("half a certif")
        return found

    monkeypatch.setattr(nonblocking, "look_up_async", rewritten_meanwhile)
    if known:
        emulator.faults({"on": "poll", "json": {"status": "QUEUED"}, "count": 1})
        assert in_the_triggerer(request).completed
    else:
        with pytest.raises(InvalidConnectionError, match="verify of the connection"):
            in_the_triggerer(request)


def test_a_look_up_that_fails_later_does_no_harm(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nonblocking, "LOOKUP_LIFETIME", 0.0)
    request = submitted()
    look_up, calls_made = nonblocking.look_up_async, []

    async def once(conn_id: str) -> Any:
        calls_made.append(conn_id)
        if len(calls_made) > 1:
            raise UnreachableError("Airflow is busy")
        return await look_up(conn_id)

    monkeypatch.setattr(nonblocking, "look_up_async", once)
    assert in_the_triggerer(request).completed
    assert len(calls_made) > 1


def test_a_result_that_msgpack_cannot_hold_reaches_the_task(emulator: RunningEmulator) -> None:
    """Airflow packs events as msgpack; what that cannot hold would end the whole triggerer."""
    body = f'{{"status": "COMPLETED", "output": "a\\ud800\\u0000b", "seed": {2**70}, "n": NaN}}'
    emulator.faults({"on": "result", "json_text": body})
    result = in_the_triggerer(submitted())
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(result.body)) == result.body
    assert result.body == {"status": "COMPLETED", "output": "a\ufffd\ufffdb", "seed": str(2**70), "n": None}


async def test_many_triggers_share_a_session_and_one_look_at_the_connection(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up = []
    look_up = nonblocking.look_up_async

    async def counted(conn_id: str) -> Any:
        looked_up.append(conn_id)
        return await look_up(conn_id)

    monkeypatch.setattr(nonblocking, "look_up_async", counted)
    requests = await asyncio.to_thread(lambda: [submitted() for _ in range(20)])

    async def ended(request: FollowedRequest) -> Any:
        trigger = SegmindRequestTrigger(
            request.request_id, "segmind_default", request.submitted_at, request.deadline, 0.1
        )
        return [event.payload async for event in trigger.run()]

    events = await asyncio.gather(*map(ended, requests))
    assert {event["state"] for (event,) in events} == {"COMPLETED"}
    assert looked_up == ["segmind_default"]
    assert not nonblocking._transports.here()


async def test_a_cancelled_trigger_leaves_nothing_open(emulator: RunningEmulator) -> None:
    emulator.faults({"on": "submit", "outcome": "stuck"})
    request = await asyncio.to_thread(submitted)
    trigger = SegmindRequestTrigger(
        request.request_id, "segmind_default", request.submitted_at, request.deadline, 0.1
    )
    running = asyncio.create_task(anext(trigger.run()))  # type: ignore[arg-type]
    while not emulator.requests()["endpoints"]["status"]:  # noqa: ASYNC110 - the emulator has no event to await
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not nonblocking._transports.here()
