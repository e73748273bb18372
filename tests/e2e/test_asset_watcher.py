"""A DAG that runs when any request of the account ends: one event for each, also if the triggerer is killed."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import version
from importlib.util import find_spec
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


def has_s3() -> bool:
    return all(find_spec(name) is not None for name in ("moto", "s3fs", "airflow.providers.amazon"))


IN_A_BUCKET = pytest.param(
    "in a bucket", marks=pytest.mark.skipif(not has_s3(), reason="there is no S3 server: moto is not installed")
)


@pytest.mark.parametrize("kept", ["by default", IN_A_BUCKET])
def test_each_request_is_one_event_also_if_the_triggerer_is_killed(tmp_path: Path, kept: str) -> None:
    """In a bucket, with both connections in Airflow's database: a triggerer asks its supervisor for them."""
    (tmp_path / "dags").mkdir()
    shutil.copy(DAGS / f"{DAG_ID}.py", tmp_path / "dags")
    segmind = EmulatedSegmind()
    in_a_bucket = kept == "in a bucket"
    records = {} if HAS_ASSET_STATES else {"SEGMIND__RECORDS_PATH": tmp_path / "records"}
    if in_a_bucket:
        records = {"SEGMIND__RECORDS_PATH": "s3://watched/records", "SEGMIND__RECORDS_CONN_ID": "stored_storage"}
    settings = {**NOTICE_DEATHS_SOON, **records}
    with Cluster(
        tmp_path,
        dags=tmp_path / "dags",
        triggerers=0,
        segmind=segmind,
        bucket="watched" if in_a_bucket else None,
        settings=settings,
        environment={"WATCHED_CONN_ID": "stored_segmind"} if in_a_bucket else {},
        seconds=SECONDS_FOR_ALL,
    ) as cluster:
        if in_a_bucket:
            stored = {"segmind": segmind.connection(), "storage": cluster.storage.connection}
            for name, definition in stored.items():
                cluster.command("connections", "add", f"stored_{name}", "--conn-json", json.dumps(definition))
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
        if in_a_bucket:
            assert cluster.storage.sizes("records/watches/"), "the watermark is there"
        assert segmind.ledger()["submits"] == 1 + len(first) + len(second) + 1
    assert processes_below(tmp_path) == []


def ended_runs(cluster: Cluster) -> list[Any]:
    runs = cluster.api.get_all("dag_runs", f"/dags/{DAG_ID}/dagRuns")
    return [run for run in runs if run["state"] == "success"]
