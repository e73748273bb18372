"""An emulator and a key for each contestant: so every charge and request has one who made it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from airflow_provider_segmind.emulator.running import RunningEmulator, running_emulator
from benchmarks.small_key.dags.contestants import Contestant
from benchmarks.small_key.settings import Settings

PRICE = 0.91
"""USD for a clip."""

Segminds = Mapping[Contestant, RunningEmulator]


@contextmanager
def segminds(settings: Settings) -> Iterator[Segminds]:
    """Run them all."""
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


def connections(emulators: Segminds, settings: Settings) -> dict[str, str]:
    """Return the environment variables that define the connections to them."""
    return {
        f"AIRFLOW_CONN_{contestant.conn_id.upper()}": json.dumps(
            _connection(emulator, settings.rate if contestant.limit_told else None)
        )
        for contestant, emulator in emulators.items()
    }


def made_at(emulator: RunningEmulator) -> dict[str, float]:
    """Return when each video was made, in seconds since the epoch, by its URL."""
    return {f"{emulator.url}/outputs/{job.request_id}.mp4": job.finishes_at for job in emulator._state.jobs}


def _connection(emulator: RunningEmulator, rate: int | None) -> dict[str, object]:
    connection = emulator.connection()
    if rate is not None:
        connection["extra"]["requests_per_minute"] = rate
    return connection
