"""The Airflow in which all contestants run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.small_key.dags.contestants import Waits
from benchmarks.small_key.settings import Settings
from demo import airflow_running
from demo.airflow_api import AirflowApi
from demo.airflow_home import AirflowHome, configured_home
from demo.folder import DemoFolder
from demo.processes import Processes
from demo.waiting import Waiting

HERE = Path(__file__).parent


@contextmanager
def real_airflow(
    root: Path, settings: Settings, environment: Mapping[str, str], waiting: Waiting
) -> Iterator[tuple[AirflowHome, AirflowApi]]:
    """Run an Airflow in a folder that does not exist yet, and leave nothing running."""
    folder = DemoFolder(root)
    folder.airflow_home.mkdir(parents=True)
    folder.logs.mkdir()
    home = configured_home(folder, {**_configuration(settings), **environment})
    processes = Processes(folder.logs)
    waiting.mind(processes.check)
    try:
        yield home, airflow_running.start_airflow(home, processes, waiting)
    finally:
        processes.stop()


def slots(settings: Settings) -> int:
    """Return a number of worker slots for which nobody has to wait while others hold theirs."""
    holding = sum(each.waits is not Waits.TRIGGERER for each in settings.contestants)
    return settings.tasks * holding + max(settings.tasks, 4)


def _configuration(settings: Settings) -> dict[str, str]:
    chosen = {
        "CORE__DAGS_FOLDER": HERE / "dags",
        "CORE__PLUGINS_FOLDER": HERE / "plugins",
        "CORE__LAZY_LOAD_PLUGINS": False,
        "CORE__PARALLELISM": slots(settings),
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.5,
        # A hundred tasks that start at once keep a small machine busy: that must not look like a death.
        "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": 300,
        "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": 300,
    }
    of_the_dags = {"SMALL_KEY_TASKS": str(settings.tasks), "SMALL_KEY_ONLY": ",".join(settings.only)}
    return {**{f"AIRFLOW__{name}": str(value) for name, value in chosen.items()}, **of_the_dags}
