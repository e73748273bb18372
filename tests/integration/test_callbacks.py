"""A callback gets the class of error that a user catches, whether a retry is allowed or not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

from airflow_provider_segmind.emulator.running import RunningEmulator

Run = Callable[..., dict[str, Any]]
NO_CREDITS = {"on": "submit", "status": 406, "cause": "credits"}
BROKEN = {"on": "submit", "status": 503}
BLOCKED = {"on": "submit", "outcome": "blocked"}

pytestmark = pytest.mark.skipif(
    Version("3.0") <= Version(airflow_version) < Version("3.1"),
    reason="`airflow dags test` of 3.0 gives a callback no exception",
)


@pytest.fixture
def callbacks(
    run_dag: Run, emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[dict[str, Any]]]:
    """Run a task under a fault, and return what its callbacks and the sensor's have seen."""
    seen = tmp_path / "seen"
    monkeypatch.setenv("SEGMIND_TEST_SEEN", str(seen))
    monkeypatch.setattr("airflow_provider_segmind.api.follow.REGISTRATION_GRACE", 0.0)

    def run(fault: dict[str, Any], task: str = "run") -> list[dict[str, Any]]:
        emulator.faults(fault)
        run_dag("callbacks")
        return [each for line in seen.read_text().splitlines() if (each := json.loads(line))["task"] == task]

    return run


def test_an_error_that_no_retry_can_help_has_its_own_class(callbacks: Callable[..., Any]) -> None:
    (seen,) = callbacks(NO_CREDITS)
    assert (seen["callback"], seen["final"], seen["status"]) == ("failure", True, 406)
    assert set(seen["is"]) == {"SegmindError", "RefusedError", "InsufficientCreditsError"}
    assert "Top up the account" in seen["text"]


def test_so_has_a_failure_that_would_come_again(callbacks: Callable[..., Any], emulator: RunningEmulator) -> None:
    (seen,) = callbacks(BLOCKED)
    assert (seen["callback"], seen["final"]) == ("failure", True)
    assert set(seen["is"]) == {"SegmindError", "RequestFailedError", "ContentBlockedError"}
    assert seen["request_id"]
    assert seen["request_id"] in seen["text"]
    assert (emulator.ledger()["submits"], emulator.ledger()["count"]) == (1, 0)


def test_an_error_that_a_retry_may_help_has_it_at_each_attempt(callbacks: Callable[..., Any]) -> None:
    retry, failure = callbacks(BROKEN)
    assert (retry["callback"], failure["callback"]) == ("retry", "failure")
    assert retry["is"] == failure["is"] == ["SegmindError", "ServerError"]
    assert not retry["final"]


def test_a_sensor_raises_it_too(callbacks: Callable[..., Any]) -> None:
    (seen,) = callbacks(NO_CREDITS, "wait")
    assert (seen["callback"], seen["final"]) == ("failure", True)
    assert "RequestExpiredError" in seen["is"]
    assert seen["request_id"] == "00000000-0000-4000-8000-000000000000"
