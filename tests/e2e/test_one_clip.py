"""A real Airflow of any version, with its scheduler, its triggerer, and what else it has."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from harness import AIRFLOW_2, Cluster, EmulatedSegmind, Run, processes_below

EXAMPLES = Path(__file__).parents[2] / "example_dags"
DAGS = Path(__file__).parent / "dags"
DAG_ID, TASK_ID, KLING = "segmind_image_to_video", "make_clip", "kling-o1-image-to-video"
OTHER_DAGS = ("short_jobs", "failing_job", "awaited")
SECONDS_FOR_ALL = 300.0
JOB_SECONDS = 600.0
"""Longer than the test may take: no clip ends before the test has seen the task wait, and says so."""
LOOK_AFTER = 2.0

pytestmark = pytest.mark.timeout(SECONDS_FOR_ALL + 60, method="signal")  # the other method would leave processes


@pytest.fixture(scope="module")
def segmind() -> EmulatedSegmind:
    """Segmind, with models whose requests take as long as their parameter `sleep` says."""
    return EmulatedSegmind(
        latency=JOB_SECONDS,
        model=["short-job=mock", "failing-job=mock", "awaited-job=mock"],
        fault=["on=submit,model=failing-job,outcome=failed"],
    )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, segmind: EmulatedSegmind) -> Iterator[Cluster]:
    """An Airflow for all tests of this file: its start takes longer than any of them."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "dags").mkdir()
    for dag in (EXAMPLES / f"{DAG_ID}.py", *(DAGS / f"{name}.py" for name in OTHER_DAGS)):
        shutil.copy(dag, folder / "dags")
    # A file for each event, as processes that write to the same one may mix up their lines.
    transport = {"type": "file", "log_file_path": str(folder / "openlineage"), "append": False}
    settings = {"OPENLINEAGE__TRANSPORT": json.dumps(transport)}
    with Cluster(
        folder, dags=folder / "dags", segmind=segmind, settings=settings, seconds=SECONDS_FOR_ALL
    ) as cluster:
        yield cluster
    assert processes_below(folder) == []


@pytest.fixture(scope="module")
def runs(cluster: Cluster, segmind: EmulatedSegmind) -> dict[str, Run]:
    """DAGs that run side by side, which takes less time. What runs one task at a time would take minutes."""
    sequential = AIRFLOW_2 and cluster.database.kind == "sqlite"
    request = segmind.ask("POST", "/v2/awaited-job", {"sleep": 0.1})
    awaited = cluster.run("awaited", {"request_id": request["request_id"]})
    dag_ids = ("failing_job",) if sequential else ("short_jobs", "failing_job")
    return {"awaited": awaited, **{dag_id: cluster.run(dag_id) for dag_id in dag_ids}}


@pytest.fixture(scope="module")
def clip(cluster: Cluster, segmind: EmulatedSegmind) -> Run:
    """A clip that a triggerer has waited for."""
    run = cluster.run(DAG_ID, {"expected_duration": LOOK_AFTER})

    def waits_in_a_triggerer() -> bool:
        return any(row.triggerer for row in run.rows(TASK_ID))

    cluster.until("a triggerer to wait", waits_in_a_triggerer)
    assert [row.state for row in run.rows(TASK_ID)] == ["deferred"]
    segmind.advance(JOB_SECONDS)
    cluster.until("the run to succeed", run.has_succeeded)
    return run


def test_a_clip_is_awaited_by_the_triggerer_and_paid_once(
    cluster: Cluster, segmind: EmulatedSegmind, clip: Run
) -> None:
    run = clip
    assert {row.task_id: (row.state, row.try_number) for row in run.rows()} == {
        TASK_ID: ("success", 1),
        "announce": ("success", 1),
    }
    assert f"The video is at {segmind.url}/outputs/" in _printed(cluster, "announce")
    assert segmind.charged_ids(KLING) == [run.xcom(TASK_ID, "request_id")]


def test_requests_that_end_right_after_the_deferral_need_one_attempt(
    cluster: Cluster, segmind: EmulatedSegmind, runs: dict[str, Run]
) -> None:
    """
    Airflow 3 must have time to notice that the workers have left the tasks.

    If `triggers.deferral.earliest_event` returns 0, some of these tasks fail, though their requests succeed.
    """
    if "short_jobs" not in runs:
        pytest.skip("the SequentialExecutor runs nothing beside a task")
    run = runs["short_jobs"]
    cluster.until("the run to end", run.has_ended)

    rows = run.rows()
    assert {row.task_id: (row.state, row.try_number) for row in rows} == {
        f"short_job_{number}": ("success", 1) for number in range(4)
    }
    assert all("Pausing task as DEFERRED" in _printed(cluster, row.task_id) for row in rows)
    requests = [run.xcom(row.task_id, "request_id") for row in rows]
    assert sorted(segmind.charged_ids("short-job")) == sorted(requests)


def test_a_failed_request_fails_its_task_and_is_printed(
    cluster: Cluster, segmind: EmulatedSegmind, runs: dict[str, Run]
) -> None:
    """What prints the error must come to an end: structlog up to 25.4.0 follows a cycle of causes for ever."""
    run = runs["failing_job"]
    cluster.until("the run to end", run.has_ended)

    assert [(row.state, row.try_number) for row in run.rows()] == [("failed", 1)]
    assert "RequestFailedError" in _printed(cluster, "failing_job")
    assert segmind.charged_ids("failing-job") == []


@pytest.mark.skipif(find_spec("airflow.providers.openlineage") is None, reason="OpenLineage is not installed")
def test_openlineage_hears_of_a_clip_and_of_a_sensor_when_they_start_and_when_they_end(
    cluster: Cluster, clip: Run, runs: dict[str, Run]
) -> None:
    request_id = clip.xcom(TASK_ID, "request_id")
    *starts, end = _events(cluster, f"{DAG_ID}.{TASK_ID}")
    images = [each["name"] for each in end["inputs"]]
    assert [image.rpartition("/")[0] for image in images] == ["output", "output"]
    assert [each["eventType"] for each in starts] == ["START", "START"], "the second one when it was resumed"
    for start in starts:
        assert (start["run"]["runId"], [each["name"] for each in start["inputs"]]) == (end["run"]["runId"], images)
        assert _facts(start) == {"model": KLING}
    assert (end["eventType"], _facts(end)["requestId"], _facts(end)["model"]) == ("COMPLETE", request_id, KLING)
    assert _facts(end)["cost"] > 0

    cluster.until("the sensor to end", runs["awaited"].has_succeeded)
    *starts, end = _events(cluster, "awaited.wait")
    request_id = runs["awaited"].xcom("wait", "request_id")
    assert [(each["eventType"], _facts(each)) for each in starts] == [("START", {"requestId": request_id})]
    assert (end["eventType"], _facts(end)["requestId"]) == ("COMPLETE", request_id)


def _events(cluster: Cluster, job: str) -> list[dict[str, Any]]:
    """Return the events about a task, in order. The last one is written when the task has ended, or later."""

    def read_to_the_end() -> list[dict[str, Any]] | None:
        files = sorted(cluster.folder.glob("openlineage-*.json"))
        try:
            events = [json.loads(file.read_text()) for file in files]
        except ValueError:  # one is being written
            return None
        found = [event for event in events if event["job"]["name"] == job]
        return found if found and found[-1]["eventType"] != "START" else None

    return cluster.until(f"the events of {job}", read_to_the_end)


def _facts(event: dict[str, Any]) -> dict[str, Any]:
    """Return what an event says of a request."""
    return {name: value for name, value in event["run"]["facets"]["segmind_request"].items() if name[0] != "_"}


def _printed(cluster: Cluster, task_id: str) -> str:
    """Return the log of a task: what it printed is in there on every version."""
    (log,) = cluster.logs.glob(f"tasks/**/task_id={task_id}/attempt=1.log")
    return log.read_text()
