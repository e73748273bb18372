"""All contestants in one Airflow, started at one moment, as often as wanted; and what is kept of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from airflow_provider_segmind.emulator.running import RunningEmulator, running_emulator
from benchmarks.races import AIRFLOW, PRICE, RareLook, say
from benchmarks.report import Section, machine
from benchmarks.small_key.dags.contestants import Contestant
from benchmarks.small_key.outcome import Outcome, outcome
from benchmarks.small_key.plot import draw
from benchmarks.small_key.settings import Settings
from benchmarks.small_key.wording import text
from harness import Cluster

NAME = "small-key"
RUN_ID = "race"
DAGS = Path(__file__).parent / "dags"
SECONDS = 1800.0
HEAD_START = timedelta(seconds=5)


@dataclass(frozen=True)
class Round:
    """
    A race that is over.

    :param database: What kind of database Airflow had.
    :param outcomes: In the order of the contestants.
    """

    database: str
    outcomes: Sequence[Outcome]


def measure(folder: Path, settings: Settings, rounds: int = 1) -> Section:
    """
    Run it so many times, and write the picture and the figures.

    :param folder: Gets both.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found: list[Round] = []
    for _ in range(rounds):
        found.append(race(settings))
        kept = {"machine": machine(), "settings": asdict(settings), "rounds": [asdict(each) for each in found]}
        (folder / f"{NAME}.json").write_text(f"{json.dumps(kept)}\n")
    plot = folder / f"{NAME}.png"
    draw(plot, found[-1].outcomes, settings)
    report = text([each.outcomes for each in found], settings, found[0].database)
    return Section(f"{settings.tasks} tasks on a small key", report, plot)


def race(settings: Settings) -> Round:
    """Run it once, and leave nothing running."""
    with segminds(settings) as emulators:
        cluster = Cluster(
            dags=DAGS,
            slots=settings.slots,
            settings=AIRFLOW,
            environment={**connections(emulators, settings), **settings.environment},
            preload=["airflow_provider_segmind.operators.kling"],
            seconds=SECONDS,
            say=say,
        )
        with cluster:
            say(f"Its database is {cluster.database.product}")
            for each in emulators:
                cluster.until(f"the DAG {each.name}", partial(cluster.api.knows, each.name))
            moment = datetime.now(UTC) + HEAD_START
            runs = {each: cluster.api.run(each.name, run_id=RUN_ID, run_after=moment) for each in emulators}
            for each, run in runs.items():
                say(f"{each.name}: {cluster.until(f'{each.name} to end', RareLook(run))}")
            return Round(
                cluster.database.product,
                [outcome(each, run, cluster, emulators[each], moment) for each, run in runs.items()],
            )


@contextmanager
def segminds(settings: Settings) -> Iterator[Mapping[Contestant, RunningEmulator]]:
    """Run an emulator with its own key for each contestant, so that charges are not mixed up."""
    with ExitStack() as running:
        yield {
            contestant: running.enter_context(
                running_emulator(
                    requests_per_minute=settings.rate,
                    time_scale=settings.scale,
                    seed=settings.seed,
                    api_keys=(f"SG_{number:016x}",),
                    credits=10 * PRICE * settings.tasks,
                    log_size=1_000_000,
                )
            )
            for number, contestant in enumerate(settings.contestants, start=1)
        }


def connections(emulators: Mapping[Contestant, RunningEmulator], settings: Settings) -> dict[str, str]:
    """Return the environment variables that define the connections to them."""
    found = {}
    for contestant, emulator in emulators.items():
        connection = emulator.connection()
        if contestant.has_limit:
            connection["extra"]["requests_per_minute"] = settings.rate
        found[f"AIRFLOW_CONN_{contestant.conn_id.upper()}"] = json.dumps(connection)
    return found
