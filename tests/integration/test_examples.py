"""The example DAGs run as they are."""

from __future__ import annotations

import shutil
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
def run_example(run_dag_of: Callable[[Path], Run]) -> Run:
    return run_dag_of(EXAMPLES)


def test_one_clip(emulator: RunningEmulator, run_example: Run) -> None:
    tasks = run_example("segmind_image_to_video")
    assert {task.state for task in tasks.values()} == {"success"}
    assert tasks["make_clip"].value.endswith(".mp4")
    assert emulator.ledger()["count"] == 1


def test_a_folder_of_images_and_again_when_more_have_come(
    emulator: RunningEmulator, run_example: Run, tmp_path: Path
) -> None:
    images, clips = tmp_path / "images", tmp_path / "clips"
    shutil.copytree(EXAMPLES / "images", images)
    (images / "notes.txt").write_text("no image")
    where = {"images": str(images), "clips": str(clips)}

    tasks = run_example("segmind_folder_of_images", **where)
    assert {task.state for task in tasks.values()} == {"success"}
    assert sorted(path.name for path in clips.iterdir()) == ["lamp.jpg.mp4", "mug.jpg.mp4", "plant.jpg.mp4"]
    assert emulator.ledger()["count"] == 3

    shutil.copy(images / "mug.jpg", images / "cup.jpg")
    tasks = run_example("segmind_folder_of_images", **where)
    assert tasks["make_clip[0]"].xcoms["output_path"] == str(clips / "cup.jpg.mp4")
    assert emulator.ledger()["count"] == len(list(clips.iterdir())) == 4


@pytest.mark.timeout(600)
def test_a_folder_of_images_with_any_names(
    emulator: RunningEmulator, run_example: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PROD_DB", '{"conn_type": "generic", "password": "hunter2"}')
    images, clips = tmp_path / "images", tmp_path / "clips"
    images.mkdir()
    names = ["{{ conn.prod_db.password }}.png", "a[1]?*#%41{b}.jpg", "two\nlines.jpg", f"{'x' * 246}.jpg"]
    for name in names:
        shutil.copy(EXAMPLES / "images" / "mug.jpg", images / name)
    for _ in range(2):
        tasks = run_example("segmind_folder_of_images", images=str(images), clips=str(clips))
        assert {task.state for task in tasks.values()} <= {"success", "skipped"}
        assert sorted(path.name for path in clips.iterdir()) == sorted(f"{name}.mp4" for name in names)
    assert emulator.ledger()["count"] == len(names)


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
    make_assets_known(EXAMPLES)
    clip = run_example("segmind_make_clip", output_path=f"{tmp_path}/clip.mp4")["make_clip"]
    told = run_example("segmind_on_new_clip")["announce"]
    assert (clip.state, told.state) == ("success", "success")
    assert told.value == clip.value
    assert clip.xcoms["output_path"] == f"{tmp_path}/clip.mp4"


def make_assets_known(folder: Path) -> None:
    """Write the DAGs and their assets to the database, as a scheduler's DAG processor would have done by now."""
    from airflow.cli import cli_parser

    where = ["--subdir", str(folder)] if Version(airflow_version) < Version("3") else []
    arguments = cli_parser.get_parser().parse_args(["dags", "reserialize", *where])
    arguments.func(arguments)


def test_the_dag_of_the_readme_can_be_read(readme_dag: str) -> None:
    read: dict[str, Any] = {}
    exec(readme_dag, read)  # noqa: S102 - it is our own
    assert read["find_images"]


def test_every_example_is_tested_here() -> None:
    tested = Path(__file__).read_text()
    for example in EXAMPLES.glob("*.py"):
        assert f'"{example.stem}"' in tested, example
