"""The links on the pages of tasks, as a real Airflow of any version gives them to a browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import AIRFLOW_2, Cluster, EmulatedSegmind, Run, processes_below

DAGS = Path(__file__).parent / "dags"
SECONDS_FOR_ALL = 420.0
KLING = "https://www.segmind.com/models/kling-o1-image-to-video"
IMAGES = "https://www.segmind.com/models/fast-text-to-image"

pytestmark = pytest.mark.timeout(SECONDS_FOR_ALL + 60, method="signal")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An Airflow. Segmind's host of outputs is out of order."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "dags").mkdir()
    shutil.copy(DAGS / "links.py", folder / "dags")
    segmind = EmulatedSegmind(
        latency=1.0,
        model=["stuck-model=video"],
        fault=["on=media,status=404", "on=submit,model=stuck-model,outcome=stuck"],
    )
    settings = {"SEGMIND__ALLOWED_LOCAL_PATHS": folder}
    with Cluster(
        folder, dags=folder / "dags", segmind=segmind, settings=settings, seconds=SECONDS_FOR_ALL
    ) as cluster:
        yield cluster
    assert processes_below(folder) == []


@pytest.fixture(scope="module")
def run(cluster: Cluster) -> Run:
    """A run of the DAG, which has ended."""
    run = cluster.run("links", {"folder": str(cluster.folder)})
    cluster.until("the run to end", run.has_ended)
    return run


def test_a_task_that_waits_has_a_link_to_its_model(cluster: Cluster) -> None:
    run = cluster.run("links_of_a_wait")
    cluster.until("a wait", lambda: [row.state for row in run.rows()] == ["deferred"])
    # Airflow stores a link after the state.
    link = cluster.until("its link", lambda: run.links("stuck")["Segmind model"])
    assert link == "https://www.segmind.com/models/stuck-model"
    assert not run.links("stuck")["Segmind output"]


def test_each_task_ended_as_planned(run: Run) -> None:
    states = {(row.task_id, row.map_index): row.state for row in run.rows()}
    assert states.pop(("not_stored", -1)) == "failed"
    assert set(states.values()) == {"success"}


@pytest.mark.parametrize("task_id", ["clip", "templated", "sync"])
def test_a_task_has_a_link_to_its_output_and_to_its_model(run: Run, task_id: str) -> None:
    model = KLING if task_id == "clip" else IMAGES
    assert run.links(task_id) == {
        "Segmind output": first(run.xcom(task_id)),
        "Segmind model": model,
    }


@pytest.mark.skipif(AIRFLOW_2, reason="Airflow 2's API has no links of mapped instances; the others run it")
def test_each_instance_of_a_mapped_task_has_its_own(run: Run) -> None:
    image, text = (run.links("mapped", index) for index in (0, 1))
    assert image == {"Segmind output": first(run.xcom("mapped", map_index=0)), "Segmind model": IMAGES}
    assert text["Segmind model"] == "https://www.segmind.com/models/mock-text"
    assert not text["Segmind output"]


def test_a_sensor_has_a_link_to_the_output_of_its_request(run: Run) -> None:
    links = run.links("adopted")
    assert links["Segmind output"] == first(run.xcom("templated"))
    assert not links["Segmind model"], "nobody has said what it is"
    assert run.links("of_a_model") == {"Segmind output": links["Segmind output"], "Segmind model": IMAGES}


def test_a_failed_task_has_a_link_to_what_it_paid_for(run: Run) -> None:
    links = run.links("not_stored")
    assert links == {
        "Segmind output": run.xcom("not_stored", "summary")["files"][0]["url"],
        "Segmind model": KLING,
    }
    assert links["Segmind output"]


def test_an_xcom_that_is_no_web_address_is_no_link(run: Run) -> None:
    assert run.xcom("overwritten", "summary")["files"][0]["url"].startswith("javascript:")
    links = run.links("overwritten")
    assert not links["Segmind output"]
    assert links["Segmind model"] == KLING


def first(output: str | list[str]) -> str:
    """Return the address of the first file of an output."""
    return output if isinstance(output, str) else output[0]
