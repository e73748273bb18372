"""
All example DAGs, side by side on one real Airflow of any version; and what they do not show of decorated tasks.

`make check-examples` runs this on each Airflow. It takes a few minutes on each.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from harness import AIRFLOW_2, Cluster, EmulatedSegmind, Run, processes_below
from tests.e2e.test_approval import APPROVE, Reviewer
from tests.examples import loadable_examples

DAGS = Path(__file__).parent / "dags"
KLING, PICTURES = "kling-o1-image-to-video", "fast-text-to-image"
APPROVAL = "segmind_approve_clips"
WATCHING = "segmind_on_any_request"
SECONDS_FOR_ALL = 600.0
DEFAULT_CLIPS = Path(tempfile.gettempdir()) / "segmind_clips"
"""Where an example stores that gets no conf, because an asset starts it."""

HAS_RETRY_POLICIES = Version(version("apache-airflow")).release >= (3, 3)

PRELOADED = [f"airflow_provider_segmind.{name}" for name in ("operators.starting", "sensors.waiting")]
"""What each of some sixty tasks would import."""

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(SECONDS_FOR_ALL + 60, method="signal"),  # the other method would leave processes
]


@pytest.fixture(scope="module")
def segmind() -> EmulatedSegmind:
    """Segmind, with models whose requests take as long as their parameter `sleep` says."""
    return EmulatedSegmind(
        latency=1.0,
        model=["decorated-job=mock", "failing-once-job=mock"],
        fault=["on=submit,model=failing-once-job,count=1,outcome=failed"],
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the cluster has everything: the examples that it can load, with their images, and the tests' DAGs."""
    folder = tmp_path_factory.mktemp("cluster")
    for name in ("dags", "notes", "records", "clips"):
        (folder / name).mkdir()
    examples = loadable_examples()
    for dag in (*examples, *(DAGS / f"{name}.py" for name in names_of_dags())):
        shutil.copy(dag, folder / "dags")
    shutil.copytree(examples[0].parent / "images", folder / "dags" / "images")
    return folder


@pytest.fixture(scope="module")
def cluster(folder: Path, segmind: EmulatedSegmind) -> Iterator[Cluster]:
    """An Airflow for all tests of this file: its start takes longer than any of them."""
    settings = {
        "SEGMIND__ALLOWED_LOCAL_PATHS": f"{folder},{DEFAULT_CLIPS}",
        "SEGMIND__RECORDS_PATH": folder / "records",
        "CORE__DEFAULT_TASK_RETRIES": 1,  # of the examples: see below what a busy Airflow 3 does
    }
    with Cluster(
        folder,
        dags=folder / "dags",
        segmind=segmind,
        settings=settings,
        environment={"DECORATED_NOTES": str(folder / "notes")},
        preload=PRELOADED,
        seconds=SECONDS_FOR_ALL,
    ) as cluster:
        yield cluster
    assert processes_below(folder) == []


@pytest.fixture(scope="module")
def runs(cluster: Cluster, segmind: EmulatedSegmind, folder: Path) -> dict[str, Run]:
    """DAGs that run side by side, which takes less time. What runs one task at a time would take minutes."""
    if AIRFLOW_2 and cluster.database.kind == "sqlite":
        return {}
    adopted = segmind.ask("POST", f"/v2/{PICTURES}", {"prompt": "a fox", "samples": 2})["request_id"]
    confs = confs_of_examples(folder, adopted)
    for dag_id in (*LISTENERS, *({WATCHING} & loadable_names())):
        cluster.until(f"the DAG {dag_id}", lambda each=dag_id: cluster.api.knows(each))
        cluster.api.send("PATCH", f"/dags/{dag_id}", {"is_paused": False})
    started = (*names_of_dags(), *confs)
    return {dag_id: cluster.run(dag_id, confs.get(dag_id)) for dag_id in started}


LISTENERS = {"segmind_wait": "segmind_submit", "segmind_on_new_clip": "segmind_make_clip"}
"""Examples that run when another one has ended."""


def confs_of_examples(folder: Path, adopted: str) -> dict[str, dict[str, Any]]:
    """Return what each example that is started is to be run with."""
    images, clips = str(folder / "dags" / "images"), folder / "clips"
    confs: dict[str, dict[str, Any]] = {
        "segmind_adopt_request": {"request_id": adopted, "output_path": f"{clips}/adopted/"},
        "segmind_any_model": {},
        "segmind_budget_check": {"min_credits": 1},
        "segmind_fast_model": {},
        "segmind_fire_and_forget": {},
        "segmind_folder_of_images": {"images": images, "clips": f"{clips}/folder", "expected_duration": 1},
        "segmind_image_to_video": {"expected_duration": 1},
        "segmind_make_clip": {"output_path": f"{clips}/made/clip.mp4"},
        "segmind_submit": {},
        "segmind_taskflow": {"clips": f"{clips}/taskflow"},
        "segmind_workflow": {},
    }
    if APPROVAL in loadable_names():
        confs[APPROVAL] = {"images": images, "clips": f"{clips}/approval", "expected_duration": 1}
    return confs


def names_of_dags() -> list[str]:
    """Return the tests' own DAGs that this Airflow can load."""
    return ["decorated_tasks", *(["retry_policy"] if HAS_RETRY_POLICIES else [])]


def loadable_names() -> set[str]:
    """Return the names of the files of the examples that this Airflow can load."""
    return {each.stem for each in loadable_examples()}


@pytest.mark.parametrize("dag_id", sorted(confs_of_examples(Path("/"), "").keys() - {APPROVAL}))
def test_an_example_runs(cluster: Cluster, runs: dict[str, Run], dag_id: str) -> None:
    run = _started(runs, dag_id)
    cluster.until(f"{dag_id} to succeed", run.has_succeeded)
    assert {row.state for row in run.rows()} == {"success"}


@pytest.mark.parametrize(("dag_id", "origin"), LISTENERS.items())
def test_an_example_runs_after_another_one(
    cluster: Cluster, runs: dict[str, Run], dag_id: str, origin: str
) -> None:
    cluster.until(f"{origin} to succeed", _started(runs, origin).has_succeeded)
    (found,) = cluster.until(f"a run of {dag_id}", lambda: cluster.api.get(f"/dags/{dag_id}/dagRuns")["dag_runs"])
    run = Run(cluster.api, dag_id, found["dag_run_id"])
    cluster.until(f"{dag_id} to succeed", run.has_succeeded)
    assert {row.state for row in run.rows()} == {"success"}
    if dag_id == "segmind_wait":
        (DEFAULT_CLIPS / f"{run.xcom('wait', 'request_id', 0)}.mp4").unlink()


def test_an_example_runs_when_any_request_ends(
    cluster: Cluster, runs: dict[str, Run], segmind: EmulatedSegmind
) -> None:
    if WATCHING not in loadable_names():
        pytest.skip("before Airflow 3.0, assets have no watchers")

    def has_succeeded() -> bool:
        found = (cluster.api.get(f"/dags/{WATCHING}/dagRuns") or {}).get("dag_runs", [])
        return any(run["state"] == "success" for run in found)

    log = cluster.processes("triggerer")[0].log
    cluster.until("a watch", lambda: "that end from now on" in log.read_text(), log=log)
    segmind.ask("POST", f"/v2/{PICTURES}", {"prompt": "a fox"})
    cluster.until("a run for a request of anybody", has_succeeded)


def test_an_example_asks_a_person(cluster: Cluster, runs: dict[str, Run], folder: Path) -> None:
    if APPROVAL not in loadable_names():
        pytest.skip("before Airflow 3.1, no task can ask a person")
    run = _started(runs, APPROVAL)
    reviewer = Reviewer(cluster, run)
    for index in range(3):
        reviewer.question("review.approve", index)
        reviewer.answer("review.approve", index, APPROVE, other_prompt="")
    cluster.until(f"{APPROVAL} to succeed", run.has_succeeded)
    assert len(list((folder / "clips" / "approval" / "published").glob("*.mp4"))) == 3


def test_the_examples_paid_once_for_each_output_and_stored_it(
    cluster: Cluster, runs: dict[str, Run], segmind: EmulatedSegmind, folder: Path
) -> None:
    """Last of the examples: each has ended."""
    _started(runs, "segmind_taskflow")
    for run in runs.values():
        cluster.until(f"{run.dag_id} to end", run.has_ended)
    stored = Counter(path.parent.name for path in (folder / "clips").rglob("*.mp4"))
    assert (stored["folder"], stored["taskflow"], stored["made"]) == (3, 3, 1)
    assert len(list((folder / "clips" / "adopted").glob("*.png"))) == 2
    approved = stored["drafts"]
    assert approved == (3 if APPROVAL in runs else 0)
    # One each of image_to_video, fire_and_forget, make_clip and submit.
    assert len(segmind.charged_ids(KLING)) == 4 + stored["folder"] + stored["taskflow"] + approved


def test_a_decorated_function_runs_once_in_an_attempt_and_is_paid_once(
    cluster: Cluster, runs: dict[str, Run], segmind: EmulatedSegmind, folder: Path
) -> None:
    """Three map indexes defer and are resumed. One process is killed after it has paid; the next one continues."""
    run = _started(runs, "decorated_tasks")
    cluster.until("the run to end", run.has_ended)
    (died,) = run.rows("dies")
    if died.state == "failed":  # Airflow 3.0 does not retry a task whose process was killed
        run.clear("dies")
    cluster.until("the run to succeed", run.has_succeeded)

    calls = Counter(path.name.rpartition("-")[0] for path in (folder / "notes").iterdir())
    # A busy Airflow 3 takes a task for dead that resumes before it has heard of the deferral, and tries again.
    assert calls == {"dies": 2, **{f"draw_{row.map_index}": row.try_number for row in run.rows("draw")}}
    requests = [run.xcom("draw", "request_id", index) for index in range(3)] + [run.xcom("dies", "request_id")]
    assert sorted(segmind.charged_ids("decorated-job")) == sorted(requests)
    sent = [each for each in segmind.ledger()["charges"] if each["model"] == "decorated-job"]
    assert [each["parameters"]["calls"] for each in sent if "calls" in each["parameters"]] == [1]


def test_a_retry_policy_decides_when_to_try_again(
    cluster: Cluster, runs: dict[str, Run], segmind: EmulatedSegmind
) -> None:
    """Without the policy, the next attempt would begin after an hour."""
    if not HAS_RETRY_POLICIES:
        pytest.skip("before Airflow 3.3, there are no retry policies")
    run = _started(runs, "retry_policy")
    cluster.until("the run to succeed", run.has_succeeded)
    assert [row.try_number for row in run.rows()] == [2]
    assert segmind.charged_ids("failing-once-job") == [run.xcom("fails_once", "request_id")]


def _started(runs: dict[str, Run], dag_id: str) -> Run:
    if dag_id not in runs:
        pytest.skip("the SequentialExecutor runs nothing beside a task")
    return runs[dag_id]
