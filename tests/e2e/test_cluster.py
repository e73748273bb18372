"""An Airflow with two of everything loses a triggerer; another one has none for a while."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

from harness import (
    NOTICE_DEATHS_SOON,
    Cluster,
    EmulatedSegmind,
    processes_below,
)

DAGS = Path(__file__).parent / "dags"
TASK_ID = "make_clip"
CLIPS = 4
SECONDS = 600.0
"""How long one wait may take, on a machine that is busy with other things."""
JOB_SECONDS = 3600.0
"""Longer than the test takes: no job ends before the test says so."""

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1800, method="signal"),  # the other method would leave processes
    pytest.mark.skipif(Version(airflow_version) < Version("3.3"), reason="only Airflow 3.3 and later remember"),
]


@pytest.mark.usefixtures("cluster_services")
def test_each_clip_is_paid_once_when_one_of_two_triggerers_dies(tmp_path: Path) -> None:
    segmind = EmulatedSegmind(latency=JOB_SECONDS, retention=2 * JOB_SECONDS)
    with Cluster(
        tmp_path,
        dags=DAGS,
        database="postgresql",
        executor="celery",
        slots=2,
        schedulers=2,
        triggerers=2,
        workers=2,
        segmind=segmind,
        settings=NOTICE_DEATHS_SOON,
        seconds=SECONDS,
    ) as cluster:
        run = cluster.run("clips")

        def triggerers() -> list[str]:
            return [row.triggerer for row in run.rows(TASK_ID) if row.triggerer]

        cluster.until("all clips to be waited for", lambda: len(triggerers()) == CLIPS)
        killed = triggerers()[0]
        cluster.kill(cluster.process(killed))
        cluster.until(
            "the other triggerer to wait for all",
            lambda: len(triggerers()) == CLIPS and killed not in triggerers(),
        )
        segmind.advance(JOB_SECONDS)
        cluster.until("the run to succeed", run.has_succeeded)

        rows = run.rows(TASK_ID)
        assert [(row.state, row.try_number) for row in rows] == [("success", 1)] * CLIPS
        assert {row.process for row in rows} <= {"worker-1", "worker-2"}
        requests = {run.xcom(TASK_ID, "request_id", row.map_index) for row in rows}
        assert len(requests) == CLIPS
        assert sorted(segmind.charged_ids()) == sorted(requests)
        assert segmind.ledger()["submits"] == CLIPS
    assert processes_below(tmp_path) == []


def test_a_task_that_no_triggerer_waits_for_pays_once(tmp_path: Path) -> None:
    segmind = EmulatedSegmind(latency=JOB_SECONDS, retention=2 * JOB_SECONDS)
    with Cluster(
        tmp_path, dags=DAGS, triggerers=0, segmind=segmind, settings=NOTICE_DEATHS_SOON, seconds=SECONDS
    ) as cluster:
        run = cluster.run("impatient")
        cluster.until("both attempts to end", run.has_ended)

        (row,) = run.rows()
        assert (row.state, row.try_number) == ("failed", 2)
        (request_id,) = segmind.charged_ids()
        assert segmind.ledger()["submits"] == 1
        logs = sorted(cluster.logs.glob("tasks/dag_id=impatient/**/attempt=*.log"))
        first, second = (log.read_text() for log in logs)
        assert f"Submitted request {request_id}" in first
        assert f"The wait for request {request_id} was interrupted" in second
    assert processes_below(tmp_path) == []
