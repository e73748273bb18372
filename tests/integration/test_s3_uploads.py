"""An output in S3: one upload, with its type, with the right to write alone, and nothing left where it fails."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.exceptions import (
    InvalidParameterError,
    OutputNotStoredError,
    SegmindError,
)
from airflow_provider_segmind.media import publishing
from airflow_provider_segmind.media.publishing import MIB, block_size
from airflow_provider_segmind.media.storing import OutputStore
from harness.s3_gate import WRITING, Gate, s3_gate
from harness.storage import S3
from tests.stored_clips import CONTENT, FAILURES_IN_THE_MIDDLE, LARGE, REQUEST, SMALL, store, store_at

NUMBERS = itertools.count()
UPLOADS = {
    "small": {"PutObject": 1},
    "large": {"CreateMultipartUpload": 1, "UploadPart": 3, "CompleteMultipartUpload": 1},
}


@pytest.fixture
def bucket_of(storage: S3) -> Iterator[S3]:
    """The bucket, empty but for what other tests have left, which has another prefix."""
    storage.bucket.objects.filter(Prefix="uploads/").delete()
    before = storage.unfinished_uploads()
    yield storage
    assert storage.unfinished_uploads() == before


@pytest.fixture
def open_gate(bucket_of: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[frozenset[str] | None], Gate]]:
    """Return what opens a gate to the bucket, with a connection to it."""
    gates = []

    def opening(allowed: frozenset[str] | None = None) -> Gate:
        gates.append(s3_gate(bucket_of, allowed))
        gate = gates[-1].__enter__()
        # Airflow keeps the file system of a connection for as long as the process lives.
        gate.conn_id = f"gate_{next(NUMBERS)}"
        monkeypatch.setenv(f"AIRFLOW_CONN_{gate.conn_id.upper()}", json.dumps(gate.connection))
        return gate

    yield opening
    for each in gates:
        each.__exit__(None, None, None)


def store_of(
    gate: Gate, content: bytes, *, path: str = "uploads/clip.mp4", failure: BaseException | None = None
) -> OutputStore:
    """Return a store behind a gate."""
    return store_at(f"s3://products/{path}", gate.conn_id, content, failure)


@pytest.mark.parametrize("size", CONTENT)
@pytest.mark.parametrize("path", ["uploads/clip.mp4", "uploads/"])
def test_one_upload_with_the_right_to_write_alone(
    open_gate: Callable[..., Gate], bucket_of: S3, size: str, path: str
) -> None:
    gate = open_gate(WRITING)
    outputs = store_of(gate, CONTENT[size], path=path)
    outputs.check()
    assert {name for name in gate.calls if name in WRITING} == {
        *("CreateMultipartUpload", "UploadPart", "AbortMultipartUpload")
    }
    assert bucket_of.contents("uploads/") == {}
    gate.calls.clear()
    gate.sent = 0
    output = store(outputs)
    assert dict(gate.calls) == UPLOADS[size]
    assert gate.sent <= 1.01 * len(CONTENT[size]) + 2000
    key = output.path.removeprefix("s3://products/")
    assert bucket_of.bucket.Object(key).content_type == "video/mp4"
    assert bucket_of.contents("uploads/") == {key.removeprefix("uploads/"): CONTENT[size]}


def test_what_is_stored_already_is_stored_again_where_nobody_may_look(
    open_gate: Callable[..., Gate], bucket_of: S3
) -> None:
    """An attempt that died has stored it. Storing it once more costs nothing, and failing would cost the video."""
    gate = open_gate(WRITING)
    first = store(store_of(gate, SMALL))
    assert store(store_of(gate, SMALL), first) == first
    assert bucket_of.contents("uploads/") == {"clip.mp4": SMALL}


@pytest.mark.parametrize("choice", ["skip", "error"])
def test_a_task_that_must_look_and_may_not_fails_before_it_pays(
    open_gate: Callable[..., Gate], emulator: RunningEmulator, run_dag: Any, said: Callable[[], str], choice: str
) -> None:
    gate = open_gate(WRITING)
    path = {"output_path": "s3://products/uploads/clip.mp4", "output_conn_id": gate.conn_id}
    clip = run_dag("kling", **path, if_output_exists=choice)["clip"]
    assert (clip.state, clip.try_number, emulator.ledger()["submits"]) == ("failed", 1, 0)
    assert "if_output_exists must look at s3://products/uploads/clip.mp4, but may not" in said()


def test_a_storage_that_may_not_be_written_to_is_known_before_the_submit(
    open_gate: Callable[..., Gate], bucket_of: S3
) -> None:
    gate = open_gate(frozenset({"GetObject", "HeadObject", "ListObjectsV2"}))
    with pytest.raises(InvalidParameterError, match="may not be written to"):
        store_of(gate, SMALL).check()
    assert bucket_of.contents("uploads/") == {}


def test_the_check_leaves_no_object_also_if_it_may_not_abort(
    open_gate: Callable[..., Gate], storage: S3, caplog: pytest.LogCaptureFixture
) -> None:
    gate = open_gate(WRITING - {"AbortMultipartUpload"})
    store_of(gate, SMALL).check()
    assert storage.contents("uploads/") == {}
    assert "AbortIncompleteMultipartUpload" in caplog.text
    client = storage.bucket.meta.client
    for each in client.list_multipart_uploads(Bucket="products")["Uploads"]:
        client.abort_multipart_upload(Bucket="products", Key=each["Key"], UploadId=each["UploadId"])


@pytest.mark.parametrize("size", CONTENT)
@FAILURES_IN_THE_MIDDLE
def test_nothing_is_left_of_a_failure_in_the_middle(
    open_gate: Callable[..., Gate],
    bucket_of: S3,
    size: str,
    failure: BaseException,
    raised: type[BaseException],
) -> None:
    """The fixture sees to it that no unfinished upload is left, either."""
    gate = open_gate()
    bucket_of.bucket.put_object(Key="uploads/clip.mp4", Body=b"an older clip")
    with pytest.raises(raised):
        store(store_of(gate, CONTENT[size], failure=failure))
    assert bucket_of.contents("uploads/") == {"clip.mp4": b"an older clip"}
    assert gate.calls["AbortMultipartUpload"] == gate.calls["CreateMultipartUpload"] == (size == "large")


@pytest.mark.parametrize("call", ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"])
def test_nothing_is_left_of_an_upload_that_the_storage_breaks(
    open_gate: Callable[..., Gate], bucket_of: S3, call: str
) -> None:
    gate = open_gate()
    gate.broken.add(call)
    with pytest.raises(OutputNotStoredError) as caught:
        store(store_of(gate, LARGE))
    assert caught.value.request_id == REQUEST
    assert bucket_of.contents("uploads/") == {}


def test_a_file_that_nobody_closes_is_not_published(open_gate: Callable[..., Gate], bucket_of: S3) -> None:
    """Python closes it when it collects it, and fsspec sends on what it has then."""
    gate = open_gate()
    outputs = store_of(gate, SMALL + bytes(MIB))
    folder = outputs._folder
    new = folder.new_file(_terms("clip.mp4"))
    file = new.__enter__()
    file.write(SMALL)
    with suppress(SegmindError):
        new.__exit__(None, None, None)
    del file, new
    assert bucket_of.contents("uploads/") == {}


def _terms(name: str) -> Any:
    from airflow_provider_segmind.media.output_folders import NewFileTerms

    return NewFileTerms(name, ".a.part", "video/mp4", MIB)


def test_another_file_system_gets_a_temporary_object(
    open_gate: Callable[..., Gate], bucket_of: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not known to publish whole objects may show half of one."""
    gate = open_gate()
    monkeypatch.setattr(publishing, "_LIBRARIES", {})
    outputs = store_of(gate, LARGE)
    outputs.check()
    store(outputs)
    assert gate.calls["CopyObject"] == 1
    assert bucket_of.contents("uploads/") == {"clip.mp4": LARGE}


@pytest.mark.parametrize(
    ("most_bytes", "size"),
    [(1, 8), (2 * 1024 * MIB, 8), (80_000 * MIB, 8), (80_001 * MIB, 9), (5 * 1024 * 1024 * MIB, 525)],
)
def test_ten_thousand_parts_hold_all(most_bytes: int, size: int) -> None:
    assert block_size(most_bytes) == size * MIB
    assert 10_000 * block_size(most_bytes) >= most_bytes
