"""Both ways in one real Airflow: with a large video, and with a task that is killed while it stores one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import psutil

from airflow_provider_segmind.emulator import media
from airflow_provider_segmind.emulator.running import RunningEmulator, running_emulator
from harness import NOTICE_DEATHS_SOON, Cluster, Run, busy_workers

HERE = Path(__file__).parent
IMAGE = HERE.parents[1] / "example_dags" / "images" / "mug.jpg"
WAYS = ("ours", "usual")
CONN_ID = "segmind_default"
LATENCY = 5.0
SECONDS_OF_VIDEO = 5
RUN_SECONDS = 600.0
KILLED_SIZE = 6_000_000 * SECONDS_OF_VIDEO
SLOW_BODY = {"on": "media", "trickle": 0.5, "count": 1}
"""Sixteen pieces, half a second apart: time enough to kill what fetches it."""

UNTIL_KILLED = 6.0
"""Seconds: three quarters of that body."""

SLOTS = 2
BUCKET = "products"
PRELOADED = (
    "airflow.providers.amazon.aws.fs.s3",
    "airflow.providers.amazon.aws.hooks.s3",
    "airflow.providers.standard.operators.python",
    "airflow_provider_segmind.operators.kling",
    "s3fs",
    "segmind",
)
"""What a task imports is not part of its memory then."""

LOOK_EVERY = 0.02
MIB = 1024.0


@dataclass(frozen=True)
class Outcome:
    """
    What came of one way.

    :param lines: Of the DAG file, without blank ones and comments.
    :param above_idle: MiB that the task had more than an idle worker, with a large video.
    :param left: What lay in the folder of the clips right after a task was killed while it stored one.
    :param unfinished: Uploads that the killed task had begun: nobody sees them.
    :param attempts: Of that task, in the end.
    :param charged: Videos paid for one.
    :param state: Of that run.
    """

    way: str
    lines: int
    above_idle: float
    left: tuple[str, ...]
    unfinished: int
    attempts: int
    charged: int
    state: str


@dataclass(frozen=True)
class Measured:
    """What came of all ways, with a large video of so many bytes."""

    size: int
    outcomes: tuple[Outcome, ...]


def measure(size: int) -> Measured:
    """Measure both ways."""
    with (
        patch.object(media, "rendering", None),  # all clips look alike: rendering would take the time of the tasks
        running_emulator(latency=LATENCY) as segmind,
        Cluster(
            dags=HERE / "dags",
            slots=SLOTS,
            bucket=BUCKET,
            settings=NOTICE_DEATHS_SOON,
            environment=segmind.environment(CONN_ID),
            preload=PRELOADED,
            seconds=RUN_SECONDS,
        ) as cluster,
    ):
        measuring = _Measuring(cluster, segmind, size)
        return Measured(size, tuple(measuring.outcome(way) for way in WAYS))


@dataclass
class _Measuring:
    cluster: Cluster
    segmind: RunningEmulator
    size: int

    def outcome(self, way: str) -> Outcome:
        above_idle = self._large(way)
        left, unfinished, run = self._kill_in_the_middle(way)
        attempts = max(row.try_number for row in run.rows("make_clip"))
        charged = [each for each in self.segmind.ledger()["charges"] if each["charged"]]
        return Outcome(way, _lines(way), above_idle, left, unfinished, attempts, len(charged), str(run.state()))

    def _large(self, way: str) -> float:
        with _videos_of(self.size), _watching(self._scheduler) as peak:
            self._wait_for_end(self._start(way, f"{way}/large"))
        stored = list(self.cluster.storage.sizes(f"{way}/large/clips/").values())
        if stored != [self.size]:
            raise RuntimeError(f"{way} stored {stored} bytes of {self.size}")
        return peak.above_idle

    def _kill_in_the_middle(self, way: str) -> tuple[tuple[str, ...], int, Run]:
        before = self.cluster.storage.unfinished_uploads()
        with _videos_of(KILLED_SIZE):
            run = self._start(way, f"{way}/killed", SLOW_BODY)
            self.cluster.until(
                "the video to be fetched", lambda: self.segmind.requests()["endpoints"]["media"] > 0
            )
            time.sleep(UNTIL_KILLED)
            ((_, task),) = busy_workers(self._scheduler)
            task.kill()
            task.wait(RUN_SECONDS)
            left = tuple(self.cluster.storage.sizes(f"{way}/killed/clips/"))
            unfinished = self.cluster.storage.unfinished_uploads() - before
            self._wait_for_end(run)
        return left, unfinished, run

    def _start(self, way: str, folder: str, *faults: dict[str, Any]) -> Run:
        self.segmind.reset()
        self.segmind.faults(*faults)
        self.cluster.storage.bucket.put_object(Key=f"{folder}/images/mug.jpg", Body=IMAGE.read_bytes())
        return self.cluster.run(way, {"folder": folder, "conn_id": CONN_ID})

    def _wait_for_end(self, run: Run) -> None:
        self.cluster.until("the run", run.has_ended)

    @property
    def _scheduler(self) -> int:
        return self.cluster.process("scheduler-1").popen.pid


class _Peak:
    """
    The most memory that a task had.

    :param idle: MiB of a worker that has no task: a task is a fork of it.
    """

    def __init__(self, idle: float) -> None:
        self.idle = idle
        self.highest = idle

    @property
    def above_idle(self) -> float:
        """MiB that a task had more."""
        return self.highest - self.idle


@contextmanager
def _watching(scheduler: int) -> Iterator[_Peak]:
    """
    Watch all tasks for the length of a ``with`` block.

    The kernel keeps each process's peak, so that none between two looks is missed but the very last.
    """
    workers = psutil.Process(scheduler).children()
    peak = _Peak(median(_mib(worker.pid, "VmRSS") for worker in workers))
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(LOOK_EVERY):
            for _, task in busy_workers(scheduler):
                peak.highest = max(peak.highest, _mib(task.pid, "VmHWM"))

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield peak
    finally:
        stop.set()
        watching.join()


def _mib(pid: int, name: str) -> float:
    """Return a figure of a process; 0 if the process is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / MIB
    return 0.0


def _videos_of(size: int) -> AbstractContextManager[object]:
    return patch.object(media, "BYTES_PER_SECOND", size // SECONDS_OF_VIDEO)


def _lines(way: str) -> int:
    lines = (line.strip() for line in (HERE / "dags" / f"{way}.py").read_text().splitlines())
    return sum(bool(line) and not line.startswith(("#", '"""')) for line in lines)
