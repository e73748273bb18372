"""A record that no Airflow clears: retries and clears of a task pay for one video, on every version."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

from airflow_provider_segmind.compat import AirflowFailException, TaskDeferred
from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.exceptions import SegmindError
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
from harness.storage import S3
from tests.task_instance import Ti

Run = Callable[..., dict[str, Any]]
CLEARS = Version(airflow_version).release[:2] == (3, 3)
"""Whether this Airflow keeps the state of a task that is cleared."""


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the records."""
    folder = tmp_path / "records"
    monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_PATH", str(folder))
    return folder


def run(max_tries: int = 3, *, map_index: int = -1, **arguments: Any) -> Any:
    """Run an attempt in this process. Its context has no task state store: a clear on 3.4 leaves none."""
    ti = Ti()
    ti.max_tries, ti.map_index = max_tries, map_index
    options = {"prompt": "zoom", "start_image_url": "https://x.example/a.png", "deferrable": False, **arguments}
    return KlingImageToVideoOperator(task_id="run", **options).execute({"ti": ti})


def test_a_retry_continues_with_what_was_paid_for(
    emulator: RunningEmulator, run_dag: Run, records: Path, said: Callable[[], str]
) -> None:
    emulator.faults({"on": "poll", "json": {"status": "QUEUED"}, "count": 1})
    clip = run_dag("resigned", timeout=0.5, poll_interval=5)["clip"]
    assert (clip.state, clip.try_number, emulator.ledger()["submits"]) == ("success", 2, 1)
    (file,) = records.iterdir()
    document = json.loads(file.read_text())
    assert (document["state"], document["request_id"]) == ("delivered", clip.xcoms["request_id"])
    assert (document["dag_id"], document["task_id"]) == ("resigned", "clip")
    assert "prompt, start_image_url" in said(), "what has changed since is named"


@pytest.mark.parametrize("next_to_the_output", [True, False])
def test_a_task_that_could_not_store_its_output_is_cleared_and_pays_nothing(
    emulator: RunningEmulator,
    tmp_path: Path,
    next_to_the_output: bool,
    request: pytest.FixtureRequest,
) -> None:
    if not next_to_the_output:
        request.getfixturevalue("records")
    clips = f"{tmp_path}/clips/"
    with pytest.raises((SegmindError, AirflowFailException), match="max_output_bytes"):
        run(output_path=clips, max_output_bytes=10)
    run(7, output_path=clips)
    assert emulator.ledger()["submits"] == 1
    run(7, output_path=clips)
    assert emulator.ledger()["submits"] == 1, "the attempt died before Airflow stored its success"
    run(11, output_path=clips)
    assert emulator.ledger()["submits"] == 2, "a clear after a delivery asks for another video"
    names = [file.suffix or file.name for file in (tmp_path / "clips").iterdir()]
    assert sorted(names) == sorted([".mp4", ".mp4", *([".segmind"] if next_to_the_output else [])])


def test_a_submit_without_an_answer_is_found_by_the_next_attempt(emulator: RunningEmulator, records: Path) -> None:
    emulator.faults({"on": "submit", "drop": "after", "count": 1})
    with pytest.raises(TaskDeferred):
        run(deferrable=True)
    run(7, prompt="the prompt has changed since")
    assert emulator.ledger()["submits"] == 1


def test_other_parameters_after_a_clear_are_another_charge_only_if_the_user_says_so(
    emulator: RunningEmulator, records: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(TaskDeferred):
        run(deferrable=True)
    run(7, prompt="another")
    assert emulator.ledger()["submits"] == 1
    assert "these parameters have changed since: prompt" in caplog.text
    with pytest.raises(TaskDeferred):
        run(11, deferrable=True)
    run(15, prompt="another", on_changed_parameters="resubmit")
    assert emulator.ledger()["submits"] == 3
    assert "It abandons request" in caplog.text


def test_a_mapped_instance_that_stands_for_another_item_after_a_clear_gets_its_own_video(
    emulator: RunningEmulator, records: Path
) -> None:
    """The folder has one more image now, say."""
    mug, lamp = ({"start_image_url": f"https://x.example/{name}.png", "map_index": 3} for name in ("mug", "lamp"))
    with pytest.raises(TaskDeferred):
        run(deferrable=True, **mug)
    run(3, **mug)  # a retry
    with pytest.raises(TaskDeferred):
        run(7, deferrable=True, **mug)
    run(11, **mug)
    assert emulator.ledger()["submits"] == 2, "cleared once after a delivery"
    with pytest.raises(TaskDeferred):
        run(15, deferrable=True, **mug)
    run(19, **lamp)
    assert [charge["parameters"]["start_image_url"] for charge in emulator.ledger()["charges"]][-1].endswith(
        "lamp.png"
    )
    assert emulator.ledger()["submits"] == 4


def test_without_its_records_a_task_submits_nothing(emulator: RunningEmulator, records: Path) -> None:
    records.write_text("a file has the name of the folder")
    with pytest.raises((SegmindError, AirflowFailException), match=r"\[segmind\] records_path"):
        run()
    assert emulator.requests()["endpoints"].get("submit", 0) == 0


def test_durable_false_keeps_no_record(emulator: RunningEmulator, records: Path) -> None:
    run(durable=False)
    run(durable=False)
    assert emulator.ledger()["submits"] == 2
    assert not records.exists()


def test_records_in_a_bucket(
    emulator: RunningEmulator, storage: S3, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_PATH", "s3://products/records")
    monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_CONN_ID", "storage")
    with pytest.raises(TaskDeferred):
        run(deferrable=True)
    (stored,) = bucket.objects.filter(Prefix="records/")
    assert json.loads(stored.get()["Body"].read())["state"] == "submitted"
    run(7)
    assert emulator.ledger()["submits"] == 1
    (stored,) = bucket.objects.filter(Prefix="records/")
    assert json.loads(stored.get()["Body"].read())["cost"] == 0.91


def test_a_bucket_that_is_not_there_is_named_before_the_submit(
    emulator: RunningEmulator, storage: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_PATH", "s3://no-such-bucket/records/")
    monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_CONN_ID", "storage")
    with pytest.raises((SegmindError, AirflowFailException), match=r"\[segmind\] records_path.*no-such-bucket"):
        run()
    assert emulator.requests()["endpoints"].get("submit", 0) == 0


def test_the_log_says_what_a_clear_would_cost(
    emulator: RunningEmulator, run_dag: Run, said: Callable[[], str]
) -> None:
    run_dag("kling")
    missing = "would submit again" in said()
    assert missing is not CLEARS
