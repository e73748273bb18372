"""Giving up a stuck request: the task pays for another one, once, and only if a person names that very request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

from airflow_provider_segmind.compat import AirflowFailException
from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.exceptions import (
    InvalidParameterError,
    RequestTimeoutError,
    SegmindError,
    ServerError,
    SubmitUnresolvedError,
)
from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
from tests.task_instance import Ti

Run = Callable[..., dict[str, Any]]
VARIABLE = "AIRFLOW_VAR_SEGMIND_ABANDON_REQUEST"
STUCK = {"on": "submit", "outcome": "stuck", "count": 1}
STILL_AT_WORK = {"on": "poll", "json": {"status": "PROCESSING"}}
HISTORY_DOWN = {"on": "history", "status": 503}


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_segmind.durability.submission.HISTORY_LAG", 1.5)
    monkeypatch.setattr("airflow_provider_segmind.durability.submission.latest_usual_duration", lambda *_: 0.0)
    monkeypatch.setattr("airflow_provider_segmind.api.history_search.FIRST_PAUSE", 0.5)
    monkeypatch.setattr("airflow_provider_segmind.api.follow.LAST_TURN", 0.5)


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the records."""
    monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_PATH", str(tmp_path / "records"))
    return tmp_path / "records"


def run(max_tries: int = 3, **arguments: Any) -> Any:
    """Run an attempt in this process."""
    ti = Ti()
    ti.max_tries = max_tries
    options = {"prompt": "zoom", "start_image_url": "https://x.example/a.png", "poll_interval": 0.2, **arguments}
    return KlingImageToVideoOperator(task_id="run", deferrable=False, **options).execute({"ti": ti})


def fails(max_tries: int = 3, **arguments: Any) -> Any:
    """Run an attempt that fails, and return its error."""
    with pytest.raises((SegmindError, AirflowFailException)) as caught:
        run(max_tries, **{"timeout": 1, **arguments})
    return caught.value


@pytest.fixture(params=["argument", "variable"])
def give_up(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, str]]:
    """Name something to give up, in one of the two ways."""

    def by_argument(name: str) -> dict[str, str]:
        return {"abandon_request": name}

    def by_variable(name: str) -> dict[str, str]:
        monkeypatch.setenv(VARIABLE, name)
        return {}

    return {"argument": by_argument, "variable": by_variable}[request.param]


def test_a_stuck_request_is_given_up_once_and_only_by_its_id(
    emulator: RunningEmulator,
    records: Path,
    give_up: Callable[[str], dict[str, str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    emulator.faults(STUCK)
    stuck = fails()
    assert isinstance(stuck, RequestTimeoutError)
    assert f"segmind_abandon_request, to {stuck.request_id} and clear the task" in str(stuck)
    assert fails(7).request_id == stuck.request_id, "a clear continues with it"
    another = "7d1c0b6e-1111-4222-8333-944445555666"
    assert fails(7, **give_up(another)).request_id == stuck.request_id
    assert (
        f"Nothing is given up: abandon_request does not name what this task has, which is {stuck.request_id}"
        in (caplog.text)
    )
    assert emulator.ledger()["submits"] == 1

    caplog.clear()
    named = give_up(f"{another}, {stuck.request_id}")
    run(11, **named)
    assert f"Submitting again: request {stuck.request_id} is given up" in caplog.text
    assert "segmind_adopt_request" in caplog.text
    run(11, **named)
    assert emulator.ledger()["submits"] == 2, "a retry delivers the same, though the argument is still there"
    run(15, **named)
    assert emulator.ledger()["submits"] == 3, "a clear after a delivery asks for another video, as always"


def test_a_request_that_is_completed_by_now_is_delivered_and_not_given_up(
    emulator: RunningEmulator, records: Path, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.faults(STILL_AT_WORK)
    late = fails()
    emulator.clear_faults()
    url = run(7, abandon_request=late.request_id)
    assert url.endswith(".mp4")
    assert emulator.ledger()["submits"] == 1
    assert "is not given up: it is COMPLETED, and was charged" in caplog.text


def test_what_cannot_be_looked_at_is_not_given_up_yet(emulator: RunningEmulator, records: Path) -> None:
    emulator.faults(STUCK)
    stuck = fails()
    emulator.faults({"on": "poll", "status": 503})
    trouble = fails(7, abandon_request=stuck.request_id)
    assert isinstance(trouble, ServerError)
    assert not isinstance(trouble, AirflowFailException), "a retry looks again"
    assert (trouble.request_id, emulator.ledger()["submits"]) == (stuck.request_id, 1)
    emulator.clear_faults()
    run(7, abandon_request=stuck.request_id)
    assert emulator.ledger()["submits"] == 2


def test_a_refusal_of_the_new_submit_leaves_the_old_request_and_the_choice(
    emulator: RunningEmulator, records: Path
) -> None:
    emulator.faults(STUCK)
    stuck = fails()
    emulator.faults({"on": "submit", "status": 401, "cause": "rejected", "count": 1})
    fails(7, abandon_request=stuck.request_id)
    assert fails(7).request_id == stuck.request_id, "nothing was given up for nothing"
    run(11, abandon_request=stuck.request_id)
    assert emulator.ledger()["submits"] == 2


def test_where_nothing_is_remembered_there_is_nothing_to_give_up(emulator: RunningEmulator) -> None:
    emulator.faults(STUCK)
    stuck = fails(durable=False)
    assert "Clearing the task would pay for a new one." in str(stuck)
    assert "abandon_request" not in str(stuck)
    run(7, durable=False, abandon_request=stuck.request_id)
    assert emulator.ledger()["submits"] == 2


def test_a_submit_without_a_request_is_given_up_by_its_time(
    emulator: RunningEmulator, records: Path, give_up: Callable[[str], dict[str, str]]
) -> None:
    emulator.faults({"on": "submit", "drop": "before", "count": 1}, HISTORY_DOWN)
    lost = fails()
    assert isinstance(lost, SubmitUnresolvedError)
    assert (
        "If it is not there, give it up. To give it up and pay for another, set the task's abandon_request, or "
        in (str(lost))
    )
    assert f"to {lost.submit} and clear the task" in str(lost)
    assert fails(7).submit == lost.submit, "a clear alone searches again"
    assert fails(7, **give_up("2026-11-26T02:48:15.000001Z")).submit == lost.submit
    assert emulator.ledger()["submits"] == 0
    named = give_up(lost.submit)
    run(11, timeout=60, **named)
    run(11, timeout=60, **named)
    assert emulator.ledger()["submits"] == 1


def test_a_last_look_finds_a_request_that_came_after_the_user_looked(
    emulator: RunningEmulator, records: Path
) -> None:
    emulator.faults({"on": "submit", "drop": "after", "count": 1}, HISTORY_DOWN)
    lost = fails()
    emulator.clear_faults()
    run(7, timeout=60, abandon_request=lost.submit)
    assert emulator.ledger()["submits"] == 1


def test_a_retry_gives_up_what_the_variable_names_wherever_the_record_is(
    emulator: RunningEmulator, run_dag: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(VARIABLE, "")
    if Version(airflow_version) < Version("3.3"):  # later ones have a task state store
        monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_PATH", str(tmp_path / "records"))
    emulator.faults(STUCK)
    clip = run_dag("giving_up")["clip"]
    assert (clip.state, clip.try_number) == ("success", 2)
    assert emulator.ledger()["submits"] == 2


@pytest.mark.parametrize("name", ["not an id!", "r1,;", 7])
def test_a_name_that_can_be_none_is_refused_when_the_dag_is_parsed(name: Any) -> None:
    with pytest.raises(InvalidParameterError, match="abandon_request"):
        SegmindInferenceOperator(task_id="run", model="some-model", abandon_request=name)


def test_a_variable_that_names_nothing_possible_stops_nothing(
    emulator: RunningEmulator, records: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.faults(STILL_AT_WORK)
    fails()
    emulator.clear_faults()
    monkeypatch.setenv(VARIABLE, "all of them!")
    run(7)
    assert emulator.ledger()["submits"] == 1
    assert "the variable segmind_abandon_request" in caplog.text
    assert "Nothing is given up." in caplog.text
