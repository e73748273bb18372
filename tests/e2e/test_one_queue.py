"""Airflow's own means against a limit that several machines share, as docs/rate-limits.md names them."""

from __future__ import annotations

import re
import shlex
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

from harness import Cluster, EmulatedSegmind, processes_below

DOCS = Path(__file__).parents[2] / "docs"
DAGS = Path(__file__).parent / "dags"
TASK_ID = "make_clip"
CLIPS = 6
AT_ONCE = 3
SECONDS = 600.0
"""How long one wait may take, on a machine that is busy with other things."""
JOB_SECONDS = 1800.0
"""Longer than the test takes: no job ends before the test says so."""

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1800, method="signal"),  # the other method would leave processes
    pytest.mark.skipif(Version(airflow_version) < Version("3.2"), reason="triggerers have queues from 3.2 on"),
]


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text()


def test_a_pool_bounds_what_is_under_way_and_one_triggerer_waits_for_all(tmp_path: Path) -> None:
    segmind = EmulatedSegmind(latency=JOB_SECONDS, retention=4 * JOB_SECONDS)
    with Cluster(
        tmp_path,
        dags=DAGS,
        triggerers=0,
        slots=CLIPS,
        segmind=segmind,
        settings={"TRIGGERER__QUEUES_ENABLED": True},
        seconds=SECONDS,
    ) as cluster:
        commands = re.findall(r"^airflow (triggerer --queues \w+)$", page("production"), re.MULTILINE)
        names = {}
        for component, *arguments in map(shlex.split, commands):
            names[arguments[-1]] = cluster.start(component, arguments=arguments).name
        (pool,) = re.findall(r"`airflow (pools set .*?)`", page("rate-limits"), re.DOTALL)
        cluster.command(*shlex.split(pool.replace("segmind 20", f"segmind {AT_ONCE}")))
        run = cluster.run("one_queue")

        def waiting() -> list[str]:
            return [row.triggerer for row in run.rows(TASK_ID) if row.state == "deferred" and row.triggerer]

        for submits in range(AT_ONCE, CLIPS + 1, AT_ONCE):
            cluster.until(f"{submits} submits", lambda submits=submits: segmind.ledger()["submits"] == submits)
            cluster.until("the pool to be full", lambda: len(waiting()) == AT_ONCE)
            assert waiting() == [names["segmind"]] * AT_ONCE
            segmind.advance(JOB_SECONDS)

        cluster.until("the run to succeed", run.has_succeeded)
        charges = [datetime.fromisoformat(each["at"]) for each in segmind.ledger()["charges"]]
        assert len(charges) == CLIPS
        job = timedelta(seconds=JOB_SECONDS)
        assert all(later - earlier >= job for earlier, later in zip(charges, charges[AT_ONCE:], strict=False))
    assert processes_below(tmp_path) == []
