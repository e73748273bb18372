"""The example DAGs run as they are."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

from airflow_provider_segmind.emulator.running import RunningEmulator

EXAMPLES = Path(__file__).parents[2] / "example_dags"
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run_example(run_dag: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setitem(os.environ, "AIRFLOW__CORE__DAGS_FOLDER", str(EXAMPLES))
    monkeypatch.setattr("airflow.settings.DAGS_FOLDER", str(EXAMPLES))
    return run_dag


def test_one_clip(emulator: RunningEmulator, run_example: Run) -> None:
    tasks = run_example("segmind_image_to_video")
    assert {task.state for task in tasks.values()} == {"success"}
    assert tasks["make_clip"].value.endswith(".mp4")
    assert emulator.ledger()["count"] == 1


def test_a_folder_of_images(emulator: RunningEmulator, run_example: Run) -> None:
    tasks = run_example("segmind_folder_of_images")
    assert {task.state for task in tasks.values()} == {"success"}
    clips = {tasks[f"make_clip[{index}]"].value for index in range(3)}
    assert len(clips) == emulator.ledger()["count"] == 3


def test_fire_and_forget(emulator: RunningEmulator, run_example: Run) -> None:
    tasks = run_example("segmind_fire_and_forget")
    assert {task.state for task in tasks.values()} == {"success"}
    assert tasks["wait"].xcoms["request_id"] == tasks["submit"].value
    assert emulator.ledger()["count"] == 1


def test_any_model(emulator: RunningEmulator, run_example: Run) -> None:
    tasks = run_example("segmind_any_model")
    assert tasks["run_model"].state == "success"
    assert emulator.ledger()["charges"][0]["parameters"] == {"sleep": 2, "credits": 0.000001}


def test_a_clip_is_an_event_of_an_asset(emulator: RunningEmulator, run_example: Run, tmp_path: Path) -> None:
    _make_assets_known()
    clip = run_example("segmind_make_clip", output_path=f"{tmp_path}/clip.mp4")["make_clip"]
    told = run_example("segmind_on_new_clip")["announce"]
    assert (clip.state, told.state) == ("success", "success")
    assert told.value == clip.value
    assert clip.xcoms["output_path"] == f"{tmp_path}/clip.mp4"


def _make_assets_known() -> None:
    """Write the DAGs and their assets to the database, as a scheduler's DAG processor would have done by now."""
    from airflow.cli import cli_parser

    where = ["--subdir", str(EXAMPLES)] if Version(airflow_version) < Version("3") else []
    arguments = cli_parser.get_parser().parse_args(["dags", "reserialize", *where])
    arguments.func(arguments)


def test_every_example_is_tested_here() -> None:
    tested = Path(__file__).read_text()
    for example in EXAMPLES.glob("*.py"):
        assert f'"{example.stem}"' in tested, example
