"""An output in Azure: published whole, with its type, with the right to write alone; a failure changes nothing."""

from __future__ import annotations

import gc
import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_segmind.exceptions import (
    InvalidParameterError,
    OutputNotStoredError,
    SegmindError,
)
from airflow_provider_segmind.media.azure_blob import MOST_BLOCKS
from airflow_provider_segmind.media.output_folders import NewFileTerms
from airflow_provider_segmind.media.publishing import MIB, block_size
from airflow_provider_segmind.media.storing import OutputStore
from tests.storages.killing import kill_once_sent
from tests.storages.servers import ACCOUNT
from tests.stored_clips import CONTENT, FAILURES_IN_THE_MIDDLE, LARGE, REQUEST, SMALL, store, store_at

if TYPE_CHECKING:
    from airflow_provider_segmind.emulator.running import RunningEmulator
    from tests.storages.servers import Azure

Connect = Callable[..., str]

UPLOADS = {"small": {"Put Block": 1, "Put Block List": 1}, "large": {"Put Block": 3, "Put Block List": 1}}
READING = {"Get Blob", "Get Blob Properties", "List Blobs", "Get Block List", "Get Container Properties"}
WRITING = "w"
"""Of a signature: it may write, and not read, list or delete."""

OLD = b"an older clip"


def store_of(
    conn_id: str,
    content: bytes,
    *,
    path: str = "uploads/clip.mp4",
    bucket: str = "products",
    failure: BaseException | None = None,
) -> OutputStore:
    """Return a store in the container."""
    return store_at(f"abfs://{bucket}/{path}", conn_id, content, failure)


def new_file(conn_id: str) -> Any:
    """Return a file that is not published yet, as a context manager."""
    terms = NewFileTerms("clip.mp4", ".a.part", "video/mp4", 2 * 1024 * MIB)
    return store_of(conn_id, b"")._folder.new_file(terms)


@pytest.mark.parametrize("size", CONTENT)
@pytest.mark.parametrize("path", ["uploads/clip.mp4", "uploads/", "uploads/ä b+c.mp4"])
def test_one_upload_with_the_right_to_write_alone(azure: Azure, connect: Connect, size: str, path: str) -> None:
    outputs = store_of(connect(WRITING), CONTENT[size], path=path)
    outputs.check()
    assert {name for name in azure.gate.calls if name not in READING} == {"Put Block"}
    assert azure.contents() == {}
    azure.gate.calls.clear()
    azure.gate.sent = 0
    output = store(outputs)
    assert dict(azure.gate.calls) == UPLOADS[size]
    assert azure.gate.sent <= 1.001 * len(CONTENT[size]) + 2000
    name = output.path.removeprefix("abfs://products/")
    assert azure.contents() == {name: CONTENT[size]}
    assert azure.content_type(name) == "video/mp4"
    assert azure.staged_blocks(name) == 0, "the block of the check is gone, too"


def test_nobody_sees_a_blob_or_a_change_before_it_is_published(azure: Azure, connect: Connect) -> None:
    conn_id = connect()
    with new_file(conn_id) as file:
        file.write(LARGE)
        assert azure.staged_blocks("uploads/clip.mp4") == 1
        assert azure.contents() == {}
    azure.put("uploads/clip.mp4", OLD)
    with new_file(conn_id) as file:
        file.write(LARGE)
        assert azure.contents() == {"uploads/clip.mp4": OLD}
        file.publish(len(LARGE))
        assert azure.contents() == {"uploads/clip.mp4": LARGE}


def test_what_is_stored_already_is_not_fetched_again(azure: Azure, connect: Connect) -> None:
    conn_id = connect()
    first = store(store_of(conn_id, SMALL))
    again = store_of(conn_id, b"", failure=AssertionError("it is fetched again"))
    assert store(again, first) == first


def test_what_is_stored_already_is_stored_again_where_nobody_may_look(azure: Azure, connect: Connect) -> None:
    first = store(store_of(connect(WRITING), SMALL))
    assert store(store_of(connect(WRITING), SMALL), first) == first
    assert azure.contents() == {"uploads/clip.mp4": SMALL}


def test_who_must_look_and_may_not_is_told(azure: Azure, connect: Connect) -> None:
    with pytest.raises(InvalidParameterError, match="if_output_exists must look at abfs://"):
        store_of(connect(WRITING), SMALL).find_existing()


@pytest.mark.parametrize(
    ("permission", "bucket", "words"),
    [
        ("rl", "products", "may not be written to: PermissionError: .*AuthorizationPermissionMismatch"),
        (None, "nothing-here", "there is no bucket nothing-here: FileNotFoundError: .*ContainerNotFound"),
        (None, "No_container", "cannot be written to: OSError: .*InvalidResourceName"),
    ],
)
def test_what_cannot_be_written_to_is_known_before_the_submit(
    azure: Azure, connect: Connect, permission: str | None, bucket: str, words: str
) -> None:
    with pytest.raises(InvalidParameterError, match=words) as caught:
        store_of(connect(permission), SMALL, bucket=bucket).check()
    assert "RequestId" not in str(caught.value)
    assert azure.contents() == {}


def test_a_login_counts_though_adlfs_says_that_it_is_anonymous(
    azure: Azure, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Older versions say so by default. The variable makes newer ones say it, too."""
    monkeypatch.setenv("AZURE_STORAGE_ANON", "true")
    outputs = store_of(connect(WRITING), SMALL)
    outputs.check()
    store(outputs)
    assert azure.contents() == {"uploads/clip.mp4": SMALL}


def test_a_connection_without_a_login_is_known_before_the_submit(
    azure: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = {"conn_type": "wasb", "extra": {"account_name": ACCOUNT, "anon": True}}
    monkeypatch.setenv("AIRFLOW_CONN_ANONYMOUS", json.dumps(connection))
    with pytest.raises(InvalidParameterError, match="there are no credentials for abfs://"):
        store_of("anonymous", SMALL).check()


def test_a_folder_is_known_before_the_submit(azure: Azure, connect: Connect) -> None:
    azure.put("uploads/clip.mp4/a.mp4", OLD)
    with pytest.raises(InvalidParameterError, match="is a folder"):
        store_of(connect(), SMALL).check()


@pytest.mark.parametrize("size", CONTENT)
@FAILURES_IN_THE_MIDDLE
@pytest.mark.parametrize("before", [{}, {"uploads/clip.mp4": OLD}], ids=["new", "replaced"])
def test_a_failure_in_the_middle_changes_nothing_that_is_seen(
    azure: Azure,
    connect: Connect,
    size: str,
    failure: BaseException,
    raised: type[BaseException],
    before: dict[str, bytes],
) -> None:
    for name, content in before.items():
        azure.put(name, content)
    with pytest.raises(raised):
        store(store_of(connect(), CONTENT[size], failure=failure))
    assert azure.contents() == before
    assert azure.gate.calls["Put Block List"] == azure.gate.calls["Put Blob"] == 0


@pytest.mark.parametrize("size", CONTENT)
@pytest.mark.parametrize("call", ["Put Block", "Put Block List"])
def test_an_upload_that_the_storage_breaks_changes_nothing(
    azure: Azure, connect: Connect, call: str, size: str
) -> None:
    azure.put("uploads/clip.mp4", OLD)
    azure.gate.broken.add(call)
    with pytest.raises(OutputNotStoredError) as caught:
        store(store_of(connect(), CONTENT[size]))
    assert caught.value.request_id == REQUEST
    assert azure.contents() == {"uploads/clip.mp4": OLD}


def test_a_file_that_nobody_closes_is_not_published(azure: Azure, connect: Connect) -> None:
    new = new_file(connect())
    file = new.__enter__()
    file.write(LARGE)
    file.write(SMALL)
    with suppress(SegmindError):
        new.__exit__(None, None, None)
    del file, new
    gc.collect()
    assert azure.contents() == {}


def test_blocks_of_another_attempt_do_not_get_into_the_blob(azure: Azure, connect: Connect) -> None:
    """It has sent as many, of other content, and died."""
    with new_file(connect()) as dead:
        for _ in range(3):
            dead.write(b"x" * 8 * MIB)
    assert azure.staged_blocks("uploads/clip.mp4") == 3
    store(store_of(connect(), LARGE))
    assert azure.contents() == {"uploads/clip.mp4": LARGE}
    assert azure.staged_blocks("uploads/clip.mp4") == 0


def test_of_two_uploads_at_once_each_is_whole_or_fails(azure: Azure, connect: Connect) -> None:
    """The first one to be published discards the blocks of the other."""
    with new_file(connect()) as slow, new_file(connect()) as fast:
        slow.write(b"x" * 8 * MIB)
        fast.write(LARGE)
        fast.publish(len(LARGE))
        with pytest.raises(OSError, match="InvalidBlockList"):
            slow.publish(8 * MIB)
    assert azure.contents() == {"uploads/clip.mp4": LARGE}


@pytest.mark.parametrize(
    ("most_bytes", "size"), [(1, 8), (400_000 * MIB, 8), (400_001 * MIB, 9), (5 * 1024 * 1024 * MIB, 105)]
)
def test_fifty_thousand_blocks_hold_all(most_bytes: int, size: int) -> None:
    assert block_size(most_bytes, MOST_BLOCKS) == size * MIB
    assert 50_000 * block_size(most_bytes, MOST_BLOCKS) >= most_bytes


def test_bytes_that_are_missing_are_noticed(azure: Azure, connect: Connect) -> None:
    with new_file(connect()) as file:
        file.write(SMALL)
        with pytest.raises(OSError, match="bytes were sent"):
            file.publish(len(SMALL) + 1)
    assert azure.contents() == {}


def test_the_log_has_no_line_for_each_request(
    azure: Azure, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    outputs = store_of(connect(), LARGE)
    caplog.set_level("INFO")
    caplog.set_level("INFO", logger="azure")
    store(outputs)
    assert "Request URL" not in caplog.text


def test_a_process_that_is_killed_in_the_middle_leaves_blocks_that_nobody_sees(
    azure: Azure, connect: Connect
) -> None:
    azure.put("uploads/clip.mp4", OLD)
    script = (
        "import sys; from tests.storages.test_azure import LARGE, new_file\n"
        "with new_file(sys.argv[1]) as file:\n"
        "    file.write(LARGE)\n"
        "    print('sent', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    kill_once_sent(script, connect())  # the connection is an environment variable, which the process inherits
    assert azure.contents() == {"uploads/clip.mp4": OLD}
    assert azure.staged_blocks("uploads/clip.mp4") == 1
    store(store_of(connect(), SMALL))
    assert azure.contents() == {"uploads/clip.mp4": SMALL}
    assert azure.staged_blocks("uploads/clip.mp4") == 0


def test_a_task_delivers_its_clip(azure: Azure, connect: Connect, segmind: RunningEmulator, run_dag: Any) -> None:
    azure.put("shop/mug.jpg", _image())
    run = run_dag(_dag("clips", connect()))
    clip = run["make_clip"]
    assert (run.state, segmind.ledger()["count"]) == ("success", 1)
    (name,) = (each for each in azure.contents() if each.endswith(".mp4"))
    assert [each["output_path"] for each in clip.xcoms["summary"]["files"]] == [f"abfs://products/{name}"]
    assert azure.content_type(name) == "video/mp4"
    assert azure.contents()[name][4:8] == b"ftyp"
    assert azure.gate.calls["Copy Blob"] == azure.gate.calls["Delete Blob"] == 0
    assert azure.staged_blocks(name) == 0


def test_a_task_that_may_not_write_pays_nothing(
    azure: Azure, connect: Connect, segmind: RunningEmulator, run_dag: Any
) -> None:
    azure.put("shop/mug.jpg", _image())
    run = run_dag(_dag("refused", connect("rl")))
    assert (run["make_clip"].state, segmind.ledger()["submits"]) == ("failed", 0)
    assert Counter(azure.contents().keys()) == Counter(["shop/mug.jpg"])


def _dag(dag_id: str, conn_id: str) -> Any:
    from airflow.providers.common.compat.sdk import DAG
    from pendulum import datetime

    from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

    with DAG(dag_id, schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        KlingImageToVideoOperator(
            task_id="make_clip",
            prompt="The camera circles the mug slowly",
            start_image_url="abfs://products/shop/mug.jpg",
            input_conn_id=conn_id,
            output_path="abfs://products/clips/",
            output_conn_id=conn_id,
        )
    return dag


def _image() -> bytes:
    (image, *_) = sorted((Path(__file__).parents[2] / "example_dags" / "images").glob("*.jpg"))
    return image.read_bytes()
