"""The hooks' waits, runs and downloads over loopback: what they cost, what they leave, and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.exceptions import (
    DownloadError,
    InvalidParameterError,
    OutputRefusedError,
    OutputTooLargeError,
    RequestExpiredError,
    RequestFailedError,
    RequestTimeoutError,
)
from airflow_provider_segmind.hooks import downloads
from airflow_provider_segmind.hooks.segmind import SegmindAsyncHook, SegmindHook

MODEL, PARAMETERS = "fast-text-to-image", {"prompt": "a fox"}
Do = Callable[..., Any]


def blocking(method: str, *arguments: Any, **options: Any) -> Any:
    return getattr(SegmindHook(), method)(*arguments, **options)


def awaited(method: str, *arguments: Any, **options: Any) -> Any:
    async def do() -> Any:
        async with SegmindAsyncHook() as hook:
            found: Awaitable[Any] = getattr(hook, method)(*arguments, **options)
            return await found

    return asyncio.run(do())


each_hook = pytest.mark.parametrize("do", [blocking, awaited])


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs take 0.3 s here, so a wait looks sooner and more often than it would at Segmind."""
    monkeypatch.setattr("airflow_provider_segmind.api.schedule.FIRST_POLL", 0.4)
    monkeypatch.setattr("airflow_provider_segmind.api.schedule.SHORTEST", 0.2)
    monkeypatch.setattr("airflow_provider_segmind.hooks.downloads.LONGEST_RESUME_PAUSE", 0.0)


@each_hook
def test_a_wait_costs_nothing(emulator: RunningEmulator, do: Do) -> None:
    request_id = SegmindHook().submit(MODEL, PARAMETERS).request_id
    found = do("wait", request_id, timeout=20)
    assert (found.request_id, found.completed, emulator.ledger()["submits"]) == (request_id, True, 1)
    assert do("wait", request_id).body == found.body


@each_hook
def test_each_run_is_a_charge(emulator: RunningEmulator, do: Do, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    ids = [do("run", MODEL, PARAMETERS, timeout=20).request_id for _ in range(2)]
    assert ids == [charge["request_id"] for charge in emulator.ledger()["charges"]]
    assert all(f"Submitted request {each} to {MODEL}" in caplog.text for each in ids)


@each_hook
def test_a_request_that_fails_is_an_error(emulator: RunningEmulator, do: Do) -> None:
    emulator.faults({"on": "submit", "outcome": "failed", "count": 1})
    with pytest.raises(RequestFailedError, match="request_id="):
        do("run", MODEL, PARAMETERS, timeout=20)
    assert emulator.ledger()["count"] == 0


@each_hook
def test_a_run_that_takes_too_long_names_what_is_paid_for(emulator: RunningEmulator, do: Do) -> None:
    emulator.faults({"on": "submit", "outcome": "stuck", "count": 1})
    with pytest.raises(RequestTimeoutError) as caught:
        do("run", MODEL, PARAMETERS, timeout=1)
    (charge,) = emulator.ledger()["charges"]
    assert charge["request_id"] in str(caught.value)


@each_hook
def test_a_wait_lasts_through_trouble_that_may_pass(emulator: RunningEmulator, do: Do) -> None:
    request_id = SegmindHook().submit(MODEL, PARAMETERS).request_id
    emulator.faults({"on": "poll", "status": 503, "count": 2})
    assert do("wait", request_id, timeout=30).completed


@each_hook
def test_a_request_that_nobody_knows_is_an_error(
    emulator: RunningEmulator, do: Do, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_segmind.api.follow.REGISTRATION_GRACE", 0.0)
    with pytest.raises(RequestExpiredError, match="no-such-request"):
        do("wait", "no-such-request", timeout=20)


@each_hook
@pytest.mark.parametrize(
    ("model", "parameters", "timeout", "name"),
    [
        ("no slug", {}, 20, "model"),
        (MODEL, [], 20, "parameters"),
        (MODEL, {"x": object()}, 20, "parameters"),
        (MODEL, {}, 0, "timeout"),
        (MODEL, {}, "soon", "timeout"),
    ],
)
def test_what_is_wrong_is_seen_before_it_is_paid_for(
    emulator: RunningEmulator, do: Do, model: str, parameters: Any, timeout: Any, name: str
) -> None:
    with pytest.raises(InvalidParameterError, match=name):
        do("run", model, parameters, timeout=timeout)
    assert emulator.requests()["total"] == 0


@each_hook
def test_a_wait_wants_an_id(emulator: RunningEmulator, do: Do) -> None:
    with pytest.raises(InvalidParameterError, match="request_id"):
        do("wait", "")


@pytest.fixture
def url(emulator: RunningEmulator) -> str:
    """The address of an output."""
    return str(SegmindHook().run(MODEL, PARAMETERS, timeout=20).body["output"])


@each_hook
def test_an_output_is_saved_as_it_is(emulator: RunningEmulator, do: Do, url: str, tmp_path: Path) -> None:
    target = tmp_path / "fox.png"
    target.write_bytes(b"an old picture")
    assert do("download", url, str(target)) == target
    assert target.read_bytes().startswith(b"\x89PNG")
    assert [each.name for each in tmp_path.iterdir()] == ["fox.png"]


@each_hook
def test_an_output_that_cannot_be_had_whole_leaves_all_as_it_was(
    emulator: RunningEmulator, do: Do, url: str, tmp_path: Path
) -> None:
    target = tmp_path / "fox.png"
    target.write_bytes(b"an old picture")
    emulator.faults({"on": "media", "status": 503, "count": downloads.ATTEMPTS})
    with pytest.raises(DownloadError, match="request_id=r1"):
        do("download", url, target, request_id="r1")
    with pytest.raises(OutputTooLargeError, match="max_output_bytes is 10"):
        do("download", url, target, max_output_bytes=10)
    assert target.read_bytes() == b"an old picture"
    assert [each.name for each in tmp_path.iterdir()] == ["fox.png"]


@each_hook
@pytest.mark.parametrize("address", ["http://10.0.0.1/a.png", "https://10.0.0.1/a.png", "file:///etc/passwd"])
def test_what_may_not_be_fetched_is_not_asked_for(
    emulator: RunningEmulator, do: Do, tmp_path: Path, address: str
) -> None:
    with pytest.raises(OutputRefusedError):
        do("download", address, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


@each_hook
@pytest.mark.parametrize("path", ["s3://clips/a.mp4", "", "/tmp/", "."])  # noqa: S108
def test_a_path_that_is_no_file_is_seen_before_anything_is_asked(
    emulator: RunningEmulator, do: Do, path: str
) -> None:
    with pytest.raises(InvalidParameterError, match="path"):
        do("download", "https://example.com/a.mp4", path)
    assert emulator.requests()["total"] == 0
