"""
Paid once in every world: whatever Segmind turns out to be, and whatever goes wrong with a submit.

``World`` in the emulator has the questions that the evidence about Segmind leaves open. Each cell is a world, what
goes wrong, and whether the first attempt dies. The ledger is the judge: a task that succeeds has paid for one
request, and returns its video; a task that stops has paid for one at most, and its error leads there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from allpairspy import AllPairs

from airflow_provider_segmind.compat import AirflowFailException, TaskDeferred
from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.emulator.worlds import CHOICES
from airflow_provider_segmind.exceptions import SegmindError
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
from tests.task_instance import Ti

LATENCY = 0.3
"""Seconds that a request takes here."""

IMAGE = "https://images.example.com/mug.png"
PROMPT = "the camera goes around the mug"
LAGS = (0.0, 0.8)
QUESTIONS: dict[str, Sequence[Any]] = {name: choices or LAGS for name, choices in CHOICES.items()}

FAULTS: dict[str, Mapping[str, Any] | None] = {
    "nothing": None,
    "answer lost": {"drop": "after"},
    "never arrived": {"drop": "before"},
    "504, accepted": {"status": 504, "accepted": True},
    "502 of a proxy": {"status": 502, "body": "html"},
    "500 of Segmind": {"status": 500},
    "an answer without an id": {"missing_request_id": True},
    "an empty answer": {"body": "empty"},
}
PAID_TWICE = {("500 of Segmind", "server_error_leaves_job")}
"""What docs/paid-once.md lists: the fault, and what has to be true of the world."""


@dataclass(frozen=True)
class Cell:
    """One case of the matrix."""

    fault: str
    dies: bool = False
    """Whether the first attempt ends while it looks for its submit, or waits, and another one takes over."""
    world: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        changes = " ".join(f"{name}={value}" for name, value in self.world)
        return f"{self.fault}{', dies' if self.dies else ''}: {changes or 'as documented'}"


def single_worlds() -> list[Cell]:
    """Each other answer to one question, with the fault that hurts most."""
    return [
        Cell("answer lost", world=((name, value),))
        for name, choices in QUESTIONS.items()
        for value in choices[1:]
        if name.startswith(("history", "generations", "ids", "server"))
    ]


def pairs() -> list[Cell]:
    """Every two answers, and every answer with each fault, in as few cells as possible."""
    names = list(QUESTIONS)
    parameters = [[*FAULTS], [False, True], *([*QUESTIONS[name]] for name in names)]
    return [Cell(row[0], row[1], tuple(zip(names, row[2:], strict=True))) for row in AllPairs(parameters)]


@pytest.fixture(autouse=True)
def _short_search(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("airflow_provider_segmind.durability.submission.HISTORY_LAG", 2.0)
    monkeypatch.setattr("airflow_provider_segmind.api.history_search.FIRST_PAUSE", 0.5)
    monkeypatch.setattr("airflow_provider_segmind.api.follow.REGISTRATION_GRACE", 0.0)
    monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_PATH", str(tmp_path / "records"))


def attempt(**arguments: Any) -> Any:
    operator = KlingImageToVideoOperator(
        task_id="run", prompt=PROMPT, start_image_url=IMAGE, expected_duration=2 * LATENCY, **arguments
    )
    return operator.execute({"ti": Ti()})


def play(emulator: RunningEmulator, cell: Cell) -> tuple[str | None, Exception | None]:
    """Return the video's URL, or the error that the task ended with."""
    emulator.reset()
    emulator.change_world(**dict(cell.world))
    submit_as_teammate(emulator)
    fault = FAULTS[cell.fault]
    emulator.faults(*([{"on": "submit", "count": 1, **fault}] if fault else []))
    try:
        if cell.dies:
            with suppress(TaskDeferred):
                attempt(deferrable=True)
        return attempt(deferrable=False), None
    except (SegmindError, AirflowFailException) as error:
        return None, error


def submit_as_teammate(emulator: RunningEmulator) -> None:
    """Another member of the team submits the same, at the same time."""
    body = {"prompt": PROMPT, "start_image_url": IMAGE, "duration": 5}
    url, headers = f"{emulator.url}/v2/kling-o1-image-to-video", {"x-api-key": emulator.teammate_api_key}
    requests.post(url, json=body, headers=headers, timeout=10).raise_for_status()


def own_charges(emulator: RunningEmulator) -> list[str]:
    """Return the ids of what the task has paid for, without dashes."""
    ids = [charge["request_id"].replace("-", "") for charge in emulator.ledger()["charges"]]
    return ids[1:]


def judge(emulator: RunningEmulator, cell: Cell) -> None:
    url, error = play(emulator, cell)
    charges = own_charges(emulator)
    allowed = 2 if any((cell.fault, name) in PAID_TWICE for name, value in cell.world if value is True) else 1
    assert len(charges) <= allowed, f"{cell}: paid {len(charges)} times"
    if url is not None:
        assert any(request_id in url.replace("-", "") for request_id in charges), f"{cell}: another's video"
    else:
        assert "no clear answer" in str(error) or any(
            request_id in str(error).replace("-", "") for request_id in charges
        ), f"{cell}: {error}"


@pytest.mark.parametrize("cell", single_worlds(), ids=str)
def test_each_world_alone(emulator: RunningEmulator, cell: Cell) -> None:
    judge(emulator, cell)


@pytest.mark.long
@pytest.mark.parametrize("cell", pairs(), ids=str)
def test_every_two_worlds_and_faults_together(emulator: RunningEmulator, cell: Cell) -> None:
    judge(emulator, cell)
