"""The example DAGs run as they are."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.hooks.segmind import SegmindHook

EXAMPLES = Path(__file__).parents[2] / "example_dags"
APPROVAL = Path(__file__).parents[1] / "e2e" / "test_approval.py"
ON_A_SCHEDULER = Path(__file__).parents[1] / "e2e" / "test_all_examples.py"
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run_example(run_dag_of: Callable[[Path], Run], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run an example. Its jobs take 0.3 s here, so it looks sooner and more often than it would at Segmind."""
    monkeypatch.setattr("airflow_provider_segmind.api.schedule.FIRST_POLL", 0.5)
    monkeypatch.setattr("airflow_provider_segmind.api.schedule.SHORTEST", 0.5)
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
    assert names_in(clips) == ["lamp.jpg.mp4", "mug.jpg.mp4", "plant.jpg.mp4"]
    assert emulator.ledger()["count"] == 3

    shutil.copy(images / "mug.jpg", images / "cup.jpg")
    tasks = run_example("segmind_folder_of_images", **where)
    made = [tasks[f"make_clip[{index}]"] for index in range(4)]
    assert made[0].file["output_path"] == str(clips / "cup.jpg.mp4")
    assert [each.value for each in made[1:]] == [str(clips / f"{n}.jpg.mp4") for n in ("lamp", "mug", "plant")]
    assert emulator.ledger()["count"] == len(names_in(clips)) == 4


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
        assert names_in(clips) == sorted(f"{name}.mp4" for name in names)
    assert emulator.ledger()["count"] == len(names)


def test_fire_and_forget(emulator: RunningEmulator, run_example: Run) -> None:
    tasks = run_example("segmind_fire_and_forget")
    assert {task.state for task in tasks.values()} == {"success"}
    assert tasks["wait"].xcoms["request_id"] == tasks["submit"].value
    assert emulator.ledger()["count"] == 1


def test_a_request_is_adopted_by_its_id_and_stored(
    emulator: RunningEmulator, run_example: Run, tmp_path: Path
) -> None:
    request_id = SegmindHook().submit("fast-text-to-image", {"prompt": "a fox", "samples": 2}).request_id
    adopted = run_example("segmind_adopt_request", request_id=f" {request_id}\n", output_path=f"{tmp_path}/")
    adopt = adopted["adopt"]
    assert {task.state for task in adopted.values()} == {"success"}
    assert sorted(each.name for each in tmp_path.iterdir()) == [f"{request_id}-{n}.png" for n in (1, 2)]
    assert adopt.xcoms["request_id"] == request_id
    paths = [each["output_path"] for each in adopt.summary["files"]]
    assert paths == [f"{tmp_path}/{request_id}-{n}.png" for n in (1, 2)]
    assert emulator.ledger()["submits"] == 1


def test_one_dag_submits_and_another_waits(emulator: RunningEmulator, run_example: Run, tmp_path: Path) -> None:
    make_assets_known(EXAMPLES)
    submitted = run_example("segmind_submit")
    assert {task.state for task in submitted.values()} == {"success"}
    waited = run_example("segmind_wait", clips=str(tmp_path))
    request_id = submitted["submit"].value
    assert (waited["wait[0]"].state, waited["wait[0]"].xcoms["request_id"]) == ("success", request_id)
    assert [path.name for path in tmp_path.iterdir()] == [f"{request_id}.mp4"]
    assert emulator.ledger()["submits"] == 1


def test_a_clip_of_each_product_with_the_prompt_of_a_function(
    emulator: RunningEmulator, run_example: Run, tmp_path: Path
) -> None:
    made = run_example("segmind_taskflow", clips=str(tmp_path), style="{{ conn.prod_db.password }}")
    assert {task.state for task in made.values()} == {"success"}
    assert names_in(tmp_path) == ["lamp.jpg.mp4", "mug.jpg.mp4", "plant.jpg.mp4"]
    sent = [charge["parameters"] for charge in emulator.ledger()["charges"]]
    assert sorted(each["duration"] for each in sent) == [5, 5, 10]
    assert all(each["prompt"].endswith("{{ conn.prod_db.password }}") for each in sent)


@pytest.mark.parametrize(("least", "state"), [(50, "success"), (1000, "failed")])
def test_the_budget_is_checked_once(emulator: RunningEmulator, run_example: Run, least: float, state: str) -> None:
    assert run_example("segmind_budget_check", min_credits=least)["enough"].state == state


def test_any_model(emulator: RunningEmulator, run_example: Run) -> None:
    tasks = run_example("segmind_any_model")
    assert tasks["run_model"].state == "success"
    assert emulator.ledger()["charges"][0]["parameters"] == {"sleep": 2, "credits": 0.000001}


def test_a_workflow(emulator: RunningEmulator, run_example: Run) -> None:
    tasks = run_example("segmind_workflow")
    assert {task.state for task in tasks.values()} == {"success"}
    (charge,) = emulator.ledger()["charges"]
    assert (charge["model"], set(charge["parameters"])) == ("66cec9a38aeef98f887211f1-v1", {"input_image"})
    assert tasks["report"].value == [f"{name}: {value}" for name, value in tasks["draw"].value.items()]


def test_a_fast_model_once_there_are_credits(emulator: RunningEmulator, run_example: Run) -> None:
    tasks = run_example("segmind_fast_model")
    assert {task.state for task in tasks.values()} == {"success"}
    assert tasks["enough"].value == 100
    assert emulator.ledger()["count"] == 1


def test_a_clip_is_an_event_of_an_asset(emulator: RunningEmulator, run_example: Run, tmp_path: Path) -> None:
    make_assets_known(EXAMPLES)
    clip = run_example("segmind_make_clip", output_path=f"{tmp_path}/clip.mp4")["make_clip"]
    announced = run_example("segmind_on_new_clip")["announce"]
    assert (clip.state, announced.state) == ("success", "success")
    assert announced.value == [clip.value]
    assert clip.file["output_path"] == f"{tmp_path}/clip.mp4"


def names_in(folder: Path) -> list[str]:
    """Return the names of the files in a folder, which may also have a folder with the records of tasks."""
    return sorted(each.name for each in folder.iterdir() if each.is_file())


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


def test_every_example_is_tested_here_or_needs_a_scheduler() -> None:
    tested = "".join(each.read_text() for each in (Path(__file__), APPROVAL, ON_A_SCHEDULER))
    for example in EXAMPLES.glob("*.py"):
        assert all(f'"{dag_id}"' in tested for dag_id in re.findall(r'dag_id="(\w+)"', example.read_text()))
