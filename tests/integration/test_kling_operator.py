"""KlingImageToVideoOperator in a real Airflow, against a Segmind on loopback."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_segmind.emulator.running import RunningEmulator

Run = Callable[..., dict[str, Any]]
MODES = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "blocking"])


@MODES
def test_the_url_of_the_video_is_the_return_value(
    emulator: RunningEmulator, run_dag: Run, deferrable: bool
) -> None:
    clip = run_dag("kling", deferrable=deferrable)["clip"]
    request_id = clip.xcoms["request_id"]
    assert clip.state == "success"
    assert clip.value == f"{emulator.url}/outputs/{request_id}.mp4"
    assert clip.file["url"] == clip.value
    assert (clip.summary["cost"], clip.xcoms["result"]) == (0.91, None)
    (charge,) = emulator.ledger()["charges"]
    assert charge["request_id"] == request_id
    assert charge["parameters"] == {
        "prompt": "zoom",
        "start_image_url": "https://example.com/a.png",
        "duration": 5,
    }


def test_fire_and_forget_returns_the_request_id(emulator: RunningEmulator, run_dag: Run) -> None:
    clip = run_dag("kling", wait_for_completion=False)["clip"]
    assert clip.state == "success"
    assert clip.value == clip.xcoms["request_id"] == emulator.ledger()["charges"][0]["request_id"]
    assert emulator.requests()["endpoints"]["status"] == 0


@MODES
def test_a_failed_request_follows_the_retries_and_is_not_charged(
    emulator: RunningEmulator, run_dag: Run, deferrable: bool
) -> None:
    emulator.faults({"on": "submit", "count": 1, "outcome": "failed", "error": "CUDA out of memory"})
    clip = run_dag("kling", deferrable=deferrable)["clip"]
    assert (clip.state, clip.try_number) == ("success", 2)
    assert (emulator.ledger()["submits"], emulator.ledger()["count"]) == (2, 1)


@MODES
@pytest.mark.parametrize(
    "fault", [{"outcome": "blocked"}, {"outcome": "failed", "error": "Unsupported image format"}]
)
def test_a_failure_that_would_come_again_uses_no_retry_and_is_not_charged(
    emulator: RunningEmulator, run_dag: Run, deferrable: bool, fault: dict[str, Any]
) -> None:
    emulator.faults({"on": "submit", **fault})
    clip = run_dag("kling", deferrable=deferrable)["clip"]
    assert (clip.state, clip.try_number) == ("failed", 1)
    assert (emulator.ledger()["submits"], emulator.ledger()["count"]) == (1, 0)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"status": 400}, "refused the call"),
        ({"status": 401}, "did not accept the API key"),
        ({"status": 403}, "does not allow"),
        ({"status": 404}, "No such model"),
        ({"status": 405}, "Method Not Allowed"),
        ({"status": 406, "cause": "credits"}, "Not enough Segmind credits"),
        ({"status": 406, "cause": "parameter"}, "rejected the request"),
        ({"status": 410}, "retired"),
    ],
    ids=lambda value: " ".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_what_no_retry_can_fix_fails_at_once(
    emulator: RunningEmulator,
    run_dag: Run,
    said: Callable[[], str],
    fault: dict[str, Any],
    words: str,
) -> None:
    emulator.faults({"on": "submit", **fault})
    clip = run_dag("kling")["clip"]
    assert (clip.state, clip.try_number) == ("failed", 1)
    assert emulator.requests()["endpoints"]["submit"] == 1
    assert words in said()


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 500}], ids=str)
def test_what_a_retry_can_fix_follows_the_retries(
    emulator: RunningEmulator, run_dag: Run, fault: dict[str, Any]
) -> None:
    emulator.faults({"on": "submit", "count": 1 if fault["status"] == 429 else 3, **fault})
    clip = run_dag("kling")["clip"]
    assert (clip.state, clip.try_number, emulator.ledger()["submits"]) == ("success", 2, 1)


def test_an_output_without_a_video_is_not_paid_for_twice(
    emulator: RunningEmulator, run_dag: Run, said: Callable[[], str]
) -> None:
    emulator.faults({"on": "result", "json": {"status": "COMPLETED", "output": None}})
    clip = run_dag("kling")["clip"]
    assert (clip.state, clip.try_number, emulator.ledger()["submits"]) == ("failed", 1, 1)
    assert clip.xcoms["result"] == {"status": "COMPLETED", "output": None}
    assert "no video URL" in said()


@pytest.mark.parametrize(
    ("argument", "value"), [("duration", 7), ("start_image_url", "None"), ("prompt", ""), ("timeout", -1)]
)
def test_a_wrong_rendered_value_is_named_before_any_http(
    emulator: RunningEmulator, run_dag: Run, said: Callable[[], str], argument: str, value: Any
) -> None:
    clip = run_dag("kling", **{argument: value})["clip"]
    assert (clip.state, clip.try_number, emulator.requests()["total"]) == ("failed", 1, 0)
    assert f"Invalid parameter: {argument}: must" in said()


def test_the_key_of_the_environment_is_used_and_never_shown(
    emulator: RunningEmulator,
    run_dag: Run,
    monkeypatch: pytest.MonkeyPatch,
    said: Callable[[], str],
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_SEGMIND_DEFAULT")
    monkeypatch.setenv("SEGMIND_API_KEY", "SG_fedcba9876543210")
    monkeypatch.setattr("airflow_provider_segmind.hooks.addresses.GATEWAY_URL", emulator.url)
    clip = run_dag("kling")["clip"]
    assert clip.state == "success"
    assert emulator.ledger()["charges"][0]["api_key_suffix"] == "3210"
    assert "SG_fedcba9876543210" not in said()
    assert "SG_fedcba9876543210" not in str(clip)


def test_without_a_connection_the_message_says_what_to_define(
    run_dag: Run, monkeypatch: pytest.MonkeyPatch, said: Callable[[], str]
) -> None:
    assert "AIRFLOW_CONN_SEGMIND_DEFAULT" not in os.environ
    clip = run_dag("kling")["clip"]
    assert (clip.state, clip.try_number) == ("failed", 1)
    assert "SEGMIND_API_KEY" in said()
