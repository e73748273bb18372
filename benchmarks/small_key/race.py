"""All contestants in one Airflow, started at one moment."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import requests

from benchmarks.small_key.outcome import Outcome, outcome
from benchmarks.small_key.patience import patience
from benchmarks.small_key.real_airflow import real_airflow
from benchmarks.small_key.records import Records
from benchmarks.small_key.segminds import connections, segminds
from benchmarks.small_key.settings import Settings
from demo.airflow_api import AirflowApi, Run
from demo.airflow_home import AirflowHome
from demo.telling import say
from demo.waiting import Waiting
from tests.e2e.crash.database import database

RUN_ID = "race"
LONGEST = 1800.0
HEAD_START = timedelta(seconds=5)
LOOK_EVERY = 3.0
ENDED = ("success", "failed")


@dataclass(frozen=True)
class Round:
    """
    A race that is over.

    :param database: What kind of database Airflow had.
    :param outcomes: In the order of the contestants.
    """

    database: str
    outcomes: Sequence[Outcome]


def race(folder: Path, settings: Settings) -> Round:
    """
    Run it once, and leave nothing running.

    :param folder: Where Airflow keeps everything; must not exist.
    """
    with patience(LONGEST) as waiting, segminds(settings) as emulators, database() as (kind, of_database):
        environment = {**connections(emulators, settings), **of_database}
        with real_airflow(folder, settings, environment, waiting) as (home, api):
            say(f"Its database is {kind}")
            started = _started(home, api, settings, waiting)
            _ended(api, settings, waiting)
            return Round(
                kind,
                [
                    outcome(each, Records(api, waiting, each.name, RUN_ID).tasks(), emulator, started)
                    for each, emulator in emulators.items()
                ],
            )


def _started(home: AirflowHome, api: AirflowApi, settings: Settings, waiting: Waiting) -> datetime:
    """Let all runs begin at one moment, and return it."""
    names = [each.name for each in settings.contestants]
    for name in names:
        waiting.until(f"the DAG {name}", partial(_known, api, name))
    moment = datetime.now(UTC) + HEAD_START
    body = {"dag_run_id": RUN_ID, "logical_date": None, "run_after": moment.isoformat()}
    with requests.Session() as session:
        session.trust_env = False  # or a proxy might be asked for 127.0.0.1
        for name in names:
            url = f"{home.url}/api/v2/dags/{name}/dagRuns"
            session.post(url, json=body, timeout=60).raise_for_status()
    say(f"{settings.tasks} tasks each for {', '.join(names)}")
    return moment


def _known(api: AirflowApi, dag_id: str) -> bool | None:
    return api.knows(dag_id) or None


def _ended(api: AirflowApi, settings: Settings, waiting: Waiting) -> None:
    """Return when all runs have ended."""
    for contestant in settings.contestants:
        run = Run(api, contestant.name, RUN_ID)
        say(f"{contestant.name}: {waiting.until(f'{contestant.name} to end', _Look(run))}")


class _Look:
    """A look at a run that is not taken too often: Airflow has better things to do."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._next = 0.0

    def __call__(self) -> str | None:
        """Return how the run has ended; None if it has not."""
        if time.monotonic() < self._next:
            return None
        self._next = time.monotonic() + LOOK_EVERY
        state = self._run.state()
        return state if state in ENDED else None
