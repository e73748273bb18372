"""The events of assets in a real Airflow."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.hooks.segmind import SegmindHook
from tests.integration.test_examples import make_assets_known

Run = Callable[..., dict[str, Any]]
MODEL = "fast-text-to-image"


def test_stored_files_are_events_of_an_alias_and_urls_that_expire_are_only_an_extra(
    emulator: RunningEmulator, run_dag_of: Callable[[Path], Run], tmp_path: Path
) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    shutil.copy(Path(__file__).parent / "dags" / "assets.py", dags)
    run_dag = run_dag_of(dags)
    make_assets_known(dags)
    request_id = SegmindHook().submit(MODEL, {"prompt": "a fox"}).request_id
    made = run_dag("assets", request_id=request_id)
    assert {task.state for task in made.values()} == {"success"}
    pictures, waited_for, at_once, *_ = run_dag("assets_reader")["read"].value
    assert pictures == []
    ((_, waited),) = waited_for
    assert (waited["url"], waited["request_id"]) == (made["waited_for"].value, request_id)
    assert waited["cost"] > 0
    ((_, sync),) = at_once
    assert sync == {
        "url": made["at_once"].value,
        "request_id": made["at_once"].xcoms["request_id"],
        "model": MODEL,
        "cost": made["at_once"].summary["cost"],
    }

    paths = {"output_path": f"{tmp_path}/ü#.png", "stored_path": f"{tmp_path}/one.png"}
    made = run_dag("assets", **paths, request_id=request_id)
    pictures, *_, of_asset, of_alias = run_dag("assets_reader")["read"].value
    assert [uri for uri, _ in pictures] == [f"file://{tmp_path}/%C3%BC%23-{number}.png" for number in (1, 2)]
    sensor = made["stored"]
    facts = {"url": sensor.value, "output_path": f"{tmp_path}/one.png", "request_id": request_id}
    assert sensor.file["output_path"] == facts["output_path"]
    assert of_asset[-1][1] == {**facts, "cost": sensor.summary["cost"]}
    assert of_alias == [[f"file://{tmp_path}/one.png", of_asset[-1][1]]]
    stored = made["pictures"]
    cost = stored.summary["cost"]
    paths = [file["output_path"] for file in stored.summary["files"]]
    assert [extra for _, extra in pictures] == [
        {"url": url, "output_path": path, "request_id": stored.xcoms["request_id"], "model": MODEL, "cost": cost}
        for url, path in zip(stored.value, paths, strict=True)
    ]


def test_what_makes_nothing_new_emits_no_event(emulator: RunningEmulator, run_dag: Run, tmp_path: Path) -> None:
    make_assets_known(Path(__file__).parent / "dags")
    (tmp_path / "a.png").write_bytes(b"a picture")
    before = run_dag("assets_reader")["read"].value
    tasks = run_dag("no_events", output_path=f"{tmp_path}/a.png")
    assert {name: task.state for name, task in tasks.items()} == {"handed_over": "success", "kept": "success"}
    assert run_dag("assets_reader")["read"].value == before
    assert before[3:5] == [[], []]
    assert emulator.ledger()["submits"] == 1
