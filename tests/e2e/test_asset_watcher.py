"""A DAG that runs when any request of the account ends: one event for each, also if the triggerer is killed."""

from __future__ import annotations

import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from harness import AIRFLOW_2, NOTICE_DEATHS_SOON, Cluster, EmulatedSegmind, processes_below

DAGS = Path(__file__).parent / "dags"
DAG_ID = "on_any_request"
SECONDS_FOR_ALL = 300.0
HAS_ASSET_STATES = Version(version("apache-airflow")).release >= (3, 3)
"""Whether the watch keeps there what it has reported. If not, it keeps it in files."""

pytestmark = [
    pytest.mark.timeout(SECONDS_FOR_ALL + 60, method="signal"),
    pytest.mark.skipif(AIRFLOW_2, reason="before Airflow 3.0, assets have no watchers"),
]


def submit(segmind: EmulatedSegmind) -> str:
    """Submit a request that ends at once."""
    return str(segmind.ask("POST", "/v2/mock-inference", {"sleep": 0, "credits": 0.01})["request_id"])


def reported(cluster: Cluster) -> list[str]:
    """Return the ids of the requests that the asset has events of, the first one first."""
    events = cluster.api.get_all("asset_events", "/assets/events", order_by="timestamp")
    assert all(event["extra"]["from_trigger"] for event in events)
    return [event["extra"]["payload"]["request_id"] for event in events]


def test_each_request_is_one_event_also_if_the_triggerer_is_killed(tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    shutil.copy(DAGS / f"{DAG_ID}.py", tmp_path / "dags")
    segmind = EmulatedSegmind()
    records = {} if HAS_ASSET_STATES else {"SEGMIND__RECORDS_PATH": tmp_path / "records"}
    settings = {**NOTICE_DEATHS_SOON, **records}
    with Cluster(
        tmp_path,
        dags=tmp_path / "dags",
        triggerers=0,
        segmind=segmind,
        settings=settings,
        seconds=SECONDS_FOR_ALL,
    ) as cluster:
        before = submit(segmind)
        log = cluster.start("triggerer").log
        cluster.until("a watch", lambda: "that end from now on" in log.read_text(), log=log)
        first = [submit(segmind) for _ in range(3)]
        cluster.until("the events of three requests", lambda: len(reported(cluster)) == len(first))
        cluster.until("a run", lambda: ended_runs(cluster))

        cluster.kill(cluster.processes("triggerer")[0])
        second = [submit(segmind) for _ in range(2)]
        cluster.start("triggerer")
        cluster.until("the events of two more", lambda: len(reported(cluster)) == len(first) + len(second))
        third = submit(segmind)
        cluster.until("the event of the last one", lambda: third in reported(cluster))

        assert sorted(reported(cluster)) == sorted([*first, *second, third])
        assert before not in reported(cluster)
        assert segmind.ledger()["submits"] == 1 + len(first) + len(second) + 1
    assert processes_below(tmp_path) == []


def ended_runs(cluster: Cluster) -> list[Any]:
    runs = cluster.api.get_all("dag_runs", f"/dags/{DAG_ID}/dagRuns")
    return [run for run in runs if run["state"] == "success"]
