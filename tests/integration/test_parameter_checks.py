"""Parameters are compared with the catalogue before they cost money, and never when something is paid for."""

from __future__ import annotations

import json
import logging
import os
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_segmind.compat import AirflowFailException, TaskDeferred
from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.exceptions import InvalidParameterError
from airflow_provider_segmind.hooks import catalogue
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
from airflow_provider_segmind.operators.sync import SegmindSyncInferenceOperator
from tests.raw_server import raw_server, trickle
from tests.task_instance import Ti
from tests.unit.test_paying_tasks import Task, event_of

MODEL = "fast-text-to-image"
WRONG = {"promt": "a fox", "samples": 9}
PROBLEMS = (
    "promt is not a parameter of fast-text-to-image; did you mean 'prompt'?",
    "prompt is missing, and fast-text-to-image needs it",
    "samples must be 4 or less, not 9",
)


def asked(emulator: RunningEmulator, endpoint: str = "catalogue") -> int:
    return int(emulator.requests()["endpoints"].get(endpoint, 0))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings about parameters: Airflow has its own, which differ from version to version."""
    logged = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    return [each for each in logged if each.startswith("Parameter ")]


def run_sync(**arguments: Any) -> Any:
    return SegmindSyncInferenceOperator(task_id="x", **arguments).execute({"ti": Ti(), "outlet_events": {}})  # type: ignore[typeddict-item]


@pytest.mark.parametrize("form", ["parameters_schema", "parameters", "schema_text"])
@pytest.mark.parametrize("key", ["models", "details", "none"])
def test_each_catalogue_gives_the_same_errors(emulator: RunningEmulator, form: str, key: str) -> None:
    emulator.change_world(catalogue_parameters=form, catalogue_key=key)
    task = Task(model=MODEL, parameters=WRONG, check_parameters="error")
    with pytest.raises(AirflowFailException, match="Invalid parameter: promt: is not a parameter") as failed:
        task.attempt()
    assert isinstance(failed.value, InvalidParameterError)
    for problem in PROBLEMS[1:]:
        assert problem in str(failed.value)
    assert "nothing was submitted" in str(failed.value)
    assert (asked(emulator), asked(emulator, "submit")) == (1, 0)
    assert task.attempt(parameters={"prompt": "a fox", "samples": "2"})


def test_a_warning_for_each_difference_and_the_submit_all_the_same(
    emulator: RunningEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(AirflowFailException, match="Missing required field"):
        Task(model=MODEL, parameters=WRONG).attempt()
    sentences = [problem if problem.endswith("?") else f"{problem}." for problem in PROBLEMS]
    assert [each for each in warnings(caplog) if "catalogue" in each] == [
        f"Parameter {sentence} Segmind's catalogue says so; submitting it all the same" for sentence in sentences
    ]


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_submit_that_is_held_back_is_warned_of_once(
    emulator: RunningEmulator, caplog: pytest.LogCaptureFixture, deferrable: bool
) -> None:
    task = Task(model=MODEL, parameters={"prompt": "a fox", "colour": "red"}, expected_duration=60)
    emulator.faults({"on": "submit", "status": 429, "reset_in": 1, "count": 1})
    if deferrable:
        held_back = task.deferral()
        assert held_back.method_name == "execute_after_rate_limit"
        with pytest.raises(TaskDeferred):
            task.resume(held_back, event_of(held_back))
    else:
        task.attempt()
    assert asked(emulator, "submit") == 2
    assert len(warnings(caplog)) == 1


def test_off_does_not_ask(emulator: RunningEmulator, caplog: pytest.LogCaptureFixture) -> None:
    Task(parameters={"prompt": "a fox", "odd": 1}, check_parameters="off").attempt()
    run_sync(model="mock-text", parameters={"prompt": "a fox", "odd": 1}, check_parameters="off")
    assert asked(emulator) == 0
    assert not warnings(caplog)


def test_the_blocking_call_is_checked_before_it_is_paid(emulator: RunningEmulator) -> None:
    with pytest.raises(AirflowFailException, match=r"samples: must be 4 or less, not 9\. Segmind's catalogue"):
        run_sync(model=MODEL, parameters={"prompt": "x", "samples": 9}, check_parameters="error")
    assert emulator.ledger()["submits"] == 0
    assert run_sync(model=MODEL, parameters={"prompt": "x"}, check_parameters="error")


def test_a_process_asks_once(emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "_shared_file", lambda platform: None)
    for _ in range(3):
        Task().attempt()
    assert (asked(emulator), asked(emulator, "submit")) == (1, 3)
    monkeypatch.setattr(catalogue, "LIFETIME", 0.0)
    Task().attempt()
    assert asked(emulator) == 2


class TestProcessesOfAMachine:
    """Each of them begins with nothing in its memory."""

    def attempt(self, **arguments: Any) -> Any:
        catalogue._catalogues.clear()
        return Task(
            model=MODEL, parameters={"prompt": "x", "samples": 9}, check_parameters="error", **arguments
        ).attempt()

    def test_one_of_them_asks(self, emulator: RunningEmulator, nothing_learned: Path) -> None:
        for _ in range(3):
            with pytest.raises(AirflowFailException, match="samples: must be 4 or less"):
                self.attempt()
        assert asked(emulator) == 1
        (file,) = nothing_learned.glob("catalogue-*")
        assert file.stat().st_mode & 0o077 == 0
        assert not list(nothing_learned.glob("*.part"))

    def test_after_three_hours_they_ask_again(self, emulator: RunningEmulator, nothing_learned: Path) -> None:
        with pytest.raises(AirflowFailException):
            self.attempt()
        (file,) = nothing_learned.glob("catalogue-*")
        for age, times in ((catalogue.LIFETIME - 60, 1), (catalogue.LIFETIME + 60, 2), (-3600, 3)):
            os.utime(file, (time.time() - age,) * 2)
            with pytest.raises(AirflowFailException):
                self.attempt()
            assert asked(emulator) == times

    def test_a_catalogue_that_is_down_is_not_asked_by_each_of_them(
        self, emulator: RunningEmulator, nothing_learned: Path
    ) -> None:
        emulator.faults({"on": "catalogue", "status": 503, "count": 1})
        for _ in range(2):
            with pytest.raises(AirflowFailException, match="Segmind rejected the request"):
                self.attempt()
        assert asked(emulator) == 1
        (file,) = nothing_learned.glob("catalogue-*")
        os.utime(file, (time.time() - catalogue.LIFETIME_OF_SILENCE - 60,) * 2)
        with pytest.raises(AirflowFailException, match="samples: must be 4 or less"):
            self.attempt()
        assert asked(emulator) == 2

    def test_a_damaged_file_is_no_error(self, emulator: RunningEmulator, nothing_learned: Path) -> None:
        with pytest.raises(AirflowFailException):
            self.attempt()
        (file,) = nothing_learned.glob("catalogue-*")
        for content in (b"{", b"[1]", b"\xff" * 100, b"[" * 10_000):
            file.write_bytes(content)
            with pytest.raises(AirflowFailException, match="samples: must be 4 or less"):
                self.attempt()
        file.unlink()
        file.symlink_to("/dev/zero")
        with pytest.raises(AirflowFailException, match="samples: must be 4 or less"):
            self.attempt()

    def test_a_folder_that_others_may_open_is_not_used(
        self, emulator: RunningEmulator, nothing_learned: Path
    ) -> None:
        nothing_learned.mkdir(mode=0o700)
        nothing_learned.chmod(0o777)
        for times in (1, 2):
            with pytest.raises(AirflowFailException, match="samples: must be 4 or less"):
                self.attempt()
            assert asked(emulator) == times


def test_the_catalogue_takes_no_turn_of_the_key_and_no_key(emulator: RunningEmulator) -> None:
    Task().attempt()
    (asking,) = [each for each in emulator.requests()["log"] if each["endpoint"] == "catalogue"]
    assert asking["api_key_suffix"] == ""


FAULTS = (
    {"status": 503},
    {"status": 401},
    {"status": 429},
    {"body": "html"},
    {"body": "empty"},
    {"body": "list"},
    {"body": "truncated"},
    {"body": "huge"},
    {"drop": "before"},
    {"drop": "midway"},
    {
        "json": [
            {"slug": "mock-text", "parameters_schema": {"properties": {"prompt": {"$ref": "#/properties/prompt"}}}}
        ]
    },
    {
        "json": {
            "models": [{"slug": "mock-text", "parameters": {"prompt": {"type": 3, "min": {}, "options": [[]]}}}]
        }
    },
    {"json": {"models": [{"slug": "mock-text"}, None, 3]}},
    {"json": [{"slug": "mock-text", "parameters": {"prompt": {"default": float("nan"), "min": float("inf")}}}]},
    {"json": [{"slug": "mock-text", "parameters_schema": {"properties": {"prompt": {"enum": [{"a": "b"}]}}}}]},
    {"json": [{"slug": "mock-text", "parameters_schema": {"properties": {"prompt": {"pattern": "^(a+)+$"}}}}]},
    {"json": [{"slug": "mock-text", "parameters": {"prompt": {"default": [], "options": ["x" * 10**7]}}}]},
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: json.dumps(fault)[:40])
def test_a_catalogue_in_trouble_is_no_error(emulator: RunningEmulator, fault: dict[str, Any]) -> None:
    emulator.faults({"on": "catalogue", **fault})
    assert Task(check_parameters="error").attempt() is not None
    assert (asked(emulator), asked(emulator, "submit")) == (1, 1)


def test_a_catalogue_that_never_ends_holds_a_task_up_for_a_short_time(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(catalogue, "LONGEST_CALL", 0.5)
    caplog.set_level(logging.INFO)
    with raw_server(trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" ")) as server:
        connection = emulator.connection()
        connection["extra"]["platform_url"] = server.url
        monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", json.dumps(connection))
        for _ in range(2):
            assert Task(check_parameters="error").attempt()
        assert len(server.requests) == 1
    assert "Segmind's catalogue cannot be read" in caplog.text


def test_a_model_that_the_catalogue_does_not_have_is_no_error(emulator: RunningEmulator) -> None:
    with pytest.raises(AirflowFailException, match="No such model"):
        Task(model="no-such-model", check_parameters="error").attempt()
    assert asked(emulator, "submit") == 1


def test_what_is_paid_for_is_not_checked_again(emulator: RunningEmulator) -> None:
    """Not even if its parameters would be an error by now."""
    task = Task(model=MODEL, parameters={"prompt": "a fox"}, check_parameters="error", expected_duration=60)
    deferral = task.deferral()
    assert (asked(emulator), asked(emulator, "submit")) == (1, 1)
    catalogue._catalogues.clear()
    assert task.attempt(parameters={"prompt": "a fox", "samples": 9})
    emulator.reset()
    assert deferral is not None
    assert (asked(emulator), asked(emulator, "submit")) == (0, 0)


def test_a_retry_of_what_is_paid_for_asks_nothing(emulator: RunningEmulator) -> None:
    task = Task(expected_duration=60)
    task.deferral()
    catalogue._catalogues.clear()
    before = asked(emulator)
    task.attempt(parameters={"odd": 1}, check_parameters="error")
    assert (asked(emulator), asked(emulator, "submit")) == (before, 1)


def png(width: int, height: int, more: int = 0) -> bytes:
    """Return an image of one colour, with bytes after its end."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))]
    chunks.append((b"IDAT", zlib.compress(b"\0" * (width + 1) * height)))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in (*chunks, (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + body + b"\0" * more


def make_clip(tmp_path: Path, image: bytes, **arguments: Any) -> Any:
    (tmp_path / "a.png").write_bytes(image)
    given: dict[str, Any] = {"prompt": "zoom", "start_image_url": str(tmp_path / "a.png"), **arguments}
    operator = KlingImageToVideoOperator(task_id="clip", deferrable=False, poll_interval=0.1, **given)
    return operator.execute({"ti": Ti(), "outlet_events": {}})  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("image", "prompt", "expected"),
    [
        (png(640, 360), "zoom", []),
        (png(640, 360), "x" * 2501, ["prompt has 2,501 characters; other hosts of the model take 2,500 at most"]),
        (
            png(200, 299),
            "zoom",
            ["start_image_url: the image has 200 x 299 pixels; other hosts of the model want 300 a side at least"],
        ),
        (
            png(900, 300),
            "zoom",
            [
                "start_image_url: the image has 900 x 300 pixels, an aspect ratio of 3.00; other hosts of the "
                "model take 0.4 to 2.5"
            ],
        ),
        (
            png(640, 360, more=11 * 2**20),
            "zoom",
            ["start_image_url: the image has 11.0 MiB; other hosts of the model take 10 MiB at most"],
        ),
        (
            b"GIF89a" + struct.pack("<HH", 640, 360) + b"\0" * 20,
            "zoom",
            ["start_image_url: the image is image/gif; other hosts of the model take JPEG, PNG and WebP"],
        ),
        (b"\x89PNG\r\n\x1a\n", "zoom", []),  # no image, but Segmind is to say so
    ],
    ids=["fits", "prompt", "small", "wide", "large", "gif", "cut"],
)
@pytest.mark.parametrize("mode", ["warn", "error"])
def test_what_other_hosts_of_kling_refuse_is_a_warning(
    emulator: RunningEmulator,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    image: bytes,
    prompt: str,
    expected: list[str],
    mode: str,
) -> None:
    assert make_clip(tmp_path, image, prompt=prompt, check_parameters=mode)
    assert [each for each in warnings(caplog) if "other hosts" in each] == [
        f"Parameter {doubt}. Segmind publishes no limit; submitting it all the same" for doubt in expected
    ]


def test_no_warning_of_kling_with_off_and_no_image_is_fetched_for_one(
    emulator: RunningEmulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_clip(tmp_path, png(10, 10), check_parameters="off")
    make_clip(tmp_path, png(10, 10), start_image_url=f"{emulator.url}/assets/none.png")
    assert not [each for each in warnings(caplog) if "other hosts" in each]
    assert asked(emulator, "media") == 0
