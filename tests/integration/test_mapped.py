"""Mapped tasks whose parameters are the same, and of which some lose the answers to their submits."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_segmind.emulator.running import RunningEmulator

pytestmark = pytest.mark.long

Run = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(("dag_id", "instances", "lost"), [("mapped", 4, 2), ("mapped_many", 50, 5)])
def test_mapped_tasks_with_the_same_parameters_each_get_their_own(
    emulator: RunningEmulator,
    run_dag: Run,
    monkeypatch: pytest.MonkeyPatch,
    dag_id: str,
    instances: int,
    lost: int,
) -> None:
    """They wait until no sibling's submit can be under way: three attempts of half a second here."""
    monkeypatch.setattr("airflow_provider_segmind.durability.submission.HISTORY_LAG", 3.0)
    monkeypatch.setattr("airflow_provider_segmind.durability.submission.latest_usual_duration", lambda *_: 0.0)
    monkeypatch.setattr("airflow_provider_segmind.api.history_search.FIRST_PAUSE", 0.5)
    connection = emulator.connection()
    connection["extra"]["timeout"] = 0.5
    monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", json.dumps(connection))
    emulator.faults({"on": "submit", "count": lost, "drop": "after"})
    tasks = run_dag(dag_id)
    ids = [task.xcoms["request_id"] for task in tasks.values()]
    assert {task.state for task in tasks.values()} == {"success"}
    assert len(set(ids)) == len(ids) == emulator.ledger()["submits"] == emulator.ledger()["count"] == instances
