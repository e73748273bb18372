"""Workers and triggerers share the limit of a key: on one machine through a file, on many through Redis."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.exceptions import RateLimitedError
from airflow_provider_segmind.hooks import shared_files, worker_turns
from airflow_provider_segmind.hooks.segmind import SegmindAsyncHook, SegmindHook
from tests.redis_server import RedisServer, free_port

MODEL = "fast-text-to-image"
SECRET = "correct-horse"


@pytest.fixture
def redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    pytest.importorskip("throttled", reason="the extra [redis] is not installed")
    running = RedisServer(tmp_path, "--requirepass", SECRET)
    running.start()
    monkeypatch.setenv("AIRFLOW_CONN_LIMITS", f"redis://:{SECRET}@127.0.0.1:{running.port}/3")
    yield running
    running.kill()


def connect(emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, **extra: object) -> None:
    connection = emulator.connection()
    connection["extra"] |= extra
    monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", json.dumps(connection))


def another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Share no file and no process with what was before."""
    monkeypatch.setattr(shared_files, "shared_folder", lambda: tmp_path / "other")
    monkeypatch.setattr(worker_turns, "_loop", None)


async def ask_in_triggerer(request_id: str) -> float:
    """Poll a request as a triggerer does, and return how long that took."""
    began = time.monotonic()
    async with SegmindAsyncHook() as hook:
        await hook.send(calls.status(request_id))
    return time.monotonic() - began


def test_after_one_submit_was_refused_other_workers_do_not_try(emulator: RunningEmulator) -> None:
    emulator.faults({"on": "submit", "status": 429, "reset_in": 60, "count": 1})
    with pytest.raises(RateLimitedError) as first:
        SegmindHook().submit(MODEL, {"prompt": "a fox"})
    assert first.value.status == 429
    for _ in range(10):
        hook = SegmindHook()
        with pytest.raises(RateLimitedError) as held_back:
            hook.wait_to_submit()
        assert held_back.value.reset_at is not None
        assert held_back.value.status is None, "it was not sent"
    assert emulator.requests()["endpoints"]["submit"] == 1


def test_a_turn_of_the_triggerer_does_not_outlast_a_429(emulator: RunningEmulator) -> None:
    emulator.faults({"on": "submit", "status": 429, "reset_in": 60, "count": 1})
    hook = SegmindHook()
    hook.wait_to_submit(has_turn=True)
    with pytest.raises(RateLimitedError):
        hook.submit(MODEL, {"prompt": "a fox"})
    with pytest.raises(RateLimitedError, match="paused"):
        hook.wait_to_submit(has_turn=True)
    assert emulator.requests()["endpoints"]["submit"] == 1


def test_a_worker_does_not_wait_for_a_turn_that_is_far_away(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(emulator, monkeypatch, requests_per_minute=1)
    SegmindHook().submit(MODEL, {"prompt": "a fox"})
    with pytest.raises(RateLimitedError, match="queued") as held_back:
        SegmindHook().wait_to_submit()
    assert held_back.value.reset_at is None, "nothing is paused"


@pytest.mark.parametrize("shared", ["by a file", "in Redis"])
def test_a_429_to_a_worker_pauses_a_triggerer(
    shared: str, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis: RedisServer
) -> None:
    if shared == "in Redis":
        connect(emulator, monkeypatch, rate_limit_conn_id="limits")
    request_id = SegmindHook().submit(MODEL, {"prompt": "a fox"}).request_id
    emulator.faults({"on": "submit", "status": 429, "reset_in": 2, "count": 1})
    refused_at = time.monotonic()
    with pytest.raises(RateLimitedError):
        SegmindHook().submit(MODEL, {"prompt": "a fox"})
    if shared == "in Redis":
        another_machine(tmp_path, monkeypatch)
    asyncio.run(ask_in_triggerer(request_id))
    assert time.monotonic() - refused_at >= 1.9


def test_redis_that_dies_affects_no_request_and_is_logged_once(
    emulator: RunningEmulator,
    monkeypatch: pytest.MonkeyPatch,
    redis: RedisServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    connect(emulator, monkeypatch, rate_limit_conn_id="limits", requests_per_minute=6000)
    hook = SegmindHook()
    first = hook.submit(MODEL, {"prompt": "a fox"})
    redis.kill()
    for _ in range(5):
        hook.submit(MODEL, {"prompt": "a fox"})
        hook.get_status(first.request_id)
    said = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert len(said) == 1
    assert "the Redis of the connection 'limits'" in said[0]
    assert SECRET not in caplog.text
    assert emulator.ledger()["submits"] == 6


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        (None, "there is no connection 'limits'"),
        ("postgres://:correct-horse@127.0.0.1/0", "must be 'redis'"),
        ("redis://:correct-horse@/0", "is empty"),
        ("redis://:correct-horse@127.0.0.1/many", "whole number"),
        ("rediss://:correct-horse@127.0.0.1/0?ssl_keyfile=/redis.key", "needs ssl_certfile"),
    ],
)
def test_a_redis_that_is_not_defined_is_a_warning(
    definition: str | None,
    said: str,
    emulator: RunningEmulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("airflow_provider_segmind.hooks.lookup._warned", {})
    if definition is not None:
        monkeypatch.setenv("AIRFLOW_CONN_LIMITS", definition)
    connect(emulator, monkeypatch, rate_limit_conn_id="limits")
    request_id = SegmindHook().submit(MODEL, {"prompt": "a fox"}).request_id
    asyncio.run(ask_in_triggerer(request_id))
    assert caplog.text.count(said) == 1
    assert SECRET not in caplog.text
    works, message = SegmindHook().test_connection()
    assert not works
    assert said in message
    assert SECRET not in message


def test_the_test_of_the_connection_asks_redis(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, redis: RedisServer
) -> None:
    connect(emulator, monkeypatch, rate_limit_conn_id="limits")
    works, message = SegmindHook().test_connection()
    assert works, message
    assert "Redis shares its rate limit" in message
    redis.kill()
    works, message = SegmindHook().test_connection()
    assert not works
    assert "the Redis of the connection 'limits'" in message
    assert SECRET not in message


def test_the_test_says_that_a_password_is_wrong(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, redis: RedisServer
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LIMITS", f"redis://:wrong-horse@127.0.0.1:{redis.port}/3")
    connect(emulator, monkeypatch, rate_limit_conn_id="limits")
    works, message = SegmindHook().test_connection()
    assert not works
    assert "wrong-horse" not in message


def test_no_trouble_with_the_budget_fails_a_call(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(worker_turns, "_get_loop", broken)
    hook = SegmindHook()
    hook.wait_to_submit()
    hook.submit(MODEL, {"prompt": "a fox"})
    hook.submit(MODEL, {"prompt": "a fox"})
    assert caplog.text.count("sent without a turn") == 1


def test_a_child_of_a_process_that_has_sent_sends_too(emulator: RunningEmulator) -> None:
    request_id = SegmindHook().submit(MODEL, {"prompt": "a fox"}).request_id
    child = os.fork()
    if child == 0:
        try:
            SegmindHook().get_status(request_id)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_port_that_nobody_listens_on_does_not_hold_a_call_up(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("throttled", reason="the extra [redis] is not installed")
    monkeypatch.setenv("AIRFLOW_CONN_LIMITS", f"redis://127.0.0.1:{free_port()}")
    connect(emulator, monkeypatch, rate_limit_conn_id="limits")
    assert SegmindHook().submit(MODEL, {"prompt": "a fox"}).request_id
