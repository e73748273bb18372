"""What OpenLineage receives, where its provider is installed: Airflow's own listener writes it to a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.hooks.segmind import SegmindHook

pytest.importorskip("airflow.providers.openlineage", reason="the newest Airflow is tested with it")

pytestmark = pytest.mark.long

IMAGE = Path(__file__).parents[2] / "example_dags" / "images" / "mug.jpg"


@pytest.fixture
def run_event(emulator: RunningEmulator, airflow_db: None, tmp_path: Path) -> Any:
    """Run a DAG in an Airflow that sends lineage, and return the last event about one of its tasks."""

    def run(dag: str = "kling", task: str = "clip", **conf: Any) -> dict[str, Any]:
        log = tmp_path / "events.jsonl"
        transport = {"type": "file", "log_file_path": str(log), "append": True}
        subprocess.run(
            [Path(sys.executable).with_name("airflow"), "dags", "test", dag, "--conf", json.dumps(conf)],
            env={**os.environ, "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport)},
            check=False,
            capture_output=True,
            timeout=120,
        )
        events = [json.loads(line) for line in log.read_text().splitlines()]
        last: dict[str, Any] = [event for event in events if event["job"]["name"] == f"{dag}.{task}"][-1]
        return last

    return run


def test_images_files_and_the_request_of_a_run(run_event: Any, emulator: RunningEmulator, tmp_path: Path) -> None:
    target = tmp_path / "clip.mp4"
    event = run_event(
        start_image_url=str(IMAGE),
        end_image_url="https://a:b@example.com/x.png?sig=1",
        output_path=str(target),
    )
    (charge,) = emulator.ledger()["charges"]
    assert event["eventType"] == "COMPLETE"
    assert [(each["namespace"], each["name"]) for each in event["inputs"]] == [
        ("file", str(IMAGE)),
        ("https://example.com", "x.png"),
    ]
    (output,) = event["outputs"]
    assert (output["namespace"], output["name"]) == ("file", str(target))
    assert output["outputFacets"]["outputStatistics"]["size"] == target.stat().st_size
    facet = event["run"]["facets"]["segmind_request"]
    assert (facet["model"], facet["requestId"]) == ("kling-o1-image-to-video", charge["request_id"])
    assert facet["cost"] == charge["amount"]
    assert facet["totalTime"] > 0


def test_a_run_that_stores_nothing_names_its_request_and_no_file(
    run_event: Any, emulator: RunningEmulator, tmp_path: Path
) -> None:
    emulator.faults({"on": "media", "body": "html"})
    event = run_event(start_image_url=str(IMAGE), output_path=str(tmp_path / "clip.mp4"))
    (charge,) = emulator.ledger()["charges"]
    assert event["eventType"] == "FAIL"
    assert event["run"]["facets"]["segmind_request"]["requestId"] == charge["request_id"]
    assert ([each["name"] for each in event["inputs"]], event["outputs"]) == ([str(IMAGE)], [])


def test_an_output_that_expires_is_not_a_dataset(run_event: Any) -> None:
    event = run_event(start_image_url=str(IMAGE))
    assert (event["eventType"], event["outputs"]) == ("COMPLETE", [])
    assert event["run"]["facets"]["segmind_request"]["cost"] > 0


def test_the_blocking_call_names_its_request(run_event: Any) -> None:
    event = run_event("models", "sync_image")
    facet = event["run"]["facets"]["segmind_request"]
    assert (event["eventType"], event["outputs"], facet["model"]) == ("COMPLETE", [], "fast-text-to-image")
    assert facet["requestId"]
    assert facet["cost"] > 0


def test_the_sensor_names_its_request(run_event: Any, emulator: RunningEmulator) -> None:
    request_id = SegmindHook().submit("fast-text-to-image", {"prompt": "a fox"}).request_id
    event = run_event("sensors", "deferred", request_id=request_id)
    facet = event["run"]["facets"]["segmind_request"]
    assert (event["eventType"], event["outputs"], facet["requestId"]) == ("COMPLETE", [], request_id)
    assert facet["cost"] > 0
