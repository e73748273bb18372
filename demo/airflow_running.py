"""A real Airflow: API server, scheduler, DAG processor and triggerer, each a process of its own."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from demo.airflow_api import AirflowApi
from demo.failure import DemoError
from demo.telling import say

if TYPE_CHECKING:
    from demo.airflow_home import AirflowHome
    from demo.processes import Process, Processes
    from demo.waiting import Waiting

_AIRFLOW = (sys.executable, "-m", "airflow")
_COMPONENTS = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}


def check_installed() -> str:
    """
    Return Airflow's version.

    :raises DemoError: If Airflow or the provider is not installed, or Airflow is too old for the demo.
    """
    try:
        version("airflow-provider-segmind")
        found = version("apache-airflow")
    except PackageNotFoundError as missing:
        raise DemoError(f"{missing.name} is not installed in {sys.prefix}") from None
    if int(found.partition(".")[0]) < 3:
        raise DemoError(f"the demo speaks to the REST API of Airflow 3, but this is Airflow {found}")
    return found


def start_airflow(home: AirflowHome, processes: Processes, waiting: Waiting) -> AirflowApi:
    """Start all that makes up an Airflow, and return when it is healthy."""

    def start(name: str, *arguments: str, lasting: bool = True) -> Process:
        return processes.start(name, [*_AIRFLOW, *arguments], home.environment, lasting=lasting)

    say("Creating Airflow's database")
    migration = start("db-migrate", "db", "migrate", lasting=False)
    waiting.until("Airflow's database", lambda: processes.finished(migration) or None)
    say(f"Starting its {', '.join(_COMPONENTS)}")
    started = {name: start(name, *arguments) for name, arguments in _COMPONENTS.items()}
    api = AirflowApi(home.url)
    waiting.until("Airflow to be healthy", lambda: api.is_healthy() or None, started["api-server"].log)
    say(f"Airflow is up at {home.url}")
    return api
