"""Paths in place of text, in a DAG that runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_segmind.emulator.running import RunningEmulator
from harness.storage import S3

IMAGE = Path(__file__).parents[2] / "example_dags" / "images" / "mug.jpg"


def test_paths_are_read_and_written_with_their_own_connection(
    emulator: RunningEmulator,
    run_dag: Callable[..., dict[str, Any]],
    storage: S3,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SEGMIND_TEST_FOLDER", str(tmp_path))
    shutil.copy(IMAGE, tmp_path / "mug [1].jpg")
    storage.bucket.put_object(Key="paths/mug [1].jpg", Body=IMAGE.read_bytes())
    tasks = run_dag("paths")
    assert {name: task.state for name, task in tasks.items()} == dict.fromkeys(tasks, "success")
    names = ["clip [1].mp4", "clip [2].mp4", "mug [1].jpg"]
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(storage.contents("paths/")) == names
    assert tasks["s3"].file["output_path"] == "s3://products/paths/clip [1].mp4"
    assert tasks["disk"].file["output_path"] == f"{tmp_path}/clip [1].mp4"
