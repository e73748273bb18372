"""What a task writes down for its next attempt, and what the next attempt makes of it."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_segmind.api.answers import RequestReport
from airflow_provider_segmind.delivery import Memory
from airflow_provider_segmind.durability import store as store_module
from airflow_provider_segmind.durability.record import RecordState, RequestRecord
from airflow_provider_segmind.durability.record_file import LONGEST_VALUE, facts_of_parameters, file_stem
from airflow_provider_segmind.durability.store import KEY, OUTPUTS_KEY, UPLOADS_KEY, UPLOADS_LAST, RecordStore
from airflow_provider_segmind.exceptions import InvalidParameterError, SegmindError
from airflow_provider_segmind.lineage.delivered import Delivered
from airflow_provider_segmind.media.storing import StoredOutput
from tests.task_instance import Ti

INTENT = RequestRecord(RecordState.SUBMITTING, "some-model", "f", sent_at=1795435200.25, max_tries=3)
SUBMITTED = replace(INTENT, state=RecordState.SUBMITTED, request_id="req-1")
DELIVERED = replace(SUBMITTED, state=RecordState.DELIVERED)
DIGEST, OTHER_DIGEST = "ca" * 32, "fe" * 32
LATER = 4e9
URL = "https://storage.example.com/1.png"
OUTPUT = StoredOutput("s3://clips/mug.mp4", 12345, DIGEST, "video/mp4")


class TaskState(dict[str, Any]):
    """Airflow's task state store."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)


class BrokenState(TaskState):
    """One that nothing can be written to, or read from."""

    def _fail(self, *_: Any) -> Any:
        raise ConnectionError("the API server does not answer")

    get = set = delete = _fail


def store(state: TaskState | None = None, ti: Any = None, **arguments: Any) -> RecordStore:
    context: Any = {"ti": ti or Ti(), "task_state_store": state}
    return RecordStore(context, **{"durable": True, **arguments})


@pytest.fixture
def clears_delete(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow 3.4."""
    monkeypatch.setattr("airflow_provider_segmind.durability.backends.does_clear_forget", lambda: True)


@pytest.fixture
def keeps_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow 3.3."""
    monkeypatch.setattr("airflow_provider_segmind.durability.backends.does_clear_forget", lambda: False)


# What the log says another attempt would cost.


def missing(caplog: pytest.LogCaptureFixture, task: RecordStore) -> str:
    caplog.clear()
    with caplog.at_level(logging.INFO):
        task.log_what_is_missing()
    return caplog.text


@pytest.mark.usefixtures("keeps_state")
def test_a_task_that_remembers_everything_says_nothing_about_it(caplog: pytest.LogCaptureFixture) -> None:
    assert not missing(caplog, store(TaskState()))


def test_a_task_that_remembers_nothing_says_so_unless_the_user_wants_that(
    caplog: pytest.LogCaptureFixture,
) -> None:
    said = missing(caplog, store())
    assert "another attempt would submit again" in said
    assert "[segmind] records_path" in said
    assert not missing(caplog, store(durable=False))


@pytest.mark.usefixtures("clears_delete")
def test_a_task_whose_clears_forget_says_so(caplog: pytest.LogCaptureFixture) -> None:
    said = missing(caplog, store(TaskState()))
    assert "A cleared task would submit again" in said
    assert "[segmind] records_path" in said


# The record.


@pytest.mark.usefixtures("keeps_state")
def test_only_what_is_paid_for_and_not_delivered_is_undelivered() -> None:
    state = TaskState()
    task = store(state)
    assert task.read_undelivered_id() is None
    for record, expected in ((INTENT, None), (SUBMITTED, "req-1"), (DELIVERED, None)):
        task.write(record)
        assert task.read_undelivered_id() == expected


@pytest.mark.usefixtures("keeps_state")
def test_when_a_request_was_submitted_is_known_of_that_request_alone() -> None:
    state = TaskState()
    assert store(state).read_submitted_at("req-1") is None
    store(state).write(SUBMITTED)
    assert store(state).read_submitted_at("req-1") == SUBMITTED.sent_at
    assert store(state).read_submitted_at("req-2") is None


@pytest.mark.usefixtures("keeps_state")
def test_a_record_that_cannot_be_read_stops_a_submit_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    task = store(BrokenState())
    with pytest.raises(ConnectionError):
        task.read()
    with pytest.raises(ConnectionError):
        task.write(INTENT)
    assert task.read_undelivered_id() is None
    assert task.read_submitted_at("req-1") is None
    assert task.read_outputs("req-1") == []
    task.write(SUBMITTED)
    task.mark_delivered("req-1", 3)
    task.keep_output("req-1", 1, OUTPUT.as_json())
    task.forget()
    task.forget_uploads()
    assert "Request req-1: Continuing" in caplog.text
    assert "Request req-1: cannot read the task's record of it" in caplog.text


@pytest.mark.usefixtures("keeps_state")
def test_the_error_of_an_unreadable_record_says_what_to_delete_and_which_request_it_is_of() -> None:
    state = TaskState({KEY: {**SUBMITTED.as_json(), "state": "flying"}})
    with pytest.raises(SegmindError, match=r"delete 'segmind_request' from the task's task state store") as caught:
        store(state).read()
    assert caught.value.request_id == "req-1"


@pytest.mark.usefixtures("keeps_state")
def test_a_delivery_is_written_down_once_and_for_its_own_request() -> None:
    state = TaskState()
    task = store(state)
    task.mark_delivered("req-1", 3)
    assert not state, "there is nothing to mark"
    task.write(SUBMITTED)
    task.mark_delivered("req-2", 3)
    assert task.read() == SUBMITTED
    task.mark_delivered("req-1", 7)
    assert task.read() == replace(DELIVERED, max_tries=7)
    task.write(replace(SUBMITTED, max_tries=None))
    task.mark_delivered("req-1", 3)
    assert task.read() == DELIVERED


@pytest.mark.usefixtures("keeps_state")
@pytest.mark.parametrize(("max_tries", "marked"), [(2, False), (3, True), (4, True)])
def test_an_attempt_from_before_a_clear_leaves_the_record_alone(max_tries: int, marked: bool) -> None:
    task = store(TaskState())
    task.write(SUBMITTED)
    task.mark_delivered("req-1", max_tries)
    assert (task.read() == SUBMITTED) is not marked


def test_what_is_forgotten_is_forgotten_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record from before the deployment had a folder for them would else be the next attempt's."""
    monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_PATH", str(tmp_path / "records"))
    state = TaskState({KEY: SUBMITTED.as_json()})
    task = store(state)
    assert task.read() == SUBMITTED
    task.forget()
    assert (task.read(), state) == (None, {})


def test_without_a_store_nothing_is_written_and_nothing_fails() -> None:
    ti = Ti()
    task = store(None, ti)
    assert not task.remembers
    for record in (INTENT, SUBMITTED):
        task.write(record)
    task.mark_delivered("req-1", 3, None)
    task.describe_parameters({"prompt": "zoom"})
    task.forget()
    task.write_counted("req-1")
    assert (task.read(), task.read_counted(), task.read_outputs("req-1"), ti.xcoms) == (None, None, [], {})


@pytest.mark.usefixtures("keeps_state")
def test_a_cost_is_counted_for_one_request_once() -> None:
    state = TaskState()
    assert store(state).read_counted() is None
    store(state).write_counted("req-1")
    assert store(state).read_counted() == "req-1"


def test_a_file_shows_what_a_request_was_and_what_came_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_PATH", str(tmp_path))

    def shown() -> dict[str, Any]:
        (file,) = tmp_path.glob("*.json")
        return dict(json.loads(file.read_text()))

    task = store()
    task.describe_parameters({"prompt": "zoom"})
    task.write(INTENT)
    first = shown()
    assert (first["state"], first["request_id"], first["model"]) == ("submitting", None, "some-model")
    assert first["submitted_at"] == "2026-11-23T12:00:00.250Z"
    assert (first["parameters"], first["outputs"], first["cost"], first["delivered_at"]) == (
        {"prompt": "zoom"},
        [],
        None,
        None,
    )
    task.write(SUBMITTED)
    assert (shown()["state"], shown()["request_id"]) == ("submitted", "req-1")
    result = RequestReport("req-1", "COMPLETED", {"metrics": {"cost": 0.91}})
    before = time.strftime("%Y-%m-%dT%H", time.gmtime())
    task.mark_delivered("req-1", 3, Delivered("some-model", result, None, [OUTPUT]))
    last = shown()
    assert (last["state"], last["cost"], last["outputs"]) == ("delivered", 0.91, [OUTPUT.as_json()])
    assert last["delivered_at"][:13] in (before, time.strftime("%Y-%m-%dT%H", time.gmtime()))


# Uploads.


@pytest.mark.parametrize("has_state", [True, False], ids=["3.3", "before 3.3"])
def test_an_upload_is_used_again_for_six_days(monkeypatch: pytest.MonkeyPatch, has_state: bool) -> None:
    state, ti = TaskState() if has_state else None, Ti()
    now = 1_000_000.0
    monkeypatch.setattr(store_module.time, "time", lambda: now)
    store(state, ti).keep_uploads({DIGEST: URL})
    now += UPLOADS_LAST - 1
    store(state, ti).keep_uploads({OTHER_DIGEST: f"{URL}?2"})
    assert store(state, ti).read_uploads() == {DIGEST: URL, OTHER_DIGEST: f"{URL}?2"}
    now += 1
    assert store(state, ti).read_uploads() == {OTHER_DIGEST: f"{URL}?2"}
    assert has_state == (not ti.xcoms)
    kept = dict(state or ti.xcoms)[UPLOADS_KEY]
    assert kept["version"] == 1


def test_uploads_of_another_instance_are_not_asked_for() -> None:
    ti = Ti()
    ti.map_index = 4
    asked = []

    def pull(**wanted: Any) -> None:
        asked.append(wanted)

    ti.xcom_pull = pull  # type: ignore[method-assign]
    assert store(None, ti).read_uploads() == {}
    assert asked == [{"task_ids": "run", "key": UPLOADS_KEY, "map_indexes": 4}]


@pytest.mark.usefixtures("keeps_state")
@pytest.mark.parametrize(
    "entry",
    [None, "no", {"url": URL}, {"at": LATER}, {"url": "ftp://x/a", "at": LATER}, {"url": URL, "at": "now"}],
)
def test_an_upload_that_cannot_be_read_is_uploaded_again(entry: Any) -> None:
    kept = {"version": 1, DIGEST: entry, OTHER_DIGEST: {"url": URL, "at": LATER}, 7: {"url": URL, "at": LATER}}
    assert store(TaskState({UPLOADS_KEY: kept})).read_uploads() == {OTHER_DIGEST: URL}
    assert store(TaskState({UPLOADS_KEY: [kept]})).read_uploads() == {}


@pytest.mark.usefixtures("keeps_state")
def test_after_a_failure_uploads_are_forgotten() -> None:
    state = TaskState()
    store(state).keep_uploads({DIGEST: URL})
    store(state).forget_uploads()
    assert store(state).read_uploads() == {}
    assert not state


# Outputs.


@pytest.mark.usefixtures("keeps_state")
def test_an_output_that_cannot_be_read_hides_no_other(caplog: pytest.LogCaptureFixture) -> None:
    state = TaskState()
    for number in (1, 2, 3):
        store(state).keep_output("req-1", number, {**OUTPUT.as_json(), "path": f"/clips/{number}.mp4"})
    assert sorted(state) == [f"{OUTPUTS_KEY}_{number}" for number in (1, 2, 3)]
    state[f"{OUTPUTS_KEY}_2"] = {**state[f"{OUTPUTS_KEY}_2"], "output": {"path": 7}}
    assert [each["path"] for each in store(state).read_outputs("req-1")] == ["/clips/1.mp4", "/clips/3.mp4"]
    assert "output 2 of request req-1 is not used" in caplog.text
    state[f"{OUTPUTS_KEY}_3"] = {**state[f"{OUTPUTS_KEY}_3"], "version": 0}
    assert [each["path"] for each in store(state).read_outputs("req-1")] == ["/clips/1.mp4"]
    del state[f"{OUTPUTS_KEY}_1"]
    assert store(state).read_outputs("req-1") == []


# Where it is.


def test_the_folder_of_the_records_has_a_connection_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_PATH", " s3://records/segmind ")
    monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_CONN_ID", " of the records ")
    backend: Any = store(output_path=f"{tmp_path}/clip.mp4", output_conn_id="of the clips")._backends.current
    assert backend.where.startswith("s3://records/segmind/")
    assert backend._location.conn_id == "of the records"
    monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_CONN_ID", " ")
    backend = store()._backends.current
    assert backend._location.conn_id is None


def test_a_wrong_connection_of_the_records_is_named_as_the_option_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_PATH", "s3://admin@records/segmind")
    monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_CONN_ID", "storage")
    with pytest.raises(InvalidParameterError, match=r"^Invalid parameter: \[segmind\] records_path") as caught:
        store().read()
    assert "[segmind] records_conn_id" in str(caught.value)
    assert "output_conn_id" not in str(caught.value)


@pytest.mark.parametrize("nowhere", [None, "", "None"])
def test_a_path_that_renders_to_nothing_is_none(nowhere: str | None) -> None:
    assert store(output_path=nowhere).memory is Memory.NONE


def test_next_to_the_output_the_storage_of_the_output_keeps_the_record() -> None:
    backend: Any = store(output_path="s3://clips/shop/mug.mp4", output_conn_id="storage")._backends.current
    assert backend.where.startswith("s3://clips/shop/.segmind/")
    assert backend._location.conn_id == "storage"
    assert store(output_path="s3://clips/mug.mp4", output_conn_id="storage", durable=False).memory is Memory.NONE


@pytest.mark.usefixtures("clears_delete")
def test_what_was_kept_in_the_state_is_still_read_next_to_an_output(tmp_path: Path) -> None:
    state = TaskState({KEY: SUBMITTED.as_json()})
    task = store(state, output_path=f"{tmp_path}/clip.mp4")
    assert task.read() == SUBMITTED
    task.write(DELIVERED)
    assert state == {KEY: SUBMITTED.as_json()}
    assert store(state, output_path=f"{tmp_path}/clip.mp4").read() == DELIVERED


def test_a_record_next_to_the_output_that_cannot_be_used_names_its_path(tmp_path: Path) -> None:
    (tmp_path / ".segmind").write_text("in the way")
    task = store(output_path=f"{tmp_path}/clip.mp4")
    with pytest.raises(InvalidParameterError, match=r"^Invalid parameter: output_path") as caught:
        task.write(INTENT)
    assert "cannot be read" in str(caught.value)


@pytest.mark.usefixtures("keeps_state")
def test_the_log_names_the_request_whose_output_is_not_remembered(caplog: pytest.LogCaptureFixture) -> None:
    store(BrokenState()).keep_output("req-1", 1, OUTPUT.as_json())
    assert "Request req-1: Continuing, although segmind_outputs_1 could not be written" in caplog.text


def test_a_path_that_has_become_wrong_stops_no_request_that_is_paid_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_PATH", "no/such/folder")
    store().write(SUBMITTED)
    store().mark_delivered("req-1", 3)


def test_the_name_of_a_file_stays() -> None:
    """Another version of the provider has to find it, or a task pays twice."""
    identity = {"dag_id": "shop", "task_id": "clip", "run_id": "manual__2026-11-26", "map_index": 7}
    assert file_stem(identity) == "c9c35b738a2a99ba63d51f16638f75c411cbcbbfc42a01b708d6b4efa4ecae30"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x" * LONGEST_VALUE, "x" * LONGEST_VALUE),
        ("x" * (LONGEST_VALUE + 1), "x" * LONGEST_VALUE + "…"),
        (["x" * LONGEST_VALUE], f'["{"x" * (LONGEST_VALUE - 2)}…'),
        (Decimal("0.5"), "0.5"),
        (0.5, 0.5),
        (None, None),
    ],
)
def test_long_and_odd_parameters_are_shown_as_far_as_they_go(value: Any, shown: Any) -> None:
    assert facts_of_parameters({"it": value}) == {"it": shown}
