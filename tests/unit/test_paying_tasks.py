"""A task from attempt to attempt: what it pays for, what it leaves behind, and what its errors lead to."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_segmind.compat import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    Asset,
    TaskDeferred,
)
from airflow_provider_segmind.durability.record import RecordState, RequestRecord
from airflow_provider_segmind.durability.store import KEY, RecordStore
from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.exceptions import (
    AuthenticationError,
    InvalidParameterError,
    OutputTooLargeError,
    RequestExpiredError,
    RequestTimeoutError,
    SegmindError,
    ServerError,
    SubmitUnresolvedError,
    UnusableOutputError,
)
from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
from tests.task_instance import Ti

MODEL = "mock-text"
KLING = "kling-o1-image-to-video"
PNG = b"\x89PNG\r\n\x1a\n"


class TaskState(dict[str, Any]):
    """A task state store in memory: what is read is a copy of what was written."""

    def get(self, key: str, default: Any = None) -> Any:
        return json.loads(self[key]) if key in self else default

    def set(self, key: str, value: Any) -> None:
        self[key] = json.dumps(value)

    def delete(self, key: str) -> None:
        self.pop(key, None)


class Task:
    """A task instance from attempt to attempt, with what Airflow keeps of it."""

    def __init__(self, *, remembers: bool = True, map_index: int = -1, **arguments: Any) -> None:
        self.arguments = {
            "model": MODEL,
            "parameters": {"prompt": "a fox"},
            "deferrable": False,
            "expected_duration": 0.3,
            "poll_interval": 0.1,
            **arguments,
        }
        self.ti = Ti()
        self.ti.map_index = map_index
        self.context: Any = {
            "ti": self.ti,
            "task_state_store": TaskState() if remembers else None,
            "outlet_events": {},
        }
        self.operator: Any = None

    def attempt(self, **changed: Any) -> Any:
        """Run an attempt in a new process, so to speak. Airflow deletes the XComs of the one before."""
        self.ti.xcoms.clear()
        return self.new_operator(**changed).execute(self.context)

    def new_operator(self, **changed: Any) -> Any:
        self.operator = SegmindInferenceOperator(task_id="run", **{**self.arguments, **changed})
        return self.operator

    def deferral(self, **changed: Any) -> Any:
        with pytest.raises(TaskDeferred) as caught:
            self.attempt(deferrable=True, **changed)
        return caught.value

    def resume(self, deferral: Any, event: Any, **changed: Any) -> Any:
        operator = self.new_operator(deferrable=True, **changed)
        return operator.resume_execution(deferral.method_name, {"event": event}, self.context)

    def resume_to_the_end(self, deferral: Any) -> Any:
        """Resume until the task has its output: on a busy machine it may defer once more."""
        while True:
            try:
                return self.resume(deferral, event_of(deferral))
            except TaskDeferred as again:
                deferral = again

    def airflow_ends_the_wait(self) -> Any:
        operator = self.new_operator(deferrable=True)
        return operator.resume_execution("__fail__", {"error": "Trigger timeout"}, self.context)

    def clear(self) -> None:
        self.ti.max_tries += 4

    @property
    def record(self) -> dict[str, Any]:
        """What the next attempt knows."""
        return dict(self.context["task_state_store"].get(KEY))

    @property
    def xcoms(self) -> dict[str, Any]:
        return self.ti.xcoms


@pytest.fixture(autouse=True)
def _store_that_survives_a_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Airflow 3.3, whatever is installed: the tests of records have the other kinds."""
    monkeypatch.setattr("airflow_provider_segmind.durability.backends.does_clear_forget", lambda: False)


def event_of(deferral: Any) -> dict[str, Any]:
    """Run the trigger of a deferral to its event."""

    async def all_events() -> list[Any]:
        return [event.payload async for event in deferral.trigger.run()]

    (event,) = asyncio.run(all_events())
    return dict(event)


def submits(emulator: RunningEmulator) -> int:
    return int(emulator.requests()["endpoints"].get("submit", 0))


def charge_of(emulator: RunningEmulator) -> dict[str, Any]:
    (charge,) = emulator.ledger()["charges"]
    return dict(charge)


STUCK = {"on": "submit", "outcome": "stuck", "count": 1}


# What a task leaves behind.


def test_a_task_returns_its_output_and_says_what_it_paid(emulator: RunningEmulator) -> None:
    task = Task()
    output = task.attempt()
    charge = charge_of(emulator)
    assert output
    assert set(task.xcoms) == {"request_id", "summary"}
    assert task.xcoms["request_id"] == charge["request_id"]
    assert task.xcoms["summary"]["request_id"] == charge["request_id"]
    assert task.xcoms["summary"]["cost"] == charge["amount"]
    assert (task.record["state"], task.record["request_id"]) == ("delivered", charge["request_id"])
    assert task.context["task_state_store"].get("segmind_counted") == charge["request_id"], "its cost is counted"


def test_the_whole_answer_is_pushed_only_if_it_is_asked_for(emulator: RunningEmulator) -> None:
    task = Task(push_result=True)
    output = task.attempt()
    assert task.xcoms["result"]["output"] == output


def test_without_xcoms_nothing_is_pushed_but_what_keeps_a_task_from_paying_twice(
    emulator: RunningEmulator,
) -> None:
    remembered = Task(do_xcom_push=False, push_result=True)
    assert remembered.attempt()
    assert remembered.xcoms == {}
    for needed in (Task(do_xcom_push=False, remembers=False), Task(do_xcom_push=False, map_index=0)):
        needed.attempt()
        assert set(needed.xcoms) == {"request_id"}


def test_a_task_that_does_not_wait_returns_the_id_and_emits_no_asset_event(emulator: RunningEmulator) -> None:
    task = Task(wait_for_completion=False, outlets=[Asset("clips")])
    request_id = task.attempt()
    assert request_id == charge_of(emulator)["request_id"] == task.xcoms["request_id"]
    assert task.operator.outlets == []
    assert task.record["state"] == "delivered"
    assert "summary" not in task.xcoms
    task.clear()
    assert task.attempt() != request_id, "a clear asks for another"
    assert submits(emulator) == 2


def test_a_retry_of_a_task_that_does_not_wait_returns_the_same_id_and_looks_at_nothing(
    emulator: RunningEmulator,
) -> None:
    task = Task(wait_for_completion=False)
    assert task.attempt() == task.attempt()
    assert submits(emulator) == 1
    assert emulator.requests()["endpoints"].get("status", 0) == 0


def test_the_event_of_an_asset_says_where_the_output_is(emulator: RunningEmulator) -> None:
    event = SimpleNamespace(extra={})

    class Events:
        def __getitem__(self, outlet: object) -> SimpleNamespace:
            return event

    parameters = {"prompt": "zoom", "start_image_url": "https://x/a.png"}
    task = Task(model=KLING, parameters=parameters, outlets=[Asset("clips")])
    task.context["outlet_events"] = Events()
    url = task.attempt()
    assert (event.extra["url"], event.extra["request_id"]) == (url, charge_of(emulator)["request_id"])


def test_openlineage_gets_the_images_and_the_request(emulator: RunningEmulator, tmp_path: Path) -> None:
    pytest.importorskip("airflow.providers.openlineage")
    image = tmp_path / "mug.png"
    image.write_bytes(PNG)
    parameters = {"prompt": "zoom", "start_image_url": str(image)}
    task = Task(model=KLING, parameters=parameters, upload=["start_image_url"])
    task.deferral(expected_duration=60)
    before = str(task.operator.get_openlineage_facets_on_complete(None))
    task.attempt()
    after = str(task.operator.get_openlineage_facets_on_complete(None))
    for lineage in (before, after):
        assert all(each in lineage for each in (charge_of(emulator)["request_id"], str(image), KLING))
    assert ("cost=0.91" in before, "cost=0.91" in after) == (False, True)
    task.operator.upload = "no list"
    assert "mug.png" not in str(task.operator.get_openlineage_facets_on_complete(None))


# Waiting.


def test_the_trigger_knows_all_that_the_wait_depends_on(emulator: RunningEmulator) -> None:
    task = Task(parameters={"prompt": "a fox", "duration": 8}, timeout=77, poll_interval=7.5, expected_duration=60)
    task.ti.try_number = 2
    before = time.time()
    deferral = task.deferral()
    request = deferral.trigger.request
    assert deferral.method_name == "execute_complete"
    assert request.request_id == charge_of(emulator)["request_id"] == task.xcoms["request_id"]
    assert before <= request.submitted_at <= time.time()
    assert request.deadline == request.submitted_at + 77
    assert (request.poll_interval, request.expected_duration) == (7.5, 60)
    assert (request.model, request.variant) == (MODEL, "duration=8")
    assert deferral.trigger.segmind_conn_id == "segmind_default"
    assert deferral.trigger.attempt == 2
    assert deferral.trigger.earliest_event > 0
    assert task.record["state"] == "submitted"


def test_each_trigger_uses_the_connection_of_the_task(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(emulator.connection()))
    monkeypatch.delenv("AIRFLOW_CONN_SEGMIND_DEFAULT")
    other: Any = {"segmind_conn_id": "other", "expected_duration": 60}
    assert Task(**other).deferral().trigger.segmind_conn_id == "other"
    emulator.faults({"on": "submit", "drop": "after", "count": 1})
    unresolved = Task(**other).deferral()
    assert (unresolved.trigger.segmind_conn_id, unresolved.method_name) == ("other", "execute_after_search")
    emulator.faults({"on": "submit", "status": 429, "reset_in": 2, "count": 1})
    limited = Task(**other).deferral()
    assert (limited.trigger.segmind_conn_id, limited.method_name) == ("other", "execute_after_rate_limit")


def test_a_deferred_task_gets_its_output_from_the_event(emulator: RunningEmulator) -> None:
    task = Task(expected_duration=60, push_result=True)
    deferral = task.deferral()
    event = event_of(deferral)
    asked = emulator.requests()["total"]
    output = task.resume(deferral, event)
    assert output == event["result"]["output"] == task.xcoms["result"]["output"]
    assert emulator.requests()["total"] == asked, "the event has all of it"
    assert task.record["state"] == "delivered"
    assert task.xcoms["summary"]["request_id"] == event["request_id"]


def test_a_result_that_was_too_large_for_the_event_is_fetched(emulator: RunningEmulator) -> None:
    task = Task(expected_duration=60)
    deferral = task.deferral()
    event = event_of(deferral)
    output = event.pop("result")["output"]
    assert task.resume(deferral, event) == output
    assert task.record["state"] == "delivered"


def test_the_id_is_known_if_such_a_result_cannot_be_fetched(emulator: RunningEmulator) -> None:
    task = Task(expected_duration=60)
    deferral = task.deferral()
    event = {**event_of(deferral), "result": None}
    emulator.revoke_key(emulator.api_key)
    with pytest.raises(AuthenticationError, match=event["request_id"]):
        task.resume(deferral, event)


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_submit_that_is_refused_for_the_rate_limit_is_sent_when_its_turn_has_come(
    emulator: RunningEmulator, deferrable: bool
) -> None:
    emulator.faults({"on": "submit", "status": 429, "reset_in": 0.2, "count": 1})
    task = Task()
    if deferrable:
        deferral = task.deferral()
        assert emulator.ledger()["submits"] == 0
        output = task.resume_to_the_end(deferral)
    else:
        output = task.attempt()
    assert output
    assert emulator.ledger()["submits"] == 1


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_submit_whose_answer_was_lost_is_found(emulator: RunningEmulator, deferrable: bool) -> None:
    emulator.faults({"on": "submit", "drop": "after", "count": 1})
    task = Task()
    if deferrable:
        deferral = task.deferral()
        assert task.record["state"] == "submitting"
        output = task.resume_to_the_end(deferral)
    else:
        output = task.attempt()
    assert output
    assert task.xcoms["request_id"] == charge_of(emulator)["request_id"]
    assert submits(emulator) == 1


@pytest.mark.usefixtures("short_search")
@pytest.mark.parametrize(
    ("choice", "expected"), [("fail", SubmitUnresolvedError), ("resubmit", None)], ids=["fail", "resubmit"]
)
def test_if_the_history_cannot_be_read_the_user_has_chosen_what_happens(
    emulator: RunningEmulator, choice: str, expected: type[Exception] | None
) -> None:
    emulator.faults({"on": "submit", "drop": "before", "count": 1}, {"on": "history", "status": 503})
    task = Task(on_unresolved_submit=choice)
    if expected is None:
        assert task.attempt()
        assert submits(emulator) == 2
        return
    with pytest.raises(expected) as caught:
        task.attempt()
    assert isinstance(caught.value, AirflowException)
    assert not isinstance(caught.value, AirflowFailException), "a retry searches again, and pays nothing"
    assert submits(emulator) == 1


@pytest.mark.usefixtures("short_search")
def test_where_nothing_is_remembered_an_unresolved_submit_fails_for_good(
    emulator: RunningEmulator,
) -> None:
    emulator.faults({"on": "submit", "drop": "before", "count": 1}, {"on": "history", "status": 503})
    with pytest.raises(AirflowFailException):
        Task(remembers=False).attempt()


# From attempt to attempt.


@pytest.mark.parametrize("remembers", [True, False])
def test_a_timeout_costs_a_retry_nothing_where_the_task_remembers(
    emulator: RunningEmulator, remembers: bool
) -> None:
    emulator.faults(STUCK)
    task = Task(remembers=remembers, timeout=0.3)
    with pytest.raises(RequestTimeoutError) as caught:
        task.attempt()
    assert task.xcoms["request_id"] in str(caught.value)
    assert isinstance(caught.value, AirflowFailException) is not remembers
    if remembers:
        with pytest.raises(RequestTimeoutError):
            task.attempt()
        assert submits(emulator) == 1


def test_a_clear_submits_again_only_what_was_delivered(emulator: RunningEmulator) -> None:
    task = Task()
    with pytest.raises(TaskDeferred):
        task.attempt(deferrable=True, expected_duration=60)
    task.clear()
    first = task.attempt()
    assert submits(emulator) == 1
    assert task.attempt() == first, "a retry gets the same once more"
    task.clear()
    assert task.attempt()
    assert submits(emulator) == 2


@pytest.mark.parametrize(
    ("choice", "map_index", "expected"),
    [(None, -1, 1), (None, 2, 2), ("continue", 2, 1), ("resubmit", -1, 2)],
)
def test_other_parameters_after_a_clear_are_another_charge_if_that_may_be_meant(
    emulator: RunningEmulator, choice: str | None, map_index: int, expected: int
) -> None:
    task = Task(map_index=map_index, on_changed_parameters=choice)
    task.deferral(expected_duration=60)
    task.clear()
    task.attempt(parameters={"prompt": "a badger"})
    assert submits(emulator) == expected


def test_a_retry_does_not_look_at_the_parameters_of_what_is_paid_for(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    """Even where a clear would: the file that they name by now need not exist."""
    task = kling(on_changed_parameters="resubmit", upload=["start_image_url"])
    task.deferral(parameters={**task.arguments["parameters"]}, expected_duration=60)
    gone = {**task.arguments["parameters"], "start_image_url": f"{tmp_path}/gone.png"}
    assert task.attempt(parameters=gone)
    assert submits(emulator) == 1
    task.clear()
    with pytest.raises(InvalidParameterError, match="gone"):
        task.attempt(parameters=gone)


def test_without_durability_each_attempt_pays(emulator: RunningEmulator) -> None:
    task = Task(durable=False)
    task.attempt()
    task.attempt()
    assert submits(emulator) == 2
    assert KEY not in task.context["task_state_store"]


def test_an_attempt_that_is_resumed_with_the_error_of_an_earlier_one_starts_again(
    emulator: RunningEmulator,
) -> None:
    """Airflow 3.0 does that."""
    task = Task(expected_duration=60)
    deferral = task.deferral()
    event = {"error": {"type": "ServerError", "detail": "down"}, "attempt": 1, "request_id": None}
    task.ti.try_number = 2
    operator = task.new_operator(expected_duration=0.3)
    assert operator.resume_execution(deferral.method_name, {"event": event}, task.context)
    assert submits(emulator) == 1


def test_a_request_that_is_gone_is_replaced_only_by_a_clear(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task(expected_duration=60)
    task.deferral()
    emulator.faults({"on": "status", "status": 404}, {"on": "history_item", "status": 404})
    monkeypatch.setattr("airflow_provider_segmind.api.follow.REGISTRATION_GRACE", 0.0)
    with pytest.raises(RequestExpiredError, match=task.xcoms["request_id"]) as caught:
        task.attempt()
    assert isinstance(caught.value, AirflowFailException)
    assert task.record["state"] == "delivered", "there is nothing more to get"
    emulator.clear_faults()
    task.clear()
    assert task.attempt(expected_duration=0.3)
    assert submits(emulator) == 2


def test_an_output_that_cannot_be_stored_is_stored_by_the_next_attempt(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    task = kling(output_path=f"{tmp_path}/clip.mp4", max_output_bytes=10)
    with pytest.raises(OutputTooLargeError, match="max_output_bytes") as caught:
        task.attempt()
    request_id = charge_of(emulator)["request_id"]
    assert request_id in str(caught.value)
    assert task.xcoms["summary"]["files"][0]["url"]
    assert task.record["state"] == "submitted"
    task.clear()
    task.attempt(max_output_bytes=10**9)
    assert (tmp_path / "clip.mp4").stat().st_size == task.xcoms["summary"]["files"][0]["bytes"]
    assert task.xcoms["summary"]["files"][0]["output_path"] == f"{tmp_path}/clip.mp4"
    assert submits(emulator) == 1


def kling(**arguments: Any) -> Task:
    parameters = {"prompt": "zoom", "start_image_url": "https://images.example.com/shop/mug.png", "duration": 5}
    return Task(**{"model": KLING, "parameters": parameters, **arguments})


def test_an_output_is_called_by_the_request_or_by_an_image(emulator: RunningEmulator, tmp_path: Path) -> None:
    task = kling(output_path=f"{tmp_path}/clips/")
    task.attempt()
    request_id = charge_of(emulator)["request_id"]
    assert [path.name for path in (tmp_path / "clips").iterdir()] == [f"{request_id}.mp4"]
    kling(output_path=f"{tmp_path}/named/", name_output_after="start_image_url").attempt()
    assert [path.name for path in (tmp_path / "named").iterdir()] == ["mug.png.mp4"]


def test_what_is_stored_is_not_fetched_again(emulator: RunningEmulator, tmp_path: Path) -> None:
    task = kling(output_path=f"{tmp_path}/clip.mp4")
    task.attempt()
    fetched = emulator.requests()["endpoints"]
    task.attempt()
    assert emulator.requests()["endpoints"].get("output", 0) == fetched.get("output", 0)
    assert (tmp_path / "clip.mp4").exists()


# An output that is there already.


def test_an_output_that_is_there_is_kept_if_the_user_wants_that(emulator: RunningEmulator, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"somebody's")
    task = kling(output_path=str(clip), if_output_exists="skip", outlets=[Asset("clips")])
    assert task.attempt() == str(clip)
    assert submits(emulator) == 0
    assert clip.read_bytes() == b"somebody's"
    assert task.operator.outlets == []
    assert "request_id" not in task.xcoms, "nobody knows which request has made it"
    assert task.xcoms["summary"]["files"][0]["output_path"] == str(clip)
    silent = kling(output_path=str(clip), if_output_exists="skip", do_xcom_push=False)
    assert silent.attempt() == str(clip)
    assert silent.xcoms == {}


def test_a_task_recognizes_its_own_output(emulator: RunningEmulator, tmp_path: Path) -> None:
    task = kling(output_path=f"{tmp_path}/clip.mp4", if_output_exists="skip")
    task.attempt()
    task.clear()
    assert task.attempt() == f"{tmp_path}/clip.mp4"
    assert task.xcoms["request_id"] == charge_of(emulator)["request_id"]
    assert task.xcoms["summary"]["request_id"] == charge_of(emulator)["request_id"]
    assert submits(emulator) == 1
    task.clear()
    task.attempt(do_xcom_push=False)
    assert task.xcoms == {}


def test_an_output_that_is_there_is_an_error_or_is_replaced(emulator: RunningEmulator, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"somebody's")
    with pytest.raises(AirflowFailException, match=f"output_path: {clip} is there already"):
        kling(output_path=str(clip), if_output_exists="error").attempt()
    assert (submits(emulator), clip.read_bytes()) == (0, b"somebody's")
    kling(output_path=str(clip)).attempt()
    assert submits(emulator) == 1
    assert clip.read_bytes() != b"somebody's"


def test_what_was_paid_for_is_delivered_though_an_output_is_there(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    task = kling(output_path=str(clip), if_output_exists="skip")
    task.deferral(expected_duration=60)
    clip.write_bytes(b"somebody's")
    task.attempt()
    assert (submits(emulator), clip.read_bytes() != b"somebody's") == (1, True)


def test_a_place_that_cannot_be_written_to_is_seen_before_the_submit(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(AirflowFailException, match="output_path"):
        kling(output_path=f"{tmp_path}/file/clip.mp4").attempt()
    assert submits(emulator) == 0


# Files that Segmind cannot fetch.


def test_an_image_is_uploaded_once(emulator: RunningEmulator, tmp_path: Path) -> None:
    image = tmp_path / "mug.png"
    image.write_bytes(PNG)
    parameters = {"prompt": "zoom", "start_image_url": str(image), "duration": 5}
    task = Task(model=KLING, parameters=parameters, upload=["start_image_url"])
    task.attempt()
    sent = charge_of(emulator)["parameters"]["start_image_url"]
    assert sent.startswith("http")
    task.clear()
    task.attempt()
    assert [each["parameters"]["start_image_url"] for each in emulator.ledger()["charges"]] == [sent, sent]


# What stops a task from outside.


@contextmanager
def stopped(monkeypatch: pytest.MonkeyPatch, error: BaseException, what: str) -> Iterator[None]:
    """Have something stop the task in the middle of a step."""

    def stop(*_: Any, **__: Any) -> Any:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(f"airflow_provider_segmind.{what}", stop)
        yield


class KilledError(BaseException):
    """As of a signal, or of an ``execution_timeout``."""


def test_a_task_that_is_stopped_with_a_request_is_not_paid_again(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, said: Callable[[], str]
) -> None:
    task = Task(remembers=False)
    with (
        stopped(monkeypatch, KilledError("execution_timeout"), "operators.starting.wait_for"),
        pytest.raises(AirflowFailException, match="execution_timeout") as caught,
    ):
        task.attempt()
    assert f"Request {task.xcoms['request_id']} was submitted" in str(caught.value)
    assert isinstance(caught.value.__cause__, KilledError)
    assert "docs/runbook.md#" in str(caught.value)
    remembered = Task()
    with (
        stopped(monkeypatch, KilledError("execution_timeout"), "operators.starting.wait_for"),
        pytest.raises(KilledError),
    ):
        remembered.attempt()
    assert f"Request {remembered.xcoms['request_id']} may still be running" in (words := said())
    assert "pays nothing more" in words
    assert remembered.attempt()
    assert submits(emulator) == 2


def test_a_task_that_is_stopped_while_it_searches_is_not_paid_again(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.faults({"on": "submit", "drop": "after", "count": 1})
    task = Task(remembers=False)
    with (
        stopped(monkeypatch, KilledError("execution_timeout"), "operators.starting.drive"),
        pytest.raises(AirflowFailException, match="A request may have been submitted"),
    ):
        task.attempt()
    deferral_of_search = Task(remembers=False).deferral
    emulator.faults({"on": "submit", "drop": "after", "count": 1})
    deferral = deferral_of_search()
    with (
        stopped(monkeypatch, KilledError("execution_timeout"), "triggers.submit_events.read_search_event"),
        pytest.raises(AirflowFailException, match="A request may have been submitted"),
    ):
        Task(remembers=False).resume(deferral, {})


def test_a_task_that_is_stopped_before_it_submits_may_be_retried(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.faults({"on": "submit", "status": 429, "reset_in": 0.2, "count": 1})
    with (
        stopped(monkeypatch, KilledError("execution_timeout"), "operators.starting.time.sleep"),
        pytest.raises(KilledError),
    ):
        Task(remembers=False).attempt()


@pytest.mark.parametrize("end", [AirflowSkipException("skip"), AirflowFailException("fail")])
def test_a_task_that_is_ended_on_purpose_ends_as_meant(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, end: Exception
) -> None:
    task = Task(remembers=False)
    with stopped(monkeypatch, end, "operators.starting.wait_for"), pytest.raises(type(end)) as caught:
        task.attempt()
    assert caught.value is end


@pytest.mark.parametrize("remembers", [True, False])
def test_a_wait_that_airflow_ends_leads_to_no_other_charge(emulator: RunningEmulator, remembers: bool) -> None:
    task = Task(remembers=remembers, expected_duration=60)
    task.deferral()
    request_id = task.xcoms["request_id"]
    with pytest.raises(AirflowException, match=f"The wait for request {request_id} was interrupted") as caught:
        task.airflow_ends_the_wait()
    assert isinstance(caught.value, AirflowFailException) is not remembers
    assert "Trigger timeout" in str(caught.value)
    assert "docs/runbook.md#" in str(caught.value)
    assert ("pays nothing more" in str(caught.value)) is remembers
    assert task.operator._run.request_id == request_id, "the request of the lineage"


def test_a_wait_to_submit_that_airflow_ends_is_said_to_be_one(emulator: RunningEmulator) -> None:
    emulator.faults({"on": "submit", "status": 429, "reset_in": 60, "count": 1})
    task = Task(remembers=False)
    task.deferral()
    with pytest.raises(AirflowFailException, match="The wait to submit was interrupted"):
        task.airflow_ends_the_wait()
    task.xcoms["request_id"] = 7
    with pytest.raises(AirflowFailException, match="The wait to submit was interrupted"):
        task.airflow_ends_the_wait()


def test_another_instance_s_request_is_not_taken_for_that_of_a_wait_that_airflow_ended(
    emulator: RunningEmulator,
) -> None:
    task = Task(remembers=False, map_index=3)
    asked = []

    def pull(**wanted: Any) -> str:
        asked.append(wanted)
        return "r1"

    task.ti.xcom_pull = pull  # type: ignore[method-assign]
    with pytest.raises(AirflowFailException, match="request r1"):
        task.airflow_ends_the_wait()
    assert asked == [{"task_ids": "run", "key": "request_id", "map_indexes": 3}]


def test_any_other_error_of_a_resumption_stays_as_it_is(emulator: RunningEmulator) -> None:
    operator = Task().new_operator()
    with pytest.raises(AttributeError):
        operator.resume_execution("no_such_method", {"event": {}}, {"ti": Ti()})


def test_a_task_that_is_killed_says_what_becomes_of_its_request(
    emulator: RunningEmulator, said: Callable[[], str]
) -> None:
    task = Task()
    task.new_operator().on_kill()
    assert "The task was killed" not in said()
    task.deferral(expected_duration=60)
    task.operator.on_kill()
    assert f"The task was killed. Request {task.xcoms['request_id']} may still be running" in said()


# Arguments that turn out to be wrong.


def test_a_template_that_renders_a_wrong_value_after_the_payment_leads_back_to_the_request(
    emulator: RunningEmulator,
) -> None:
    task = Task(expected_duration=60)
    task.deferral()
    request_id = task.xcoms["request_id"]
    operator = task.new_operator()
    operator.expected_duration = "soon"
    with pytest.raises(AirflowFailException, match="expected_duration") as caught:
        operator.execute(task.context)
    assert request_id in str(caught.value)
    assert task.attempt(expected_duration=0.3)
    assert submits(emulator) == 1


def test_a_wait_does_not_fail_over_parameters_that_are_wrong_by_then(emulator: RunningEmulator) -> None:
    task = Task(expected_duration=60)
    task.deferral()
    operator = task.new_operator(expected_duration=0.3)
    operator.parameters = {"prompt": object()}
    with pytest.raises(SegmindError):
        operator.execute(task.context)
    assert submits(emulator) == 1


@pytest.mark.parametrize("name", ["none", "model"])
def test_an_output_cannot_be_named_after_what_is_not_there(name: str) -> None:
    with pytest.raises(InvalidParameterError, match=rf"name_output_after: there is no parameter '{name}'"):
        SegmindInferenceOperator(
            task_id="run",
            model=MODEL,
            parameters={"prompt": "a"},
            output_path="/tmp/clips/",  # noqa: S108
            name_output_after=name,
        )


@pytest.mark.parametrize("images", [[], ["https://x/a.png", "https://x/b.png"], 7, None])
def test_an_output_is_named_after_one_file(emulator: RunningEmulator, tmp_path: Path, images: Any) -> None:
    task = Task(
        parameters={"prompt": "zoom", "image": images},
        output_path=f"{tmp_path}/",
        name_output_after="image",
    )
    with pytest.raises(AirflowFailException, match="name_output_after"):
        task.attempt()
    assert submits(emulator) == 0


# A record that is next to the output, in a bucket.


class Bucket(dict[tuple[str, str | None], bytes]):
    """Small files by their URI and the connection that they were reached with."""

    def file(self, location: Any, **_: Any) -> SimpleNamespace:
        at = (location.uri, location.conn_id)
        return SimpleNamespace(
            read=lambda _: self.get(at),
            write=lambda content: self.update({at: content}),
            remove=lambda: self.pop(at),
        )


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Task:
    """A task that has paid for a request, and whose record is in a bucket."""
    monkeypatch.setattr("airflow_provider_segmind.media.small_files.small_file", Bucket().file)
    at: dict[str, Any] = {"output_path": "s3://clips/shop/mug.mp4", "output_conn_id": "storage"}
    task = Task(remembers=False, expected_duration=60, **at)
    store = RecordStore(task.context, durable=True, **at)
    store.write(
        RequestRecord(
            RecordState.SUBMITTED, MODEL, "f", sent_at=1e9, request_id="paid-for", max_tries=Ti.max_tries
        )
    )
    return task


def test_a_wait_that_airflow_ends_finds_the_record_in_the_bucket(recorded: Task) -> None:
    with pytest.raises(AirflowException, match="The wait for request paid-for was interrupted"):
        recorded.airflow_ends_the_wait()


def test_an_event_without_an_id_finds_the_record_in_the_bucket(recorded: Task) -> None:
    event = {"version": 1, "request_id": None, "error": {"type": "ServerError", "detail": "down"}}
    operator = recorded.new_operator()
    with pytest.raises(SegmindError, match="paid-for"):
        operator.execute_complete(recorded.context, event)


def test_a_wrong_argument_finds_the_record_in_the_bucket(recorded: Task) -> None:
    operator = recorded.new_operator()
    operator.expected_duration = "soon"
    with pytest.raises(AirflowFailException, match="paid-for"):
        operator.execute(recorded.context)


def test_a_task_that_keeps_no_record_reads_none_in_the_bucket(recorded: Task) -> None:
    recorded.arguments["durable"] = False
    with pytest.raises(AirflowFailException, match="The wait to submit was interrupted"):
        recorded.airflow_ends_the_wait()


# What an error costs.


def test_an_event_of_passing_trouble_fails_for_good_where_a_retry_would_pay_again(
    emulator: RunningEmulator,
) -> None:
    event = {"version": 1, "request_id": None, "error": {"type": "ServerError", "detail": "down"}}
    with pytest.raises(ServerError) as caught:
        Task(remembers=False).new_operator().execute_complete({"ti": Ti()}, event)
    assert isinstance(caught.value, AirflowFailException)
    task = Task()
    with pytest.raises(ServerError) as caught:
        task.new_operator().execute_complete(task.context, event)
    assert not isinstance(caught.value, AirflowFailException)


def test_an_output_that_cannot_be_used_is_pushed_and_replaced_only_by_a_clear(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    task = kling(output_path=f"{tmp_path}/clip.mp4")
    emulator.faults({"on": "result", "json": {"status": "COMPLETED", "output": {"video": "no address"}}})
    with pytest.raises(UnusableOutputError) as caught:
        task.attempt()
    request_id = charge_of(emulator)["request_id"]
    assert request_id in str(caught.value)
    assert task.xcoms["result"]["output"] == {"video": "no address"}
    assert task.xcoms["summary"]["request_id"] == request_id
    assert task.record["state"] == "delivered"


def test_a_dag_whose_parameters_are_a_template_may_name_its_output_after_one() -> None:
    operator = SegmindInferenceOperator(
        task_id="run",
        model=MODEL,
        parameters="{{ params.all }}",
        output_path="/tmp/clips/",  # noqa: S108
        name_output_after="image",
    )
    assert operator.name_output_after == "image"


def test_what_becomes_of_a_submit_is_counted(emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, str]] = []

    class Sink:
        @staticmethod
        def incr(name: str, tags: dict[str, str]) -> None:
            sent.append((name, tags["model"]))

    monkeypatch.setattr("airflow_provider_segmind.durability.submission.Stats", Sink)
    emulator.faults({"on": "submit", "drop": "after", "count": 1})
    kling().attempt()
    assert sent == [("segmind.unresolved", KLING), ("segmind.resolved", KLING)]
    sent.clear()
    again = kling()
    again.deferral(expected_duration=60)
    again.attempt()
    assert sent == [("segmind.submitted", KLING), ("segmind.reattached", KLING)]
    sent.clear()
    monkeypatch.setattr("airflow_provider_segmind.api.follow.REGISTRATION_GRACE", 0.0)
    emulator.advance(4000)
    again.attempt()
    assert sent == [("segmind.recovered", KLING)]
