"""The record of a task's request as a file: what people can read in it, and what happens if it cannot be used."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from airflow_provider_segmind.api.answers import RequestReport
from airflow_provider_segmind.api.locations import output_location
from airflow_provider_segmind.compat import mask_secret
from airflow_provider_segmind.delivery import Memory
from airflow_provider_segmind.durability.record import RecordState, RequestRecord
from airflow_provider_segmind.durability.record_file import LONGEST_VALUE, MOST_BYTES, RecordFile
from airflow_provider_segmind.durability.store import KEY, RecordStore
from airflow_provider_segmind.exceptions import InvalidParameterError, SegmindError
from airflow_provider_segmind.lineage.delivered import Delivered
from airflow_provider_segmind.media.storing import StoredOutput
from tests.task_instance import Ti

SIGNED = "https://bucket.s3.amazonaws.com/a.png?X-Amz-Signature=5ecret&X-Amz-Date=20261125"
INTENT = RequestRecord(RecordState.SUBMITTING, "some-model", "f", sent_at=1795435200.25, max_tries=3)
SUBMITTED = replace(INTENT, state=RecordState.SUBMITTED, request_id="req-1")
RESULT = RequestReport("req-1", "COMPLETED", {"output": "https://x/y.mp4", "metrics": {"cost": 0.91}})
OUTPUT = StoredOutput("s3://clips/mug.mp4", 12345, "ca" * 32, "video/mp4")


class Mapped(Ti):
    """Another instance of the same task."""

    map_index = 0


class TaskState(dict[str, Any]):
    """Airflow's task state store."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the records, which an administrator has chosen."""
    chosen = tmp_path / "records"
    monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_PATH", str(chosen))
    return chosen


def store(ti: Any = None, *, task_state: TaskState | None = None, **arguments: Any) -> RecordStore:
    context: Any = {"ti": ti or Ti(), "task_state_store": task_state}
    return RecordStore(context, **{"durable": True, **arguments})


def the_file(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def test_the_next_attempt_reads_what_this_one_wrote(folder: Path) -> None:
    assert store().memory is Memory.CLEARS
    store().write(INTENT)
    assert store().read() == INTENT
    store().write(SUBMITTED)
    assert store().read() == SUBMITTED
    assert store().read_submitted_at("req-1") == SUBMITTED.sent_at
    assert [file.name for file in folder.iterdir()] == [the_file(folder).name], "no temporary file is left"


def test_each_task_instance_has_its_own_file(folder: Path) -> None:
    store().write(INTENT)
    store(Mapped()).write(SUBMITTED)
    assert len(list(folder.iterdir())) == 2
    assert (store().read(), store(Mapped()).read()) == (INTENT, SUBMITTED)


def test_each_iteration_of_a_task_loop_has_its_own_file(folder: Path) -> None:
    """Airflow 3.4 has task loops; an instance that is not in one has a region of zeros."""

    class Iteration(Ti):
        region_id, region_index = UUID(int=0), 0

    store(Iteration()).write(INTENT)
    assert store().read() == INTENT
    for index in range(3):
        iteration = Iteration()
        iteration.region_id, iteration.region_index = UUID(int=7), index
        assert store(iteration).read() is None
        store(iteration).write(SUBMITTED)
    assert len(list(folder.iterdir())) == 4


def test_the_name_gives_nothing_away_and_leads_nowhere(folder: Path) -> None:
    class Hostile(Ti):
        run_id = "../../etc/passwd\0"

    store(Hostile()).write(INTENT)
    assert the_file(folder).stem.isalnum()
    assert len(the_file(folder).stem) == 64


def test_people_can_read_what_was_paid_for_and_where_it_is(folder: Path) -> None:
    task = store()
    task.describe_parameters({"prompt": "zoom in", "duration": 5})
    task.write(INTENT)
    task.write(SUBMITTED)
    store().mark_delivered("req-1", 3, Delivered("some-model", RESULT, "https://x/y.mp4", [OUTPUT]))
    document = json.loads(the_file(folder).read_text())
    del document["stored"], document["updated_at"], document["delivered_at"]
    assert document == {
        "version": 1,
        "dag_id": "nightly",
        "task_id": "run",
        "run_id": "manual",
        "map_index": -1,
        "model": "some-model",
        "parameters": {"prompt": "zoom in", "duration": 5},
        "request_id": "req-1",
        "state": "delivered",
        "submitted_at": "2026-11-23T12:00:00.250Z",
        "cost": 0.91,
        "outputs": [OUTPUT.as_json()],
    }


def test_a_new_request_does_not_show_what_the_one_before_it_cost(folder: Path) -> None:
    task = store()
    task.write(SUBMITTED)
    task.mark_delivered("req-1", 3, Delivered("some-model", RESULT, "https://x/y.mp4", [OUTPUT]))
    store().write(INTENT)
    document = json.loads(the_file(folder).read_text())
    assert (document["cost"], document["delivered_at"], document["outputs"]) == (None, None, [])
    assert document["request_id"] is None


def test_no_secret_is_in_it(folder: Path) -> None:
    mask_secret("hunter2hunter2")
    task = store()
    task.describe_parameters(
        {
            "image": SIGNED,
            "images": [{"url": SIGNED}],
            "prompt": "say hunter2hunter2",
            "webhook": "https://user:pa55word@host.example/hook",
            "picture": "data:image/png;base64," + "A" * 100_000,
        }
    )
    task.write(INTENT)
    text = the_file(folder).read_text()
    assert "https://bucket.s3.amazonaws.com/a.png" in text
    for secret in ("5ecret", "hunter2", "pa55word"):
        assert secret not in text
    assert len(text) < 3 * LONGEST_VALUE


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"[]",
        b'{"stored": []}',
        b"[" * 100_000,
        b'{"dag_id": "another", "task_id": "run", "run_id": "manual", "map_index": -1, "stored": {}}',
        b'{"dag_id": "nightly", "task_id": "run", "run_id": "manual", "map_index": -1, '
        b'"stored": {"segmind_request": {"state": "flying"}}}',
        b" " * (MOST_BYTES + 2),
    ],
)
def test_a_file_that_is_no_record_is_an_error_that_names_it(folder: Path, content: bytes) -> None:
    store().write(INTENT)
    the_file(folder).write_bytes(content)
    with pytest.raises(SegmindError, match="delete") as caught:
        store().read()
    assert str(the_file(folder)) in str(caught.value)
    assert not caught.value.can_retry


def test_a_folder_that_cannot_be_used_is_an_error_that_names_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_PATH", str(tmp_path / "file" / "records"))
    with pytest.raises(InvalidParameterError, match=r"\[segmind\] records_path"):
        store().write(INTENT)


@pytest.mark.parametrize("path", ["records", "s3://", "s3://user:pw@bucket/x", "https://host/x", "/a/../b"])
def test_a_path_that_cannot_be_one_is_an_error_that_names_the_option(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_PATH", path)
    assert not store().remembers
    with pytest.raises(InvalidParameterError, match=r"\[segmind\] records_path"):
        store().read()
    assert store().read_undelivered_id() is None


def test_once_a_request_is_paid_for_the_task_continues_without_its_record(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store().write(INTENT)
    the_file(folder).unlink()
    folder.rmdir()
    folder.write_text("a file has taken the place of the folder")
    task = store()
    task.write(SUBMITTED)
    task.mark_delivered("req-1", 3)
    assert task.read_submitted_at("req-1") is None
    assert task.read_outputs("req-1") == []
    task.keep_output("req-1", 1, OUTPUT.as_json())
    task.forget()
    assert "Request req-1: Continuing" in caplog.text
    with pytest.raises(InvalidParameterError):
        task.write(INTENT)


def test_a_path_that_becomes_wrong_while_a_task_waits_does_not_cost_the_output(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store().write(SUBMITTED)
    monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_PATH", "no/such/folder")
    task = store()
    assert task.read_outputs("req-1") == []
    task.keep_output("req-1", 1, OUTPUT.as_json())
    task.mark_delivered("req-1", 3)
    task.forget()
    with pytest.raises(InvalidParameterError):
        task.write(INTENT)


def test_what_is_forgotten_is_deleted(folder: Path) -> None:
    store().write(INTENT)
    store().forget()
    assert list(folder.iterdir()) == []
    assert store().read() is None


OUT = "/clips/mug.mp4"
FILE, STATE = "file", "task state"


@pytest.mark.parametrize(
    ("has_state", "clear_forgets", "output_path", "memory", "kept_in"),
    [
        (False, False, None, Memory.NONE, None),  # Airflow 2.11 to 3.2
        (False, False, OUT, Memory.OUTPUT, FILE),
        (True, False, None, Memory.CLEARS, STATE),  # Airflow 3.3
        (True, False, OUT, Memory.CLEARS, STATE),
        (True, True, None, Memory.RETRIES, STATE),  # Airflow 3.4
        (True, True, OUT, Memory.OUTPUT, FILE),
    ],
)
@pytest.mark.parametrize("records_path", [False, True])
def test_where_the_record_is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    has_state: bool,
    clear_forgets: bool,
    output_path: str | None,
    memory: Memory,
    kept_in: str | None,
    records_path: bool,
) -> None:
    """Each Airflow has its own tests with the real thing, too; this table is what they sample."""
    monkeypatch.setattr("airflow_provider_segmind.durability.backends.does_clear_forget", lambda: clear_forgets)
    if records_path:
        monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_PATH", str(tmp_path / "records"))
        memory, kept_in = Memory.CLEARS, FILE
    task_state = TaskState() if has_state else None
    path = None if output_path is None else f"{tmp_path}{output_path}"
    task = store(task_state=task_state, output_path=path)
    assert task.memory is memory
    task.write(SUBMITTED)
    folder = tmp_path / "records" if records_path else tmp_path / "clips" / ".segmind"
    assert (KEY in (task_state or {})) == (kept_in == STATE)
    assert folder.exists() == (kept_in == FILE)
    assert not store(task_state=task_state, output_path=path, durable=False).remembers


def test_a_task_that_began_before_the_records_had_a_path_is_not_forgotten(folder: Path) -> None:
    task_state = TaskState({KEY: SUBMITTED.as_json()})
    task = store(task_state=task_state)
    assert task.read() == SUBMITTED
    task.mark_delivered("req-1", 3)
    assert store().read() == replace(SUBMITTED, state=RecordState.DELIVERED)
    task.forget()
    assert store(task_state=task_state).read() is None


def test_an_attempt_that_was_taken_for_dead_does_not_put_back_what_it_read(folder: Path) -> None:
    """It writes down its upload while the attempt after it submits."""
    dead = store()
    assert dead.read() is None
    store().write(INTENT)
    dead.keep_uploads({"ca" * 32: "https://x/1.png"})
    assert store().read() == INTENT


class Reluctant(RecordFile):
    """A record whose storage can be written to, and read only once."""

    content: bytes | None = None
    reads = 0

    @property
    def _file(self) -> Reluctant:  # type: ignore[override]
        return self

    def read(self, key: Any) -> Any:
        if isinstance(key, str):
            return super().read(key)
        self.reads += 1
        if self.reads > 1:
            raise ConnectionError("the storage is busy")
        return self.content

    def write(self, *args: Any) -> None:
        if len(args) == 2:
            super().write(*args)
        else:
            (self.content,) = args


def test_a_record_that_cannot_be_read_just_now_is_written_all_the_same() -> None:
    file = Reluctant(Ti(), output_location("/records/", None), "records_path")
    assert file.read("one") is None
    file.write("one", 1)
    file.write("two", 2)
    assert json.loads(file.content or b"")["stored"] == {"one": 1, "two": 2}
