"""The other operators and the sensor in a real Airflow, against a Segmind on loopback."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.hooks.segmind import SegmindHook
from tests.raw_server import raw_server, trickle

Run = Callable[..., dict[str, Any]]
WAYS = ("deferred", "poke", "reschedule", "soft")


def test_any_model(emulator: RunningEmulator, run_dag: Run, said: Callable[[], str]) -> None:
    tasks = run_dag("models")
    log = said()
    states = {name: task.state for name, task in tasks.items()}
    assert states == {
        "image": "success",
        "text": "success",
        "mock": "success",
        "retired": "failed",
        "missing": "failed",
        "sync_image": "success",
        "sync_text": "success",
    }
    assert tasks["image"].value == tasks["image"].xcoms["result"]["output"]
    assert isinstance(tasks["text"].value, str)
    assert tasks["mock"].xcoms["metrics"]["cost"] == 0.5
    assert "The model is retired" in log
    assert "No such model" in log
    assert tasks["sync_image"].value.startswith(emulator.url), "bytes are stored, and their URL returned"
    assert tasks["sync_image"].xcoms["result"]["content_type"].startswith("image/")
    assert tasks["sync_image"].xcoms["request_id"]
    assert tasks["sync_image"].xcoms["metrics"]["cost"] > 0
    assert tasks["sync_text"].value


def test_an_output_of_some_megabytes_is_delivered(emulator: RunningEmulator, run_dag: Run) -> None:
    text = "words and words " * 200_000
    body = {"status": "COMPLETED", "output": text, "metrics": {"cost": 0.0005}}
    emulator.faults({"on": "result", "model": "mock-text", "json": body})
    clip = run_dag("models")["text"]
    assert (clip.state, clip.value == text) == ("success", True)
    assert emulator.ledger()["submits"] == 5


def test_the_sensor_waits_and_delivers_in_every_way(emulator: RunningEmulator, run_dag: Run) -> None:
    request_id = SegmindHook().submit("fast-text-to-image", {"prompt": "a fox"}).request_id
    tasks = run_dag("sensors", request_id=request_id)
    for way in WAYS:
        assert tasks[way].state == "success", way
        assert tasks[way].value == tasks[way].xcoms["result"]["output"]
        assert tasks[way].xcoms["request_id"] == request_id
        assert tasks[way].xcoms["metrics"]["cost"] > 0


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"outcome": "blocked"}, "The request failed at Segmind"),
        ({"outcome": "stuck"}, "not finished after 2 s"),
    ],
    ids=["failed", "stuck"],
)
def test_the_sensor_fails_without_a_retry(
    emulator: RunningEmulator,
    run_dag: Run,
    said: Callable[[], str],
    fault: dict[str, Any],
    words: str,
) -> None:
    emulator.faults({"on": "submit", **fault})
    request_id = SegmindHook().submit("fast-text-to-image", {"prompt": "a fox"}).request_id
    tasks = run_dag("sensors", request_id=request_id)
    log = said()
    assert {way: (tasks[way].state, tasks[way].try_number) for way in WAYS[:3]} == dict.fromkeys(
        WAYS[:3], ("failed", 1)
    )
    assert tasks["soft"].state == "skipped"
    assert words in log
    assert request_id in log


def test_a_sensor_without_an_id_says_so(run_dag: Run, said: Callable[[], str]) -> None:
    tasks = run_dag("sensors", request_id="None")
    assert {tasks[way].state for way in WAYS[:3]} == {"failed"}
    assert "Invalid parameter: request_id" in said()


def test_a_synchronous_run_that_is_stopped_is_not_paid_again(
    run_dag: Run, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with raw_server(trickle(b"", b"")) as server:
        connection = {"conn_type": "segmind", "password": "SG_0123456789abcdef", "host": server.url}
        monkeypatch.setenv("AIRFLOW_CONN_NEVER_ANSWERS", json.dumps(connection))
        task = run_dag("sync_stopped")["run"]
        assert (task.state, task.try_number, len(server.requests)) == ("failed", 1, 1)
    assert "It may have been charged" in said()
