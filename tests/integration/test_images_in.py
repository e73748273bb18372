"""Images from a disk and from an S3 server on loopback. The emulator shows what it received."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from airflow import __version__ as airflow_version
from packaging.version import Version

from airflow_provider_segmind.durability.claims import Claims
from airflow_provider_segmind.durability.store import RecordStore
from airflow_provider_segmind.durability.submission import Submission
from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.exceptions import InvalidParameterError
from airflow_provider_segmind.hooks.segmind import SegmindHook
from airflow_provider_segmind.media.inputs import Inputs
from airflow_provider_segmind.media.reading import read_image

Run = Callable[..., dict[str, Any]]
IMAGE = Path(__file__).parents[2] / "example_dags" / "images" / "mug.jpg"
BUCKET = "products"
REMEMBERS = Version(airflow_version) >= Version("3.3")


def sent(emulator: RunningEmulator) -> dict[str, Any]:
    (charge,) = emulator.ledger()["charges"]
    parameters: dict[str, Any] = charge["parameters"]
    return parameters


def uploads(emulator: RunningEmulator) -> int:
    return int(emulator.requests()["endpoints"]["upload"])


def content(url: str) -> bytes:
    return requests.get(url, timeout=10).content


@pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "blocking"])
def test_an_image_on_disk_is_uploaded(emulator: RunningEmulator, run_dag: Run, deferrable: bool) -> None:
    clip = run_dag("kling", start_image_url=str(IMAGE), deferrable=deferrable)["clip"]
    assert (clip.state, uploads(emulator)) == ("success", 1)
    assert content(sent(emulator)["start_image_url"]) == IMAGE.read_bytes()
    assert clip.value.endswith(".mp4")


def test_the_same_image_twice_is_uploaded_once(emulator: RunningEmulator, run_dag: Run) -> None:
    clip = run_dag("kling", start_image_url=str(IMAGE), end_image_url=f"file://{IMAGE}")["clip"]
    assert (clip.state, uploads(emulator)) == ("success", 1)
    assert sent(emulator)["start_image_url"] == sent(emulator)["end_image_url"]


@pytest.mark.skipif(not REMEMBERS, reason="only Airflow 3.3 and later remember; the tests run there too")
def test_a_retry_does_not_upload_again(emulator: RunningEmulator, run_dag: Run) -> None:
    emulator.faults({"on": "submit", "status": 503, "count": 3})
    clip = run_dag("kling", start_image_url=str(IMAGE))["clip"]
    assert (clip.state, clip.try_number, uploads(emulator)) == ("success", 2, 1)


def test_an_unresolved_submit_is_found_by_what_was_sent(
    emulator: RunningEmulator, run_dag: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_segmind.durability.submission.HISTORY_LAG", 3.0)
    monkeypatch.setattr("airflow_provider_segmind.durability.submission.latest_usual_duration", lambda *_: 0.0)
    emulator.faults({"on": "submit", "drop": "after", "count": 1})
    clip = run_dag("kling", start_image_url=str(IMAGE))["clip"]
    assert (clip.state, clip.try_number, emulator.ledger()["submits"]) == ("success", 1, 1)


def test_what_is_no_image_fails_before_anything_is_sent(
    emulator: RunningEmulator, run_dag: Run, said: Callable[[], str], tmp_path: Path
) -> None:
    (tmp_path / "page.png").write_bytes(b"<html>not found</html>")
    clip = run_dag("kling", start_image_url=str(tmp_path / "page.png"))["clip"]
    assert (clip.state, clip.try_number, emulator.requests()["total"]) == ("failed", 1, 0)
    log = said()
    assert "is not an image" in log
    assert "start_image_url" in log


def test_an_image_in_s3_is_uploaded(emulator: RunningEmulator, run_dag: Run, bucket: Any) -> None:
    key = "in/ein Bild für .. uns.jpg"
    bucket.put_object(Key=key, Body=IMAGE.read_bytes())
    clip = run_dag("kling", start_image_url=f"s3://{BUCKET}/{key}", input_conn_id="storage")["clip"]
    assert (clip.state, uploads(emulator)) == ("success", 1)
    assert content(sent(emulator)["start_image_url"]) == IMAGE.read_bytes()


@pytest.mark.parametrize(
    ("location", "words"),
    [
        (f"s3://{BUCKET}/missing.png", "does not exist"),
        (f"s3://{BUCKET}/folder", "is a folder"),
        (f"s3://{BUCKET}", "names a bucket, but no image"),
        ("s3://no-such-bucket/a.png", "does not exist"),
    ],
)
def test_what_s3_does_not_have_is_reported(bucket: Any, location: str, words: str) -> None:
    bucket.put_object(Key="folder/a.png", Body=IMAGE.read_bytes())
    with pytest.raises(InvalidParameterError, match=words):
        read_image("start_image_url", location, "storage")


@pytest.mark.parametrize("end", [" ", "\n", "\u3000", "\t"], ids=repr)
def test_an_image_whose_name_ends_in_white_space_is_not_another_one(
    emulator: RunningEmulator, run_dag: Run, tmp_path: Path, end: str
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (tmp_path / f"a.jpg{end}").write_bytes(IMAGE.read_bytes())
    clip = run_dag("kling", start_image_url=f"{tmp_path}/a.jpg{end}")["clip"]
    assert clip.state == "success"
    assert content(sent(emulator)["start_image_url"]) == IMAGE.read_bytes()


def test_the_name_of_an_image_forges_no_line_of_a_log(
    emulator: RunningEmulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = str(tmp_path / "a.png\n[2026-01-01] ERROR forged\x1b[31m")
    Path(name).write_bytes(IMAGE.read_bytes())
    context: Any = {"ti": SimpleNamespace(map_index=-1, task_id="x", xcom_pull=lambda **_: None, xcom_push=dict)}
    inputs = Inputs("fast-text-to-image", {"prompt": "a fox", "image": name}, ["image"])
    store = RecordStore(context, durable=False)
    submission = Submission(SegmindHook(), store, Claims(context), inputs, max_tries=1, timeout=9)
    with caplog.at_level("INFO"):
        submission.start()
    assert "a.png [2026-01-01] ERROR forged" in caplog.text
    assert "\x1b" not in caplog.text
