"""One fleet: a key, an emulated Segmind, and several processes that know nothing of each other."""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.queues import Queue
from typing import Any

from airflow_provider_segmind.emulator.running import RunningEmulator, running_emulator
from airflow_provider_segmind.emulator.worlds import DOCUMENTED

from .processes import Step, wait, work
from .settings import Settings

LIMITED = 429
_SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Outcome:
    """
    What became of a fleet.

    :param seconds: From the first task's start until the last has its video.
    :param requests: How many were sent, by endpoint.
    :param limited: How many of them were answered with 429, by endpoint.
    :param charged: How many videos were paid.
    :param delays: Seconds from the end of each clip until an answer said so.
    """

    settings: Settings
    seconds: float
    requests: Mapping[str, int]
    limited: Mapping[str, int]
    charged: int
    delays: tuple[float, ...]

    @property
    def per_clip(self) -> float:
        """Requests for each clip, refused ones included."""
        return sum(self.requests.values()) / self.settings.clips

    @property
    def answered_per_clip(self) -> float:
        """Requests for each clip without those that were refused."""
        return (sum(self.requests.values()) - sum(self.limited.values())) / self.settings.clips

    @property
    def limited_share(self) -> float:
        """The share of 429 in all answers."""
        return sum(self.limited.values()) / sum(self.requests.values())

    @property
    def against_bound(self) -> float:
        """How many times the lower bound it took."""
        return self.seconds / self.settings.lower_bound


def play(settings: Settings) -> Outcome:
    """
    Make the clips, and leave nothing running.

    :raises RuntimeError: If a task failed, or the videos paid for are not those that were made.
    """
    emulator_settings: dict[str, Any] = {
        "requests_per_minute": settings.rate,
        "time_scale": settings.scale,
        "seed": settings.seed,
        "credits": 1e6,
        "log_size": 1_000_000,
        "world": DOCUMENTED.changed(settings.world),
    }
    with running_emulator(**emulator_settings) as emulator, _processes(settings, emulator) as fleet:
        began = time.monotonic()
        outputs = fleet.make(settings.clips)
        seconds = time.monotonic() - began
        charged = emulator.ledger()["count"]
        if not charged == len(set(outputs)) == settings.clips:
            raise RuntimeError(f"{charged} videos were paid, {len(set(outputs))} of {settings.clips} were made")
        log = [each for each in emulator.requests()["log"] if each["endpoint"] != "health"]
        return Outcome(
            settings,
            seconds,
            dict(Counter(each["endpoint"] for each in log)),
            dict(Counter(each["endpoint"] for each in log if each["status"] == LIMITED)),
            charged,
            _delays(emulator, log),
        )


def _delays(emulator: RunningEmulator, log: list[dict[str, Any]]) -> tuple[float, ...]:
    ends = {each.request_id: each.finishes_at for each in emulator._state.jobs}
    seen: dict[str, float] = {}
    for each in log:
        request_id = each["request_id"]
        if each["endpoint"] in ("status", "result") and each["status"] == 200 and each["at"] >= ends[request_id]:
            seen.setdefault(request_id, each["at"] - ends[request_id])
    return tuple(seen.values())


class _Fleet:
    """The running processes, and the queues to them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.to_workers: Queue[Any] = _SPAWN.Queue()
        self.to_triggerers: list[Queue[Any]] = [_SPAWN.Queue() for _ in range(settings.triggerers)]
        self.done: Queue[Any] = _SPAWN.Queue()
        self.processes = [
            _SPAWN.Process(target=work, args=(self.to_workers, self.done, settings.slots, settings.start))
            for _ in range(settings.workers)
        ] + [_SPAWN.Process(target=wait, args=(queue, self.done)) for queue in self.to_triggerers]

    def make(self, clips: int) -> list[Any]:
        """Have all clips made, as a scheduler would, and return what their tasks returned."""
        outputs, deferrals = [], 0
        for clip in range(clips):
            self.to_workers.put(Step(clip))
        while len(outputs) < clips:
            step = self.done.get()
            if step.error:
                raise RuntimeError(step.error)
            if step.trigger is not None:
                self.to_triggerers[deferrals % len(self.to_triggerers)].put(step)
                deferrals += 1
            elif step.output is None:
                self.to_workers.put(step)
            else:
                outputs.append(step.output)
        return outputs


@contextmanager
def _processes(settings: Settings, emulator: RunningEmulator) -> Iterator[_Fleet]:
    with tempfile.TemporaryDirectory() as home, _environment(settings, emulator, home):
        fleet = _Fleet(settings)
        for process in fleet.processes:
            process.start()
        try:
            for _ in fleet.processes:
                fleet.done.get()
            yield fleet
        finally:
            for _ in range(settings.workers * settings.slots):
                fleet.to_workers.put(None)
            for queue in fleet.to_triggerers:
                queue.put(None)
            for process in fleet.processes:
                process.join(30)
                if process.is_alive():
                    process.kill()


@contextmanager
def _environment(settings: Settings, emulator: RunningEmulator, home: str) -> Iterator[None]:
    """Set what the processes inherit."""
    ((name, connection),) = emulator.environment().items()
    document = json.loads(connection)
    if settings.configured:
        document["extra"]["requests_per_minute"] = settings.rate
    variables = {
        name: json.dumps(document),
        "AIRFLOW_HOME": home,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
    }
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
