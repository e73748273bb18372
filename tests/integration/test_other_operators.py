"""The other operators in a real Airflow, against a Segmind on loopback."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_segmind.emulator.running import RunningEmulator
from tests.integration.test_xcoms import kept_bytes
from tests.raw_server import raw_server, trickle

Run = Callable[..., dict[str, Any]]


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
    assert tasks["image"].value == tasks["image"].file["url"]
    assert isinstance(tasks["text"].value, str)
    assert tasks["mock"].summary["cost"] == 0.5
    assert "The model is retired" in log
    assert "No such model" in log
    assert tasks["sync_image"].value.startswith(emulator.url), "bytes are stored, and their URL returned"
    assert tasks["sync_image"].file["url"] == tasks["sync_image"].value
    assert tasks["sync_image"].file["content_type"].startswith("image/")
    assert tasks["sync_image"].file["bytes"] > 0
    assert tasks["sync_image"].xcoms["request_id"]
    assert tasks["sync_image"].summary["cost"] > 0
    assert tasks["sync_text"].value


def test_an_output_of_some_megabytes_is_delivered_and_is_in_the_database_once(
    emulator: RunningEmulator, run_dag: Run, said: Callable[[], str]
) -> None:
    text = "words and words " * 330_000
    body = {"status": "COMPLETED", "output": text, "metrics": {"cost": 0.0005}}
    emulator.faults({"on": "result", "model": "mock-text", "json": body})
    clip = run_dag("models")["text"]
    assert (clip.state, clip.value == text) == ("success", True)
    assert len(text) < sum(kept_bytes("models", "text").values()) < len(text) + 1000
    assert len(said()) < len(text) / 10
    assert emulator.ledger()["submits"] == 5


def test_a_synchronous_run_that_is_stopped_is_not_paid_again(
    run_dag: Run, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with raw_server(trickle(b"", b"")) as server:
        connection = {"conn_type": "segmind", "password": "SG_0123456789abcdef", "host": server.url}
        monkeypatch.setenv("AIRFLOW_CONN_NEVER_ANSWERS", json.dumps(connection))
        task = run_dag("sync_stopped")["run"]
        assert (task.state, task.try_number, len(server.requests)) == ("failed", 1, 1)
    assert "The run may have been charged" in said()
