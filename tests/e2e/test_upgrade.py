"""
Workers and triggerers with different releases of the provider, while tasks are deferred.

There is no second release yet. The test makes one of the present code: it writes its forms with a higher version
and with a key that the present release does not know. Once there is a release, it takes the part of the older one.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

import airflow_provider_segmind
from harness import NOTICE_DEATHS_SOON, Cluster, EmulatedSegmind, Run, processes_below

DAGS = Path(__file__).parent / "dags"
PACKAGE = Path(airflow_provider_segmind.__file__).parent
TASKS = 3
JOB_SECONDS = 3600.0
FAULTS = [
    "on=submit,drop=after,count=1",  # one task searches the history
    "on=submit,status=429,reset_in=3,count=1",  # one waits for its turn
]

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(900, method="signal"),  # the other method would leave processes
    pytest.mark.skipif(Version(airflow_version) < Version("3.3"), reason="only Airflow 3.3 and later remember"),
]


def make_next_release(folder: Path) -> dict[str, str]:
    """Copy the package as its next release, and return the environment of a process that uses it."""
    copy = folder / PACKAGE.name
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    changed = 0
    for path in copy.rglob("*.py"):
        text = path.read_text()
        new = re.sub(r"(VERSION(?:: ClassVar\[int\])?) = 1\b", r"\1 = 2", text)
        new, count = re.subn(r'"version": ', '"novelty": {"of": ["the next release"]}, "version": ', new)
        changed += count
        path.write_text(new)
    assert changed > 5
    used = f"import pathlib\npathlib.Path({str(folder / 'used')!r}).touch()\n"
    (copy / "__init__.py").write_text((copy / "__init__.py").read_text() + used)
    return {"PYTHONPATH": str(folder)}


def deferred(run: Run) -> int:
    return sum(row.state == "deferred" for row in run.rows())


@pytest.mark.parametrize("first", ["workers", "triggerers"])
def test_tasks_that_are_deferred_during_an_upgrade_pay_once(tmp_path: Path, first: str) -> None:
    newer = make_next_release(tmp_path / "next")
    workers, triggerers = (newer, {}) if first == "workers" else ({}, newer)
    segmind = EmulatedSegmind(latency=JOB_SECONDS, retention=2 * JOB_SECONDS, fault=FAULTS)
    with Cluster(
        tmp_path / "cluster",
        dags=DAGS,
        triggerers=0,
        schedulers=0,
        segmind=segmind,
        settings=NOTICE_DEATHS_SOON,
    ) as cluster:
        cluster.start("scheduler", workers)
        run = cluster.run("three_clips")
        cluster.until("all tasks to be deferred", lambda: deferred(run) == TASKS)
        cluster.start("triggerer", {"PYTHONPATH": "", **triggerers})
        cluster.until("all submits to have a request", lambda: len(segmind.charged_ids()) == TASKS)
        cluster.until("all tasks to wait", lambda: deferred(run) == TASKS)
        segmind.advance(JOB_SECONDS)
        cluster.until("the run to succeed", run.has_succeeded)

        requests = {run.xcom(row.task_id, "request_id") for row in run.rows()}
        assert [(row.state, row.try_number) for row in run.rows()] == [("success", 1)] * TASKS
        assert sorted(segmind.charged_ids()) == sorted(requests)
        assert (tmp_path / "next" / "used").exists()
    assert processes_below(tmp_path) == []
