"""A DAG run with a limit on what it costs, in a real Airflow. The emulator's ledger is the judge."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_segmind.api.request_ids import submit_name
from airflow_provider_segmind.durability.backends import OPTION, records_folder
from airflow_provider_segmind.durability.expense import Limit
from airflow_provider_segmind.durability.run_expenses import RunExpenses, instance_of
from airflow_provider_segmind.durability.spending import Ledger, Spending
from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.exceptions import RecordUnavailableError, SpendingLimitError
from harness.storage import DOWN, S3
from tests.task_instance import Ti

Run = Callable[..., dict[str, Any]]


def ends(tasks: dict[str, Any]) -> Counter[tuple[str, int]]:
    return Counter((task.state, task.try_number) for name, task in tasks.items() if name.startswith("make"))


def test_mapped_tasks_share_the_limit_of_their_run(
    emulator: RunningEmulator,
    run_dag: Run,
    said: Callable[[], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_PATH", str(tmp_path / "records"))
    tasks = run_dag("spending")
    assert ends(tasks) == {("success", 1): 3, ("failed", 1): 2}, "no retry can help"
    assert tasks["flow"].state == "success", "its price is within what is left"
    assert emulator.ledger()["total"] == 1.51
    assert emulator.ledger()["submits"] == 4
    assert "max_cost_per_run is 1.60 USD, and this DAG run has spent 1.50 USD" in said()
    again = run_dag("spending")
    assert ends(again) == {("success", 1): 3, ("failed", 1): 2}, "another run counts for itself"
    files = list((tmp_path / "records").glob("spending/*/*.json"))
    assert len(files) == 8
    assert sum(json.loads(file.read_text())["usd"] for file in files) == pytest.approx(3.02)


def test_a_failed_request_leaves_room_for_its_retry(
    emulator: RunningEmulator, run_dag: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_PATH", str(tmp_path / "records"))
    emulator.faults({"on": "submit", "model": "mock-inference", "count": 2, "outcome": "failed"})
    tasks = run_dag("spending", limit=2.6)
    assert {task.state for task in tasks.values()} == {"success"}
    assert emulator.ledger()["submits"] == 8
    assert emulator.ledger()["total"] == 2.51


@pytest.fixture
def records(storage: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_PATH", "s3://products/records")
    monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_CONN_ID", "storage")


def spending_of(map_index: int, limit: float) -> tuple[Spending, RunExpenses]:
    ti: Any = Ti()
    ti.map_index, ti.run_id = map_index, "on_s3"
    folder = records_folder()
    assert folder is not None
    expenses = RunExpenses(ti, folder, OPTION)
    ledger = Ledger(Limit("max_cost_per_run", limit, "this DAG run", needs_price=True), expenses)
    return Spending(lambda: [ledger], 0.5, f"run[{map_index}]", instance_of(ti)), expenses


def test_tasks_at_once_share_a_limit_in_a_bucket(records: None, bucket: Any) -> None:
    def reserve(index: int) -> bool:
        spending, _ = spending_of(index, 1.1)
        submit = submit_name(1795435200.25 + index)
        try:
            spending.reserve(submit, "m", None)
        except SpendingLimitError:
            return False
        spending.accept(submit, f"r{index}")
        spending.charge(0.55, request_id=f"r{index}")
        return True

    with ThreadPoolExecutor(6) as pool:
        went_on = list(pool.map(reserve, range(6)))
    assert 1 <= sum(went_on) <= 2
    keys = [each.key for each in bucket.objects.filter(Prefix="records/spending/")]
    assert len(keys) == sum(went_on)
    assert all(key.endswith("-550000-charged.json") for key in keys)


def test_a_bucket_that_cannot_be_reached_stops_tasks(records: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_STORAGE_DOWN", json.dumps(DOWN))
    monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_CONN_ID", "storage_down")
    with pytest.raises(
        RecordUnavailableError, match=r"what this DAG run has spent, s3://products/records/spending"
    ):
        spending_of(0, 1)[0].reserve(submit_name(1795435200.25), "m", None)
