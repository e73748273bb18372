"""
The fixtures ``segmind`` and ``run_dag``. Installing the package is enough: pytest finds them by an entry point.

pytest imports this module at each start, also where nothing uses it. So it imports neither Airflow nor the
emulator before a test asks for a fixture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_segmind.emulator.running import RunningEmulator
    from airflow_provider_segmind.testing.dag_runs import RunResult

LATENCY = 0.2
"""Seconds that a request takes, unless the marker ``segmind`` says otherwise."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", "segmind(**settings): how the emulator of the fixture `segmind` behaves, such as latency=2"
    )


@pytest.fixture
def segmind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningEmulator]:
    """
    A Segmind of the test's own, and the connection ``segmind_default`` to it.

    The marker ``segmind`` takes its settings.
    """
    _require_airflow()
    from airflow_provider_segmind.emulator.running import running_emulator

    marker = request.node.get_closest_marker("segmind")
    with running_emulator(**{"latency": LATENCY, **(marker.kwargs if marker else {})}) as emulator:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        _let_triggers_fire_at_once(monkeypatch)
        yield emulator


@pytest.fixture
def run_dag(
    _segmind_airflow_database: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., RunResult]]:
    """
    Return what runs a DAG in this process: ``run_dag(dag, conf={...})``.

    The DAG may be defined in the test's file. It runs on a database that is thrown away.
    """
    from airflow_provider_segmind.testing.dag_runs import run_dag_once, share_api_server
    from airflow_provider_segmind.testing.database import using_database

    share_api_server(monkeypatch)
    _let_triggers_fire_at_once(monkeypatch)
    folder = tmp_path_factory.mktemp("no-dags")
    with using_database(_segmind_airflow_database, folder, monkeypatch):
        yield run_dag_once


@pytest.fixture(scope="session")
def _segmind_airflow_database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of an Airflow database for this session."""
    _require_airflow()
    from airflow_provider_segmind.testing.database import make_database

    return make_database(tmp_path_factory.mktemp("airflow-database"))


def _require_airflow() -> None:
    try:
        found = find_spec("airflow.settings")
    except ModuleNotFoundError:
        found = None
    if found is None:
        pytest.fail(
            "The fixtures segmind and run_dag need Apache Airflow in the environment that runs pytest; install "
            "apache-airflow there, or run pytest with the Python that has it.",
            pytrace=False,
        )


def _let_triggers_fire_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a scheduler, there is none that has to hear of a deferral before its trigger may fire."""
    from airflow_provider_segmind.triggers import deferral

    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0")
    monkeypatch.setattr(deferral, "DEFERRAL_REPORT_TIME", 0.0)
