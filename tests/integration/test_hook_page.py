"""docs/howto/hook.md: its code runs as pasted, and its table has each call and what that returns."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_segmind.api import answers, history
from airflow_provider_segmind.api import calls as api_calls
from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.hooks.segmind import SegmindHook

pytestmark = pytest.mark.usefixtures("_soon")

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "hook.md").read_text()
LOOKING, SUBMITTING, RUNNING, GATHERING = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
ROW = re.compile(r"^\| `(\w+)\((.*?)\)` \| (.*?) \| (.*?) \|$", re.MULTILINE)
NOT_FOR_USERS = {
    *("get_connection_form_widgets", "get_ui_field_behaviour"),  # for Airflow's form
    *("get_conn", "send", "fetch"),  # for the rest of this package
}
OTHER_WORDS = ("cost", "remaining_credits", "RequestFailedError", "PENDING", *answers.RequestState)


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs take 0.3 s here, so a wait looks sooner and more often than it would at Segmind."""
    monkeypatch.setattr("airflow_provider_segmind.api.schedule.FIRST_POLL", 0.5)
    monkeypatch.setattr("airflow_provider_segmind.api.schedule.SHORTEST", 0.5)


def calls() -> dict[str, Any]:
    functions = {name: each for name, each in vars(SegmindHook).items() if inspect.isfunction(each)}
    return {name: each for name, each in functions.items() if name[0] != "_" and name not in NOT_FOR_USERS}


def test_the_table_has_each_call_with_its_arguments() -> None:
    listed = {name: arguments for name, arguments, *_ in ROW.findall(PAGE)}
    signatures = {name: list(inspect.signature(each).parameters.values())[1:] for name, each in calls().items()}
    stars = {inspect.Parameter.VAR_KEYWORD: "**"}
    assert listed == {
        name: ", ".join(f"{stars.get(each.kind, '')}{each.name}" for each in parameters)
        for name, parameters in signatures.items()
    }


@pytest.mark.parametrize(("name", "described"), [(name, returns) for name, _, returns, _ in ROW.findall(PAGE)])
def test_the_table_names_what_a_call_returns(name: str, described: str) -> None:
    annotation = str(inspect.signature(calls()[name]).return_annotation)
    (name_of_kind, *_) = re.findall(r"\w+", annotation.removeprefix("tuple["))
    kind = getattr(answers, name_of_kind, None) or getattr(history, name_of_kind, None)
    if kind is None:  # a plain value
        return
    first, *others = re.findall(r"`(\w+)(?:\(\))?`", described)
    filters = inspect.signature(api_calls.history).parameters if name == "get_history" else ()
    assert first == kind.__name__
    assert set(others) <= {*(each.name for each in fields(kind)), *vars(kind), *filters, *OTHER_WORDS}


def test_the_charges_are_those_of_the_table() -> None:
    charged = {name for name, _, _, cost in ROW.findall(PAGE) if "charge" in cost}
    assert charged == {"submit", "submit_workflow", "run", "run_sync"}


def test_looking_costs_nothing(emulator: RunningEmulator, capsys: pytest.CaptureFixture[str]) -> None:
    SegmindHook().submit(
        "kling-o1-image-to-video", {"prompt": "x", "start_image_url": "https://example.com/a.png"}
    )
    exec(LOOKING, {})  # noqa: S102
    assert emulator.ledger()["submits"] == 1
    balance, entry = capsys.readouterr().out.splitlines()[-2:]  # Airflow 2.11 prints its log, too
    assert float(balance) > 0
    assert len(entry.split()) > 3


def test_a_script_runs_a_model_and_saves_its_output(
    emulator: RunningEmulator, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    exec(RUNNING.replace("/tmp/fox.png", f"{tmp_path}/fox.png"), {})  # noqa: S102, S108
    (charge,) = emulator.ledger()["charges"]
    request_id, cost = capsys.readouterr().out.splitlines()[-1].split()
    assert (request_id, float(cost)) == (charge["request_id"], charge["amount"])
    assert (tmp_path / "fox.png").read_bytes().startswith(b"\x89PNG")


def test_async_code_runs_several(emulator: RunningEmulator, capsys: pytest.CaptureFixture[str]) -> None:
    exec(GATHERING, {})  # noqa: S102
    assert capsys.readouterr().out.splitlines()[-1] == "2"
    assert emulator.ledger()["submits"] == 2


def test_a_task_submits_and_a_sensor_waits(
    emulator: RunningEmulator, run_dag_of: Callable[[Path], Any], tmp_path: Path
) -> None:
    (tmp_path / "submit_with_the_hook.py").write_text(SUBMITTING)
    tasks = run_dag_of(tmp_path)("submit_with_the_hook")
    assert {name: task.state for name, task in tasks.items()} == {"submit": "success", "wait": "success"}
    assert tasks["wait"].xcoms["request_id"] == tasks["submit"].value
    assert emulator.ledger()["submits"] == 1
