"""The events of assets in a real Airflow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_provider_segmind.emulator.running import RunningEmulator
from tests.integration.test_examples import make_assets_known

Run = Callable[..., dict[str, Any]]


def test_an_alias_gets_an_event_for_each_stored_file_and_none_for_a_url_that_expires(
    emulator: RunningEmulator, run_dag: Run, tmp_path: Path
) -> None:
    make_assets_known(Path(__file__).parent / "dags")
    assert run_dag("alias")["pictures"].state == "success"
    assert run_dag("alias_reader")["read"].value == []

    made = run_dag("alias", output_path=f"{tmp_path}/ü#.png")["pictures"]
    events = run_dag("alias_reader")["read"].value
    (charge,) = emulator.ledger()["charges"][1:]
    paths = made.xcoms["output_path"]
    assert [uri for uri, _ in events] == [f"file://{tmp_path}/%C3%BC%23-{number}.png" for number in (1, 2)]
    assert [extra["output_path"] for _, extra in events] == paths
    assert [extra["url"] for _, extra in events] == made.value
    assert {extra["request_id"] for _, extra in events} == {charge["request_id"]}
    assert {(extra["model"], extra["cost"]) for _, extra in events} == {("fast-text-to-image", charge["amount"])}
