"""Functions under ``@task.segmind`` in a real Airflow. The emulator's ledger is the judge."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.hooks import downloads
from tests.integration.test_examples import EXAMPLES, make_assets_known
from tests.integration.test_untrusted import PROMPTS, SECRET

Run = Callable[..., dict[str, Any]]
MUG = EXAMPLES / "images" / "mug.jpg"
IMAGE = "https://example.com/a.png"
MODES = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "blocking"])


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """Where the functions write down that they ran."""
    return tmp_path / "calls.txt"


def calls_in(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


@MODES
def test_what_a_function_returns_becomes_a_clip(
    emulator: RunningEmulator, run_dag: Run, calls: Path, tmp_path: Path, deferrable: bool
) -> None:
    returned = {"prompt": "zoom", "start_image_url": IMAGE, "duration": "10"}
    at = f"{tmp_path}/clips/"
    tasks = run_dag("decorated", calls=str(calls), returned=returned, output_path=at, deferrable=deferrable)
    (charge,) = emulator.ledger()["charges"]
    assert {task.state for task in tasks.values()} == {"success"}
    assert charge["parameters"] == {**returned, "duration": 10}
    assert tasks["clip"].xcoms["request_id"] == charge["request_id"]
    assert tasks["clip"].value == tasks["publish"].value
    assert tasks["clip"].value.endswith(".mp4")
    assert Path(tasks["clip"].file["output_path"]).stat().st_size == tasks["clip"].file["bytes"]
    assert calls_in(calls) == ["attempt 1"], "a task that is resumed does not run its function again"


@MODES
def test_a_retry_continues_with_what_was_paid_for_whatever_its_function_returns(
    emulator: RunningEmulator,
    run_dag: Run,
    calls: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    deferrable: bool,
) -> None:
    monkeypatch.setattr(downloads, "LONGEST_RESUME_PAUSE", 0.0)
    emulator.faults({"on": "media", "status": 503, "count": downloads.ATTEMPTS})
    at = f"{tmp_path}/clips/"
    clip = run_dag("decorated", calls=str(calls), output_path=at, deferrable=deferrable)["clip"]
    (charge,) = emulator.ledger()["charges"]
    assert (clip.state, clip.try_number) == ("success", 2)
    assert charge["parameters"]["prompt"] == "attempt 1"
    assert clip.xcoms["request_id"] == charge["request_id"]
    resumes = deferrable and Version(airflow_version).release[:2] == (3, 0)  # with the event of the first attempt
    assert calls_in(calls) == (["attempt 1"] if resumes else ["attempt 1", "attempt 2"])


def test_a_function_that_fails_is_retried_and_costs_nothing(
    emulator: RunningEmulator, run_dag: Run, calls: Path
) -> None:
    clip = run_dag("decorated", calls=str(calls), fail="1")["clip"]
    assert (clip.state, clip.try_number, emulator.requests()["endpoints"]["submit"]) == ("success", 2, 1)
    assert calls_in(calls) == ["attempt 1", "attempt 2"]


def test_what_is_no_dict_fails_at_once_and_costs_nothing(
    emulator: RunningEmulator, run_dag: Run, calls: Path, said: Callable[[], str]
) -> None:
    clip = run_dag("decorated", calls=str(calls), returned=["zoom"])["clip"]
    assert (clip.state, clip.try_number, emulator.requests()["total"]) == ("failed", 1, 0)
    assert "the function 'clip' must return a dict of the model's parameters, not list" in said()


@MODES
def test_a_submit_that_waits_for_its_turn_does_not_run_the_function_again(
    emulator: RunningEmulator, run_dag: Run, calls: Path, deferrable: bool
) -> None:
    emulator.faults({"on": "submit", "status": 429, "reset_in": 1, "count": 1})
    clip = run_dag("decorated", calls=str(calls), deferrable=deferrable)["clip"]
    assert (clip.state, clip.try_number, emulator.ledger()["submits"]) == ("success", 1, 1)
    assert calls_in(calls) == ["attempt 1"]


@pytest.mark.parametrize("render", [False, True])
def test_what_a_function_returns_is_rendered_only_if_asked_for(
    emulator: RunningEmulator, run_dag: Run, calls: Path, monkeypatch: pytest.MonkeyPatch, render: bool
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PROD_DB", f'{{"conn_type": "generic", "password": "{SECRET}"}}')
    returned = {"prompt": "{{ conn.prod_db.password }}", "start_image_url": IMAGE}
    run_dag("decorated", calls=str(calls), returned=returned, render_returned=render)
    (charge,) = emulator.ledger()["charges"]
    assert charge["parameters"]["prompt"] == (SECRET if render else returned["prompt"])


def test_any_model_uploads_files_and_numbers_its_outputs(
    emulator: RunningEmulator, run_dag: Run, calls: Path, tmp_path: Path
) -> None:
    at = f"{tmp_path}/fox.png"
    picture = run_dag(
        "decorated_any_model",
        calls=str(calls),
        prompt="a {{ fox }}",
        output_path=at,
        upload=["image"],
        image=str(MUG),
    )["picture"]
    (charge,) = emulator.ledger()["charges"]
    assert picture.state == "success"
    assert [Path(each["output_path"]).name for each in picture.summary["files"]] == ["fox-1.png", "fox-2.png"]
    assert "/assets/" in charge["parameters"].pop("image")
    assert charge["parameters"] == {"prompt": "a {{ fox }}", "samples": 2}
    assert calls_in(calls) == ["picture"]


@pytest.mark.timeout(600)
def test_a_mapped_function_gets_what_other_tasks_made_as_it_is(
    emulator: RunningEmulator,
    run_dag: Run,
    calls: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: Callable[[], str],
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PROD_DB", f'{{"conn_type": "generic", "password": "{SECRET}"}}')
    tasks = run_dag("decorated_mapped", prompts=PROMPTS, calls=str(calls))
    assert {task.state for task in tasks.values()} == {"success"}
    sent = [charge["parameters"] for charge in emulator.ledger()["charges"]]
    prompts = [each["messages"][0]["content"] for each in sent]
    ours = [prompt for prompt in prompts if isinstance(prompt, str) and prompt != "from-conf"]
    assert sorted(ours) == sorted(2 * PROMPTS)
    assert prompts.count("from-conf") == 2, "what the DAG's file says is rendered"
    assert PROMPTS in prompts
    assert [each["style"] for each in sent].count("from-conf") == 2 * len(PROMPTS), "and so is what is not mapped"
    assert SECRET not in str(sent)
    assert SECRET not in said()
    assert len(calls_in(calls)) == len(set(calls_in(calls))) == len(sent)


def test_its_asset_has_an_event(
    emulator: RunningEmulator, run_dag_of: Callable[[Path], Run], tmp_path: Path
) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    shutil.copy(Path(__file__).parent / "dags" / "decorated.py", dags)
    run = run_dag_of(dags)
    make_assets_known(dags)
    clip = run("decorated_event")["announced"]
    *_, (uri, extra) = run("decorated_reader")["read"].value
    assert (uri, extra["request_id"]) == ("decorated_clip", clip.xcoms["request_id"])
    assert extra["url"] == clip.value
