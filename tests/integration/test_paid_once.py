"""Paid once: what is lost on the way is found again, in a real Airflow. The emulator's ledger is the judge."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from airflow import __version__ as airflow_version
from airflow.providers.common.compat.sdk import AirflowException, AirflowTaskTimeout
from packaging.version import Version

from airflow_provider_segmind.emulator.running import RunningEmulator, running_emulator

Run = Callable[..., dict[str, Any]]
MODES = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "blocking"])
KLING = "kling-o1-image-to-video"
REMEMBERS = Version(airflow_version) >= Version("3.3")


@pytest.fixture(autouse=True)
def _short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of the history is taken to come within 1.5 s here, not minutes."""
    monkeypatch.setattr("airflow_provider_segmind.durability.submission.HISTORY_LAG", 1.5)
    monkeypatch.setattr("airflow_provider_segmind.durability.submission.latest_usual_duration", lambda *_: 0.0)
    monkeypatch.setattr("airflow_provider_segmind.api.history_search.FIRST_PAUSE", 0.5)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What was sent to Airflow's metrics, by name and model."""
    sent: Counter[str] = Counter()

    class Sink:
        @staticmethod
        def incr(name: str, tags: dict[str, str]) -> None:
            sent[f"{name} {tags['model']}"] += 1

    monkeypatch.setattr("airflow_provider_segmind.durability.submission.Stats", Sink)
    return sent


@MODES
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 504, "accepted": True},
        {"drop": "after"},
        {"drop": "midway"},
        {"body": "empty"},
        {"missing_request_id": True},
    ],
    ids=lambda fault: " ".join(map(str, fault)),
)
def test_an_accepted_submit_without_an_answer_is_found(
    emulator: RunningEmulator, run_dag: Run, deferrable: bool, fault: dict[str, Any], counted: Counter[str]
) -> None:
    emulator.faults({"on": "submit", "count": 1, **fault})
    clip = run_dag("kling", deferrable=deferrable)["clip"]
    (charge,) = emulator.ledger()["charges"]
    assert (clip.state, clip.try_number) == ("success", 1)
    assert clip.xcoms["request_id"] == charge["request_id"]
    assert charge["request_id"] in clip.value
    assert counted == {f"segmind.unresolved {KLING}": 1, f"segmind.resolved {KLING}": 1}


@pytest.mark.parametrize("prompt", ["a\0b", "line\nbreaks\r\n\t", "🦊\u200d🔥 ünï"])
def test_it_is_found_whatever_characters_are_in_it(emulator: RunningEmulator, run_dag: Run, prompt: str) -> None:
    emulator.faults({"on": "submit", "count": 1, "drop": "after"})
    clip = run_dag("kling", prompt=prompt)["clip"]
    assert (clip.state, emulator.ledger()["submits"]) == ("success", 1)


@MODES
def test_a_submit_that_never_arrived_is_sent_again(
    emulator: RunningEmulator, run_dag: Run, deferrable: bool
) -> None:
    emulator.faults({"on": "submit", "count": 1, "drop": "before"})
    clip = run_dag("kling", deferrable=deferrable)["clip"]
    assert (clip.state, clip.try_number, emulator.ledger()["submits"]) == ("success", 1, 1)


@MODES
def test_a_late_row_is_waited_for(run_dag: Run, monkeypatch: pytest.MonkeyPatch, deferrable: bool) -> None:
    with running_emulator(latency=0.3, history_lag=0.7) as emulator:
        monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", json.dumps(emulator.connection()))
        emulator.faults({"on": "submit", "count": 1, "drop": "after"})
        clip = run_dag("kling", deferrable=deferrable)["clip"]
        assert (clip.state, emulator.ledger()["submits"]) == ("success", 1)


@MODES
def test_a_history_that_is_down_fails_without_a_second_submit(
    emulator: RunningEmulator, run_dag: Run, deferrable: bool, said: Callable[[], str]
) -> None:
    emulator.faults({"on": "submit", "count": 1, "drop": "after"}, {"on": "history", "status": 503})
    clip = run_dag("kling", deferrable=deferrable)["clip"]
    assert (clip.state, emulator.requests()["endpoints"]["submit"]) == ("failed", 1)
    assert "the request history could not be searched" in said()


def test_unless_the_user_would_rather_pay_twice_than_wait(emulator: RunningEmulator, run_dag: Run) -> None:
    emulator.faults({"on": "submit", "count": 1, "drop": "after"}, {"on": "history", "status": 503})
    clip = run_dag("kling", on_unresolved_submit="resubmit")["clip"]
    assert (clip.state, emulator.ledger()["submits"]) == ("success", 2)


def test_a_network_that_loses_every_submit_is_not_fed_for_ever(emulator: RunningEmulator, run_dag: Run) -> None:
    emulator.faults({"on": "submit", "drop": "before"})
    clip = run_dag("kling")["clip"]
    assert clip.state == "failed"
    assert emulator.requests()["endpoints"]["submit"] <= 2 * clip.try_number


def test_what_is_not_remembered_is_not_submitted_again_when_the_search_breaks_off(
    emulator: RunningEmulator, run_dag: Run, monkeypatch: pytest.MonkeyPatch, said: Callable[[], str]
) -> None:
    """As with an `execution_timeout` that strikes while a worker looks for a submit without an answer."""

    def strike(_: float) -> None:
        raise AirflowTaskTimeout("Timeout")

    monkeypatch.setattr(
        "airflow_provider_segmind.hooks.driving.time", SimpleNamespace(sleep=strike, time=time.time)
    )
    emulator.faults({"on": "submit", "count": 1, "drop": "before"})
    clip = run_dag("kling", deferrable=False, durable=False)["clip"]
    assert (clip.state, clip.try_number) == ("failed", 1)
    assert emulator.requests()["endpoints"]["submit"] == 1
    assert "A request may have been submitted, then the task was interrupted" in said()


def test_what_is_not_remembered_is_not_submitted_again_when_airflow_itself_breaks_off(
    emulator: RunningEmulator, run_dag: Run, monkeypatch: pytest.MonkeyPatch, said: Callable[[], str]
) -> None:
    """As with an asset that has been deleted meanwhile."""

    def missing(*_: Any) -> None:
        raise AirflowException("there is no such asset")

    monkeypatch.setattr("airflow_provider_segmind.operators.running.add_asset_extras", missing)
    clip = run_dag("kling", durable=False)["clip"]
    assert (clip.state, clip.try_number, emulator.ledger()["submits"]) == ("failed", 1, 1)
    assert emulator.ledger()["charges"][0]["request_id"] in said()


@MODES
def test_the_deadline_costs_no_second_charge(
    emulator: RunningEmulator, run_dag: Run, deferrable: bool, said: Callable[[], str]
) -> None:
    emulator.faults({"on": "submit", "outcome": "stuck"})
    clip = run_dag("kling", deferrable=deferrable, timeout=1)["clip"]
    attempts = 3 if REMEMBERS else 1
    assert (clip.state, clip.try_number, emulator.ledger()["submits"]) == ("failed", attempts, 1)
    log = said()
    assert emulator.ledger()["charges"][0]["request_id"] in log
    assert "cannot cancel" in log


@pytest.mark.skipif(not REMEMBERS, reason="only Airflow 3.3 and later remember; the tests run there too")
def test_a_retry_goes_on_with_the_request_that_was_too_slow(
    emulator: RunningEmulator, run_dag: Run, counted: Counter[str]
) -> None:
    emulator.faults({"on": "poll", "json": {"status": "QUEUED"}, "count": 1})
    clip = run_dag("kling", timeout=0.5, poll_interval=5)["clip"]
    assert (clip.state, clip.try_number, emulator.ledger()["submits"]) == ("success", 2, 1)
    assert counted == {f"segmind.submitted {KLING}": 1, f"segmind.reattached {KLING}": 1}


@pytest.mark.skipif(not REMEMBERS, reason="only Airflow 3.3 and later remember; the tests run there too")
def test_a_retry_gets_the_video_of_an_expired_record_from_the_history(
    run_dag: Run, monkeypatch: pytest.MonkeyPatch, counted: Counter[str]
) -> None:
    monkeypatch.setattr("airflow_provider_segmind.api.follow.REGISTRATION_GRACE", 0.0)
    # No attempt races a clock: the first is too late at its only look, and what follows finds no record.
    with running_emulator(latency=0.0, retention=0.0) as emulator:
        monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", json.dumps(emulator.connection()))
        emulator.faults({"on": "poll", "status": 200, "json": {"status": "QUEUED"}, "count": 1})
        clip = run_dag("kling", timeout=0.001, poll_interval=5)["clip"]
        assert (clip.state, clip.try_number, emulator.ledger()["submits"]) == ("success", 2, 1)
    assert counted == {f"segmind.submitted {KLING}": 1, f"segmind.recovered {KLING}": 1}


@MODES
@pytest.mark.skipif(not REMEMBERS, reason="only Airflow 3.3 and later remember; the tests run there too")
def test_a_retry_with_other_parameters_pays_nothing_more(
    emulator: RunningEmulator, run_dag: Run, deferrable: bool, said: Callable[[], str]
) -> None:
    emulator.faults({"on": "poll", "json": {"status": "QUEUED"}, "count": 1})
    clip = run_dag("resigned", deferrable=deferrable, timeout=0.5, poll_interval=5)["clip"]
    assert (clip.state, emulator.ledger()["submits"]) == ("success", 1)
    assert clip.try_number > 1
    assert "prompt, start_image_url" in said()


@pytest.mark.skipif(not REMEMBERS, reason="only Airflow 3.3 and later remember; the tests run there too")
def test_parameters_that_become_wrong_do_not_lose_the_request(
    emulator: RunningEmulator, run_dag: Run, said: Callable[[], str]
) -> None:
    """The second attempt of this task renders an empty prompt."""
    emulator.faults({"on": "poll", "json": {"status": "QUEUED"}, "count": 1})
    clip = run_dag("resigned", timeout=0.5, poll_interval=5, later_prompt="")["clip"]
    (charge,) = emulator.ledger()["charges"]
    assert clip.state == "failed"
    assert (
        f"prompt: must describe the transformation between the frames, not '' (request_id={charge['request_id']})"
        in said()
    )


@MODES
@pytest.mark.skipif(not REMEMBERS, reason="only Airflow 3.3 and later remember; the tests run there too")
def test_an_unresolved_submit_is_found_though_its_parameters_have_changed(
    emulator: RunningEmulator, run_dag: Run, deferrable: bool
) -> None:
    emulator.faults({"on": "submit", "drop": "after", "count": 1}, {"on": "history", "status": 503, "count": 5})
    clip = run_dag("resigned", deferrable=deferrable)["clip"]
    assert (clip.state, emulator.ledger()["submits"]) == ("success", 1)


@pytest.mark.skipif(REMEMBERS, reason="Airflow 3.3 and later remember")
def test_an_airflow_that_cannot_remember_says_so(
    emulator: RunningEmulator, run_dag: Run, said: Callable[[], str]
) -> None:
    run_dag("kling")
    assert "no task state store" in said()
