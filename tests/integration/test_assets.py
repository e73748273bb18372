"""The events of assets in a real Airflow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.hooks.segmind import SegmindHook
from tests.integration.test_examples import make_assets_known

Run = Callable[..., dict[str, Any]]
MODEL = "fast-text-to-image"


def test_stored_files_are_events_of_an_alias_and_urls_that_expire_are_only_an_extra(
    emulator: RunningEmulator, run_dag: Run, tmp_path: Path
) -> None:
    make_assets_known(Path(__file__).parent / "dags")
    request_id = SegmindHook().submit(MODEL, {"prompt": "a fox"}).request_id
    made = run_dag("assets", request_id=request_id)
    assert {task.state for task in made.values()} == {"success"}
    pictures, waited_for, at_once = run_dag("assets_reader")["read"].value
    assert pictures == []
    ((_, waited),) = waited_for
    assert (waited["url"], waited["request_id"]) == (made["waited_for"].value, request_id)
    assert waited["cost"] > 0
    ((_, sync),) = at_once
    assert sync == {
        "url": made["at_once"].value,
        "request_id": made["at_once"].xcoms["request_id"],
        "model": MODEL,
        "cost": made["at_once"].xcoms["metrics"]["cost"],
    }

    made = run_dag("assets", output_path=f"{tmp_path}/ü#.png", request_id=request_id)
    pictures, *_ = run_dag("assets_reader")["read"].value
    assert [uri for uri, _ in pictures] == [f"file://{tmp_path}/%C3%BC%23-{number}.png" for number in (1, 2)]
    stored = made["pictures"]
    cost = stored.xcoms["metrics"]["cost"]
    assert [extra for _, extra in pictures] == [
        {"url": url, "output_path": path, "request_id": stored.xcoms["request_id"], "model": MODEL, "cost": cost}
        for url, path in zip(stored.value, stored.xcoms["output_path"], strict=True)
    ]
