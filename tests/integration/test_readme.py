"""The DAG of the README does what is said of it, on a real S3 server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_segmind.emulator.running import RunningEmulator
from harness.storage import S3

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
Run = Callable[..., dict[str, Any]]

HOSTILE_NAMES = [
    "a.png",
    "{{ 'a' if '{' in task.start_image_url else conn.prod_db.password }}.png",
    "{% raw %}.png",
    "{image}.jpg",
    "a[1].jpg",
    "what now?.jpg",
    "*.jpg",
    "100%41.jpg",
    "a#b.jpg",
    "a+b&c;d=e.jpg",
    "'\"`$(id)`.jpg",
    " a .jpg",
    ".hidden.jpg",
    "-rf.jpg",
    "admin@products.jpg",
    "\u202egpj.jpg",
    f"{'x' * 246}.jpg",
]


@pytest.fixture
def run_readme(
    readme_dag: str,
    run_dag_of: Callable[[Path], Run],
    storage: S3,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Run:
    """Run the DAG that the README has, from a separate file."""
    (tmp_path / "product_clips.py").write_text(readme_dag)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(storage.connection))
    storage.bucket.objects.all().delete()
    # Each task is a separate process, and has seen no folder before.
    ObjectStoragePath("s3://products", conn_id="aws_default").fs.invalidate_cache()
    return run_dag_of(tmp_path)


def test_any_name_is_only_a_name(
    emulator: RunningEmulator, run_readme: Run, storage: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PROD_DB", '{"conn_type": "generic", "password": "hunter2"}')
    image = (ROOT / "example_dags" / "images" / "mug.jpg").read_bytes()
    for name in HOSTILE_NAMES:
        storage.bucket.put_object(Key=f"images/{name}", Body=image)

    tasks = run_readme("product_clips")
    assert {task.state for task in tasks.values()} == {"success"}
    assert sorted(storage.contents("clips/")) == sorted(f"{name}.mp4" for name in HOSTILE_NAMES)
    assert emulator.ledger()["count"] == len(HOSTILE_NAMES)

    ObjectStoragePath("s3://products", conn_id="aws_default").fs.invalidate_cache()
    run_readme("product_clips")
    assert emulator.ledger()["count"] == len(HOSTILE_NAMES), "each has its clip"


def test_a_clip_for_each_image_and_tomorrow_for_the_new_ones(
    emulator: RunningEmulator, run_readme: Run, storage: S3
) -> None:
    image = (ROOT / "example_dags" / "images" / "mug.jpg").read_bytes()
    storage.bucket.put_object(Key="images/", Body=b"")  # as S3's console makes a folder
    for name in ("a mug.jpg", "ü.jpg"):
        storage.bucket.put_object(Key=f"images/{name}", Body=image)

    tasks = run_readme("product_clips")
    assert {task.state for task in tasks.values()} == {"success"}
    assert sorted(storage.contents("clips/")) == ["a mug.jpg.mp4", "ü.jpg.mp4"]
    assert emulator.ledger()["count"] == 2

    storage.bucket.put_object(Key="images/new.jpg", Body=image)
    # Each task is a separate process, and has seen no folder before.
    ObjectStoragePath("s3://products", conn_id="aws_default").fs.invalidate_cache()
    tasks = run_readme("product_clips")
    assert tasks["make_clip[1]"].file["output_path"].endswith("products/clips/new.jpg.mp4")
    assert [tasks[f"make_clip[{index}]"].summary["cost"] for index in (0, 2)] == [0.0, 0.0]
    assert sorted(storage.contents("clips/")) == ["a mug.jpg.mp4", "new.jpg.mp4", "ü.jpg.mp4"]
    assert emulator.ledger()["count"] == 3
