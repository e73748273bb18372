"""What is there already: kept, replaced or an error, and never paid for by several tasks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.hooks import downloads
from harness.storage import S3

Run = Callable[..., dict[str, Any]]
REMEMBERS = Version(airflow_version) >= Version("3.3")


def test_what_is_there_is_kept_and_nothing_is_paid(
    emulator: RunningEmulator, run_dag: Run, said: Callable[[], str], tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"an old clip")
    task = run_dag("kling", output_path=str(clip), if_output_exists="skip")["clip"]
    assert (task.state, task.value, task.xcoms["request_id"]) == ("success", str(clip), None)
    assert task.file == {"output_path": str(clip), "bytes": 11}
    assert (task.summary["cost"], task.summary["request_id"]) == (0.0, None)
    assert clip.read_bytes() == b"an old clip"
    assert "Nothing was submitted" in said()
    assert emulator.ledger()["submits"] == 0


@pytest.mark.parametrize("start", ["https://example.com/a.png", "https://example.com/a.png?signature=1"])
def test_a_name_after_a_parameter_is_known_before_the_request(
    emulator: RunningEmulator, run_dag: Run, tmp_path: Path, start: str
) -> None:
    others = ["a.png.json", "a.png", "a.png.mp4.part", "a.png-1.mp4", "b.a.png.mp4"]
    for name in others:
        (tmp_path / name).write_text("something else")
    named = {"output_path": f"{tmp_path}/", "name_output_after": "start_image_url", "start_image_url": start}
    first = run_dag("kling", **named, if_output_exists="skip")["clip"]
    second = run_dag("kling", **named, if_output_exists="skip")["clip"]
    clip = str(tmp_path / "a.png.mp4")
    assert (first.state, first.file["output_path"], second.state, second.value) == (
        "success",
        clip,
        "success",
        clip,
    )
    assert emulator.ledger()["submits"] == emulator.ledger()["count"] == 1


def test_in_an_object_store(emulator: RunningEmulator, run_dag: Run, storage: S3) -> None:
    for name in ("a.png.mp4.json", "a.png.mp4/b.mp4", "a.png.x.mp4"):
        storage.bucket.put_object(Key=f"kept/{name}", Body=b"something else")
    named = {"output_path": "s3://products/kept/", "output_conn_id": "storage", "if_output_exists": "skip"}
    first = run_dag("kling", **named, name_output_after="start_image_url")["clip"]
    second = run_dag("kling", **named, name_output_after="start_image_url")["clip"]
    assert (first.state, second.state, second.value) == ("success", "success", "s3://products/kept/a.png.mp4")
    assert first.file["bytes"] == second.file["bytes"]
    assert emulator.ledger()["submits"] == 1


def test_an_error_comes_before_the_submit(
    emulator: RunningEmulator, run_dag: Run, said: Callable[[], str], tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"an old clip")
    task = run_dag("kling", output_path=str(clip), if_output_exists="error")["clip"]
    assert (task.state, task.try_number, emulator.ledger()["submits"]) == ("failed", 1, 0)
    assert f"Invalid parameter: output_path: {clip} is there already" in said()


def test_it_is_replaced_by_default(emulator: RunningEmulator, run_dag: Run, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"an old clip")
    task = run_dag("kling", output_path=str(clip))["clip"]
    assert (task.state, clip.read_bytes()[4:8], emulator.ledger()["submits"]) == ("success", b"ftyp", 1)


@pytest.mark.skipif(not REMEMBERS, reason="only Airflow 3.3 and later remember; the tests run there too")
@pytest.mark.parametrize("choice", ["skip", "error"])
def test_what_is_paid_for_is_delivered_whatever_is_there_by_then(
    emulator: RunningEmulator, run_dag: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choice: str
) -> None:
    monkeypatch.setattr(downloads, "LONGEST_RESUME_PAUSE", 0.0)
    emulator.faults({"on": "media", "status": 503, "count": downloads.ATTEMPTS})
    clip = tmp_path / "clip.mp4"
    task = run_dag("written_meanwhile", output_path=str(clip), if_output_exists=choice)["clip"]
    assert (task.state, task.try_number, emulator.ledger()["submits"]) == ("success", 2, 1)
    assert (tmp_path / "clip.mp4").read_bytes()[4:8] == b"ftyp"


def test_instances_with_the_same_output_are_refused_before_one_pays(
    emulator: RunningEmulator, run_dag: Run, said: Callable[[], str], tmp_path: Path
) -> None:
    tasks = run_dag("mapped_outputs", folder=str(tmp_path))
    states = {name: {tasks[f"{name}[{index}]"].state for index in (0, 1)} for name in NAMES}
    assert states == {
        name: {"success" if name in ("by_its_number", "by_its_request") else "failed"} for name in NAMES
    }
    assert emulator.ledger()["submits"] == 4
    assert said().count("Invalid parameter: output_path: is the same for each instance") >= 6
    assert len(list(tmp_path.glob("*.mp4"))) == 4


NAMES = ("of_the_run", "by_its_number", "by_its_request", "by_one_image", "group.clip")
