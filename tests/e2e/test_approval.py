"""Clips that a person approves, rejects, or has made again: through Airflow's API, as its page does."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from harness import Cluster, EmulatedSegmind, Run, processes_below

EXAMPLES = Path(__file__).parents[2] / "example_dags"
SECONDS_FOR_ALL = 420.0
APPROVE, REJECT = "Approve", "Reject"
OTHER_PROMPT = "The camera zooms in on the leaves"

pytestmark = [
    pytest.mark.timeout(SECONDS_FOR_ALL + 60, method="signal"),
    pytest.mark.skipif(
        Version(version("apache-airflow")).release < (3, 1), reason="before Airflow 3.1, no task can ask a person"
    ),
]


class Reviewer:
    """A person who answers what the tasks of a run ask."""

    def __init__(self, cluster: Cluster, run: Run) -> None:
        self._cluster, self._run = cluster, run

    def question(self, task_id: str, map_index: int) -> Mapping[str, Any]:
        """
        Return what a task asks, when it does, and may be answered.

        An answer that comes before the scheduler has heard that the worker has left fails the task: Airflow takes
        the news for that of the task's end. No person is as fast.
        """
        path = self._path(task_id, map_index)
        news = re.compile(rf"executor event with state success .*task_id='{task_id}',.*map_index={map_index}\)")
        log = self._cluster.process("scheduler-1").log
        self._cluster.until(f"a scheduler that knows of {task_id}", lambda: news.search(log.read_text()))
        return self._cluster.until(f"{task_id} {map_index} to ask", lambda: self._cluster.api.get(path))  # type: ignore[no-any-return]

    def answer(self, task_id: str, map_index: int, option: str, **fields: str) -> None:
        """
        Choose an option, and fill the form in.

        Airflow's page sends all fields of the form. On 3.1, the params of the DAG are among them.
        """
        path = self._path(task_id, map_index)
        shown = self._cluster.api.get(path)["params"] or {}
        form = {name: each["value"] if isinstance(each, dict) else each for name, each in shown.items()}
        answer = {"chosen_options": [option], "params_input": {**form, **fields}}
        self._cluster.api.send("PATCH", path, answer)

    def _path(self, task_id: str, map_index: int) -> str:
        run = f"/dags/{self._run.dag_id}/dagRuns/{self._run.run_id}"
        return f"{run}/taskInstances/{task_id}/{map_index}/hitlDetails"


def test_a_clip_is_published_when_a_person_approves_it(tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    shutil.copy(EXAMPLES / "segmind_approve_clips.py", tmp_path / "dags")
    clips = tmp_path / "clips"
    segmind = EmulatedSegmind(latency=1.0)
    settings = {"SEGMIND__ALLOWED_LOCAL_PATHS": f"{tmp_path},{EXAMPLES / 'images'}"}
    with Cluster(
        tmp_path, dags=tmp_path / "dags", segmind=segmind, settings=settings, seconds=SECONDS_FOR_ALL
    ) as cluster:
        conf = {"images": str(EXAMPLES / "images"), "clips": str(clips), "expected_duration": 1}
        run = cluster.run("segmind_approve_clips", conf)
        reviewer = Reviewer(cluster, run)
        lamp, mug, plant = range(3)

        for index in (lamp, mug, plant):
            question = reviewer.question("review.approve", index)
            url = run.xcom("review.make_clip", map_index=index)
            assert url.endswith(".mp4")
            assert f"[Watch the clip]({url})" in question["body"]
            assert question["options"] == [APPROVE, REJECT]
        assert segmind.ledger()["count"] == 3
        assert names_in(clips / "published") == []

        reviewer.answer("review.approve", lamp, APPROVE, other_prompt="")
        reviewer.answer("review.approve", mug, REJECT, other_prompt="  ")
        reviewer.answer("review.approve", plant, REJECT, other_prompt=OTHER_PROMPT)
        question = reviewer.question("review.approve_other", plant)
        assert f"({run.xcom('review.make_other_clip', map_index=plant)})" in question["body"]
        reviewer.answer("review.approve_other", plant, APPROVE)
        cluster.until("the run to end", run.has_succeeded)

        states = {(row.task_id.removeprefix("review."), row.map_index): row.state for row in run.rows()}
        for index, first, other in ((lamp, "success", "skipped"), (mug, "skipped", "skipped")):
            assert (states["publish", index], states["publish_other", index]) == (first, other)
        assert (states["publish", plant], states["publish_other", plant]) == ("skipped", "success")
        assert names_in(clips / "published") == ["lamp.jpg.mp4", "plant.jpg.mp4"]
        published = (clips / "published" / "plant.jpg.mp4").read_bytes()
        assert published == (clips / "other_drafts" / "plant.jpg.mp4").read_bytes()

        ledger = segmind.ledger()
        assert (ledger["submits"], ledger["count"]) == (4, 4)
        assert [each["parameters"]["prompt"] for each in ledger["charges"]].count(OTHER_PROMPT) == 1
    assert processes_below(tmp_path) == []


def names_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir() if each.is_file()) if folder.exists() else []
