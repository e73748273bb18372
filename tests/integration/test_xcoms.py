"""What a task leaves in Airflow's database, as docs/xcoms.md says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

from airflow_provider_segmind.api.answers import DATABASE_LIMIT
from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.hooks.segmind import SegmindHook
from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

Run = Callable[..., dict[str, Any]]
REMEMBERS = Version(airflow_version) >= Version("3.3")
LINK = "_link_"
LINKS = (
    {"_link_KlingModelLink", "_link_SegmindOutputLink"} if Version(airflow_version) >= Version("3.0") else set()
)
GUIDES = Path(__file__).parents[2] / "docs" / "howto"
XCOM = re.compile(r"^\| `(\w+)` \| (.*?) \| .*? \|$", re.MULTILINE)
MODES = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "blocking"])


def kept_bytes(dag_id: str, task_id: str) -> dict[str, int]:
    """
    Return the keys of the XComs of a task in the last run of its DAG, and the bytes of each value.

    Those that Airflow 3 makes of links are left out: see ``kept_links``.
    """
    return {key: size for key, size in rows_of(dag_id, task_id).items() if not key.startswith(LINK)}


def kept_links(dag_id: str, task_id: str) -> dict[str, int]:
    """Return the same of what Airflow 3 makes of the links on the task's page."""
    return {key: size for key, size in rows_of(dag_id, task_id).items() if key.startswith(LINK)}


def rows_of(dag_id: str, task_id: str) -> dict[str, int]:
    from airflow.utils.session import create_session
    from sqlalchemy import text

    newest = "SELECT run_id FROM dag_run WHERE dag_id = :dag ORDER BY id DESC LIMIT 1"
    rows = f"SELECT key, length(value) FROM xcom WHERE dag_id = :dag AND task_id = :task AND run_id = ({newest})"  # noqa: S608
    with create_session() as session:
        found = [tuple(row) for row in session.execute(text(rows), {"dag": dag_id, "task": task_id})]
    assert len(dict(found)) == len(found)
    return dict(found)


class Ti:
    """A task instance whose XCom backend refuses some keys."""

    dag_id, run_id, task_id, map_index, max_tries, try_number = "quiet", "manual", "clip", -1, 0, 1

    def __init__(self, *refused: str) -> None:
        self.refused = refused
        self.pushed: list[tuple[str, Any]] = []

    def xcom_push(self, key: str, value: Any) -> None:
        if key in self.refused:
            raise RuntimeError(f"the backend does not take {key}")
        self.pushed.append((key, json.loads(json.dumps(value))))

    def xcom_pull(self, **_: Any) -> None:
        return None


def kling(**arguments: Any) -> KlingImageToVideoOperator:
    return KlingImageToVideoOperator(
        task_id="clip",
        prompt="zoom",
        start_image_url="https://example.com/a.png",
        deferrable=False,
        poll_interval=0.1,
        **arguments,
    )


@pytest.mark.timeout(400)  # five tasks, one after the other
def test_the_reference_has_each_xcom_and_its_shape(emulator: RunningEmulator, run_dag: Run) -> None:
    """The page about each operator and sensor: the first word in the column "shape" is the type of the value."""
    tasks = run_dag("reference")
    assert len(tasks) == 5
    for name, task in tasks.items():
        page = (GUIDES / f"{name}.md").read_text()
        (table,) = re.findall(r"^\| key \| shape \|.*?(?=\n\n)", page, re.DOTALL | re.MULTILINE)
        shapes = {key: set(re.findall(r"`(\w+)`", shape)) for key, shape in XCOM.findall(table)}
        assert (name, task.state) == (name, "success")
        assert kept_bytes("reference", name).keys() == shapes.keys(), name
        values = {**task.xcoms, "return_value": task.value}
        for key, shape in shapes.items():
            assert type(values[key]).__name__ in shape, (name, key)


@MODES
def test_a_stored_clip_takes_three_rows_and_one_for_each_link(
    emulator: RunningEmulator, run_dag: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deferrable: bool
) -> None:
    monkeypatch.setenv("AIRFLOW__SEGMIND__ALLOWED_LOCAL_PATHS", str(tmp_path))
    target = tmp_path / "clip.mp4"
    clip = run_dag("kling", output_path=str(target), deferrable=deferrable)["clip"]
    kept = kept_bytes("kling", "clip")
    assert kept.keys() == {"request_id", "summary", "return_value"}
    links = kept_links("kling", "clip")
    assert links.keys() == LINKS
    assert sum(kept.values()) + sum(links.values()) < 1024
    sha256 = clip.file["sha256"]
    assert clip.summary == {
        "request_id": clip.xcoms["request_id"],
        "model": "kling-o1-image-to-video",
        "cost": 0.91,
        "remaining_credits": 99.09,
        "queue_time": clip.summary["queue_time"],
        "inference_time": clip.summary["inference_time"],
        "total_time": clip.summary["total_time"],
        "file_count": 1,
        "files": [
            {
                "url": clip.value,
                "output_path": str(target),
                "bytes": target.stat().st_size,
                "sha256": sha256,
                "content_type": "video/mp4",
            }
        ],
    }
    assert clip.summary["total_time"] > 0


def test_the_whole_result_is_pushed_if_it_is_asked_for(emulator: RunningEmulator, run_dag: Run) -> None:
    clip = run_dag("kling", push_result=True)["clip"]
    assert clip.xcoms["result"]["video"]["url"] == clip.value
    assert kept_bytes("kling", "clip").keys() == {"request_id", "summary", "result", "return_value"}


def test_tasks_that_are_to_push_nothing_push_what_keeps_them_from_paying_twice(
    emulator: RunningEmulator, run_dag: Run
) -> None:
    request_id = SegmindHook().submit("fast-text-to-image", {"prompt": "a fox"}).request_id
    tasks = run_dag("quiet", request_id=request_id)
    assert {task.state for task in tasks.values()} == {"success"}
    kept = {name: set(kept_bytes("quiet", name)) for name in ("alone", "mapped", "sync", "wait")}
    assert kept == {
        "alone": set() if REMEMBERS else {"request_id"},
        "mapped": {"request_id"},
        "sync": set(),
        "wait": set(),
    }


def test_the_url_is_pushed_before_the_output_is_stored(
    emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__SEGMIND__ALLOWED_LOCAL_PATHS", str(tmp_path))
    ti = Ti()
    value = kling(output_path=str(tmp_path / "clip.mp4")).execute({"ti": ti, "outlet_events": {}})
    (_, first), (_, last) = [each for each in ti.pushed if each[0] == "summary"]
    assert first["files"] == [{"url": value}]
    assert last["files"] == [{**last["files"][0], "url": value, "output_path": str(tmp_path / "clip.mp4")}]


def test_a_summary_that_cannot_be_pushed_does_not_cost_the_delivery(
    emulator: RunningEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    ti = Ti("summary", "result")
    value = kling(push_result=True).execute({"ti": ti, "outlet_events": {}})
    assert value.endswith(".mp4")
    assert [key for key, _ in ti.pushed] == ["request_id"]
    assert "the backend does not take summary" in caplog.text
    assert "the backend does not take result" in caplog.text


def test_a_result_that_is_too_large_is_not_pushed(
    emulator: RunningEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.faults({"on": "result", "json": {"status": "COMPLETED", "output": "w" * DATABASE_LIMIT}})
    ti = Ti()
    operator = SegmindInferenceOperator(
        task_id="clip", model="mock-text", deferrable=False, poll_interval=0.1, push_result=True
    )
    assert len(operator.execute({"ti": ti, "outlet_events": {}})) == DATABASE_LIMIT
    assert [key for key, _ in ti.pushed] == ["request_id", "summary"]
    assert "is not pushed to XCom" in caplog.text
