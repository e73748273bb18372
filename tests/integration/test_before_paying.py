"""What cannot work is seen before anything is paid, and the message names the argument."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_segmind.emulator.running import RunningEmulator
from harness.storage import DOWN, S3

Run = Callable[..., dict[str, Any]]
MUG = Path(__file__).parents[2] / "example_dags" / "images" / "mug.jpg"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with something of each kind in it."""
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder").mkdir()
    (tmp_path / "out").symlink_to("/var")
    (tmp_path / "secret.png").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "mug.jpg").write_bytes(MUG.read_bytes())
    (tmp_path / "page.png").write_text("<!doctype html><title>gone</title>")
    return tmp_path


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("output_path", "{}/folder"),
        ("output_path", "{}/file/a.mp4"),
        ("output_path", "{}/out/tmp/a.mp4"),
        ("output_path", "{}/../a.mp4"),
        ("output_path", "/opt/elsewhere/a.mp4"),
        ("output_path", "file://host/a.mp4"),
        ("output_path", "local:///tmp/a.mp4"),
        ("start_image_url", "{}/fifo.png"),
        ("start_image_url", "{}/secret.png"),
        ("start_image_url", "{}/folder"),
        ("start_image_url", "{}/page.png"),
        ("start_image_url", "/etc/hostname"),
        ("start_image_url", "file://host{}/mug.jpg"),
    ],
)
def test_on_a_disk(
    emulator: RunningEmulator, run_dag: Run, folder: Path, said: Callable[[], str], argument: str, value: str
) -> None:
    clip = run_dag("kling", **{argument: value.format(folder)})["clip"]
    assert (clip.state, clip.try_number) == ("failed", 1)
    assert f"Invalid parameter: {argument}" in said()
    assert emulator.requests()["endpoints"].get("submit", 0) == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        *("fifo.png", "file", "folder", "mug.jpg", "out", "page.png", "secret.png"),
    ]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("output_path", {"output_path": "s3://no-such-bucket/a.mp4"}),
        ("output_path", {"output_path": "s3://admin@products/a.mp4"}),
        ("output_path", {"output_path": "s3://products/folder"}),
        ("output_path", {"output_path": "nosuchscheme://products/a.mp4"}),
        ("output_conn_id", {"output_path": "s3://products/a.mp4", "output_conn_id": "no_such_connection"}),
        ("output_conn_id", {"output_path": "s3://products/a.mp4", "output_conn_id": "segmind_default"}),
        ("start_image_url", {"start_image_url": "s3://admin@products/a.png"}),
        ("start_image_url", {"start_image_url": "s3://products/missing.png"}),
    ],
    ids=str,
)
def test_in_an_object_store(
    emulator: RunningEmulator,
    run_dag: Run,
    storage: S3,
    said: Callable[[], str],
    name: str,
    arguments: dict[str, str],
) -> None:
    storage.bucket.put_object(Key="folder/a.txt", Body=b"text")
    conn_ids = {"input_conn_id": "storage", "output_conn_id": "storage"}
    clip = run_dag("kling", **{**conn_ids, **arguments})["clip"]
    assert (clip.state, clip.try_number) == ("failed", 1)
    assert f"Invalid parameter: {name}" in said()
    assert emulator.requests()["endpoints"].get("submit", 0) == 0


def test_a_storage_with_trouble_that_may_pass_is_tried_again(
    emulator: RunningEmulator, run_dag: Run, monkeypatch: pytest.MonkeyPatch, said: Callable[[], str]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DOWN", json.dumps(DOWN))
    clip = run_dag("kling", output_path="s3://products/a.mp4", output_conn_id="down")["clip"]
    assert (clip.state, clip.try_number) == ("failed", 3)
    assert "nothing was submitted" in said()
    assert emulator.requests()["endpoints"].get("submit", 0) == 0
