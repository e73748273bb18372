"""All contestants in one Airflow, one after the other, and what was recorded of each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_segmind.emulator.running import RunningEmulator, running_emulator
from benchmarks.fleet.dags.contestants import LIMITS, TASK_ID, Contestant
from benchmarks.fleet.settings import Settings
from benchmarks.races import AIRFLOW, LIMITED, PRICE, TYPICAL, RareLook, say
from harness import Cluster, slot_stays

SEED = 1
"""The durations of the clips are drawn from it: the same for all."""

DAGS = Path(__file__).parent / "dags"
SECONDS = 3600.0
SETTINGS = {
    **AIRFLOW,
    "CORE__MAX_ACTIVE_TASKS_PER_DAG": 1000,
    "CORE__PARALLELISM": 1000,
}
ATTEMPTS_PAID_FOR = 5
"""Each key has credits for so many times its clips: who pays twice is to be seen, not stopped."""


@dataclass(frozen=True)
class Outcome:
    """
    What became of a contestant's run. Moments are seconds after its first request.

    :param clips: How many were asked for.
    :param makespan: Until its last task ended, however it did.
    :param bound: The lower bound of that.
    :param requests: How many were sent, by endpoint.
    :param limited: How many of them were answered with 429.
    :param charged: Videos that Segmind charged, and did not refund.
    :param delivered: When each task that delivered its video ended.
    :param slot_seconds: That all tasks held of worker slots.
    """

    contestant: str
    clips: int
    makespan: float
    bound: float
    requests: Mapping[str, int]
    limited: Mapping[str, int]
    charged: int
    delivered: tuple[float, ...]
    slot_seconds: float

    @property
    def per_clip(self) -> float | None:
        """Requests for each video that was delivered, refused ones included; None if none was."""
        return sum(self.requests.values()) / len(self.delivered) if self.delivered else None

    @property
    def limited_share(self) -> float:
        """The share of 429 in all answers."""
        return sum(self.limited.values()) / sum(self.requests.values())

    @property
    def lost(self) -> float:
        """USD for videos that no task delivered."""
        return (self.charged - len(self.delivered)) * PRICE


def play(settings: Settings) -> Iterator[Outcome]:
    """Run all contestants with all numbers of clips, and leave nothing running."""
    with _segminds(settings) as emulators:
        cluster = Cluster(
            dags=DAGS,
            executor="celery",
            slots=settings.slots,
            schedulers=2,
            triggerers=2,
            workers=2,
            settings=SETTINGS,
            environment={**_connections(emulators, settings), **settings.environment},
            preload=["airflow_provider_segmind.operators.kling", "airflow.providers.standard.operators.python"],
            seconds=SECONDS,
            say=say,
        )
        with cluster:
            for clips in settings.clips:
                for contestant in settings.contestants:
                    yield _outcome(contestant, clips, cluster, emulators[contestant, clips], settings)


@contextmanager
def _segminds(settings: Settings) -> Iterator[Mapping[tuple[Contestant, int], RunningEmulator]]:
    """Run an emulator for each run, each with its own key, so that no run knows what another has learned."""
    with ExitStack() as running:
        yield {
            (contestant, clips): running.enter_context(
                running_emulator(
                    requests_per_minute=settings.rate,
                    time_scale=settings.latency / TYPICAL,
                    seed=SEED,
                    api_keys=(f"SG_{place:08x}{clips:08x}",),
                    credits=ATTEMPTS_PAID_FOR * PRICE * clips,
                    log_size=1_000_000,
                )
            )
            for place, contestant in enumerate(settings.contestants, start=1)
            for clips in settings.clips
        }


def _connections(
    emulators: Mapping[tuple[Contestant, int], RunningEmulator], settings: Settings
) -> dict[str, str]:
    """Return the environment variables that define the connections."""
    found = {f"AIRFLOW_CONN_{LIMITS.upper()}": settings.redis}
    for (contestant, clips), emulator in emulators.items():
        connection = emulator.connection()
        extra: dict[str, Any] = connection["extra"]
        if contestant.has_limit:
            extra["requests_per_minute"] = settings.rate
        if contestant.has_redis:
            extra["rate_limit_conn_id"] = LIMITS
        found[f"AIRFLOW_CONN_{contestant.conn_id(clips).upper()}"] = json.dumps(connection)
    return found


def _outcome(
    contestant: Contestant, clips: int, cluster: Cluster, emulator: RunningEmulator, settings: Settings
) -> Outcome:
    run = cluster.run(contestant.dag_id(clips))
    say(f"{run.dag_id}: {cluster.until(f'{run.dag_id} to end', RareLook(run))}")
    changes = run.state_changes(TASK_ID)
    ended = {place: each[-1].at.timestamp() for place, each in changes.items()}
    log = [each for each in emulator.requests()["log"] if each["endpoint"] != "health"]
    began = min(each["at"] for each in log)
    made = {f"{emulator.url}/outputs/{job.request_id}.mp4" for job in emulator._state.jobs}
    delivered: dict[str, float] = {}
    for row in run.rows(TASK_ID):
        if row.state == "success":
            url = str(cluster.until("an XCom", lambda place=row.map_index: run.xcom(TASK_ID, map_index=place)))
            if url in made:
                delivered.setdefault(url, round(ended[row.map_index] - began, 3))
    return Outcome(
        contestant.name,
        clips,
        max(ended.values()) - began,
        settings.lower_bound(clips),
        dict(Counter(each["endpoint"] for each in log)),
        dict(Counter(each["endpoint"] for each in log if each["status"] == LIMITED)),
        emulator.ledger()["count"],
        tuple(sorted(delivered.values())),
        sum(sum(slot_stays(each)) for each in changes.values()),
    )
