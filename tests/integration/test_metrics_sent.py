"""What a real Airflow counts, as a StatsD server on loopback has it. The emulator knows what was spent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
from tests.statsd_server import StatsdServer, airflow_sending_to, plain_statsd, statsd_server

Run = Callable[..., dict[str, Any]]
KLING = "kling-o1-image-to-video"
REMEMBERS = Version(airflow_version) >= Version("3.3")
EXAMPLES = Path(__file__).parents[2] / "example_dags"


@pytest.fixture
def statsd() -> Iterator[StatsdServer]:
    """A StatsD server, to which this Airflow sends."""
    with statsd_server() as server, airflow_sending_to(plain_statsd(server.port)):
        yield server


def counters(statsd: StatsdServer) -> dict[str, float]:
    """Return the sums of the provider's own counters, by what follows ``segmind.`` in their names."""
    start = "airflow.segmind."
    return {name.removeprefix(start): value for name, value in statsd.counters().items() if name.startswith(start)}


def spent(emulator: RunningEmulator) -> float:
    return float(sum(charge["amount"] for charge in emulator.ledger()["charges"]))


def test_what_all_operators_spend_adds_up(emulator: RunningEmulator, run_dag: Run, statsd: StatsdServer) -> None:
    run_dag("models")
    counted = counters(statsd)
    assert counted["cost"] == pytest.approx(spent(emulator))
    by_model = {name: value for name, value in counted.items() if name.startswith("cost.")}
    assert set(by_model) == {"cost.fast-text-to-image", "cost.mock-text", "cost.mock-inference"}
    assert sum(by_model.values()) == pytest.approx(spent(emulator))
    assert counted["submitted"] == counted["submitted.fast-text-to-image"] * 3 == 3
    assert (
        counted["failed.no-such-model.model_not_found"]
        == counted["failed.retired-image-to-video.model_retired"]
        == 1
    )
    assert counted["failed"] == 2


def test_a_request_that_one_task_submits_and_another_waits_for_is_counted_once(
    emulator: RunningEmulator, run_dag_of: Callable[[Path], Run], statsd: StatsdServer
) -> None:
    run_dag_of(EXAMPLES)("segmind_fire_and_forget")
    counted = counters(statsd)
    assert counted["cost"] == counted["cost.unknown"] == pytest.approx(spent(emulator))


def test_a_charge_counts_once_though_its_output_is_stored_by_the_second_attempt(
    emulator: RunningEmulator, run_dag: Run, statsd: StatsdServer, tmp_path: Path
) -> None:
    emulator.faults({"on": "media", "body": "html", "count": 1})
    clip = run_dag("kling", output_path=str(tmp_path / "clip.mp4"))["clip"]
    counted = counters(statsd)
    assert counted["cost"] == counted[f"cost.{KLING}"] == pytest.approx(spent(emulator))
    if REMEMBERS:
        assert (clip.state, clip.try_number) == ("success", 2)
        assert counted["output_bytes"] == (tmp_path / "clip.mp4").stat().st_size
    assert counted[f"failed.{KLING}.download"] == 1


def test_a_charge_counts_though_its_output_is_never_stored(
    emulator: RunningEmulator, run_dag: Run, statsd: StatsdServer, tmp_path: Path
) -> None:
    emulator.faults({"on": "media", "body": "html"})
    clip = run_dag("kling", output_path=str(tmp_path / "clip.mp4"))["clip"]
    counted = counters(statsd)
    assert (clip.state, "output_bytes" in counted) == ("failed", False)
    assert spent(emulator) > 0
    assert counted["cost"] == pytest.approx(spent(emulator))


@pytest.mark.skipif(not REMEMBERS, reason="only Airflow 3.3 and later remember; the tests run there too")
@pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "blocking"])
def test_a_task_that_dies_after_it_counted_does_not_count_again(
    emulator: RunningEmulator,
    run_dag: Run,
    statsd: StatsdServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    deferrable: bool,
) -> None:
    deaths = iter([RuntimeError("the worker is gone")])

    def die_once(*_: Any) -> None:
        for death in deaths:
            raise death

    monkeypatch.setattr(KlingImageToVideoOperator, "post_execute", die_once)
    clip = run_dag("kling", output_path=str(tmp_path / "clip.mp4"), deferrable=deferrable)["clip"]
    counted = counters(statsd)
    assert (clip.state, clip.try_number, emulator.ledger()["submits"]) == ("success", 2, 1)
    assert counted["cost"] == counted[f"cost.{KLING}"] == pytest.approx(spent(emulator))
    assert counted["output_bytes"] == (tmp_path / "clip.mp4").stat().st_size
    assert counted["reattached"] == counted[f"reattached.{KLING}"] == 1


def test_a_request_that_failed_is_counted_by_its_reason_and_costs_nothing(
    emulator: RunningEmulator, run_dag: Run, statsd: StatsdServer
) -> None:
    emulator.faults({"on": "submit", "outcome": "blocked"})
    clip = run_dag("kling")["clip"]
    counted = counters(statsd)
    assert (clip.state, "cost" in counted) == ("failed", False)
    assert counted[f"failed.{KLING}.content_blocked"] == counted["failed"] == clip.try_number
