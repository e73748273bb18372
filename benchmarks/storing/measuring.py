"""Both ways in one real Airflow: with a large video, and with a task that is killed while it stores one."""

from __future__ import annotations

import tempfile
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from airflow_provider_segmind.emulator import media
from benchmarks.storing.memory import watched
from demo.airflow_api import Run
from tests.e2e.crash.waiting import Waiting
from tests.e2e.pipeline.killing import busy_workers
from tests.e2e.pipeline.rig import Rig, rigged

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

SETTINGS = {
    "CORE__DAGS_FOLDER": str(HERE / "dags"),
    "CORE__PLUGINS_FOLDER": str(HERE / "plugins"),
    "CORE__DEFAULT_TASK_RETRY_DELAY": "2",
    "CORE__PARALLELISM": "2",
}


@dataclass(frozen=True)
class Outcome:
    """
    What came of one way.

    :param lines: Of the DAG file, without blank ones and comments.
    :param above_idle: MiB that the task had more than an idle worker, with a large video.
    :param left: What lay in the folder of the clips right after a task was killed while it stored one.
    :param unfinished: Uploads that the killed task had begun: nobody sees them.
    :param tries: Of that task, in the end.
    :param charged: Videos paid for one.
    :param state: Of that run.
    """

    way: str
    lines: int
    above_idle: float
    left: tuple[str, ...]
    unfinished: int
    tries: int
    charged: int
    state: str


@dataclass(frozen=True)
class Measured:
    """What came of all ways, with a large video of so many bytes."""

    size: int
    outcomes: tuple[Outcome, ...]


def measured(size: int) -> Measured:
    """Measure both ways."""
    with (
        tempfile.TemporaryDirectory(prefix="segmind-storing-") as folder,
        rigged(Path(folder) / "airflow", SETTINGS, latency=LATENCY) as rig,
    ):
        measuring = _Measuring(rig, size)
        return Measured(size, tuple(measuring.outcome(way) for way in WAYS))


@dataclass
class _Measuring:
    rig: Rig
    size: int

    def outcome(self, way: str) -> Outcome:
        above_idle = self._large(way)
        left, unfinished, run = self._killed(way)
        tries = max(row.tries for row in self.rig.airflow.rows(way, run) if row.task_id == "make_clip")
        charged = [each for each in self.rig.segmind.ledger()["charges"] if each["charged"]]
        return Outcome(way, _lines(way), above_idle, left, unfinished, tries, len(charged), str(run.state()))

    def _large(self, way: str) -> float:
        with _videos_of(self.size), watched(self.rig.airflow.scheduler_pid) as peak:
            self._ended(self._started(way, f"{way}/large"))
        stored = list(self.rig.storage.sizes(f"{way}/large/clips/").values())
        if stored != [self.size]:
            raise RuntimeError(f"{way} stored {stored} bytes of {self.size}")
        return peak.above_idle

    def _killed(self, way: str) -> tuple[tuple[str, ...], int, Run]:
        before = self.rig.storage.unfinished_uploads()
        with _videos_of(KILLED_SIZE):
            run = self._started(way, f"{way}/killed", SLOW_BODY)
            Waiting(RUN_SECONDS).until(
                "the video to be fetched", lambda: self.rig.segmind.requests()["endpoints"]["media"] or None
            )
            time.sleep(UNTIL_KILLED)
            ((_, task),) = busy_workers(self.rig.airflow.scheduler_pid)
            task.kill()
            task.wait(RUN_SECONDS)
            left = tuple(self.rig.storage.sizes(f"{way}/killed/clips/"))
            unfinished = self.rig.storage.unfinished_uploads() - before
            self._ended(run)
        return left, unfinished, run

    def _started(self, way: str, folder: str, *faults: dict[str, Any]) -> Run:
        self.rig.segmind.reset()
        self.rig.segmind.faults(*faults)
        self.rig.storage.bucket.put_object(Key=f"{folder}/images/mug.jpg", Body=IMAGE.read_bytes())
        return self.rig.airflow.run(way, {"folder": folder, "conn_id": CONN_ID})

    def _ended(self, run: Run) -> None:
        Waiting(RUN_SECONDS).until("the run", lambda: run.state() in ("success", "failed") or None)


def _videos_of(size: int) -> AbstractContextManager[object]:
    return patch.object(media, "BYTES_PER_SECOND", size // SECONDS_OF_VIDEO)


def _lines(way: str) -> int:
    lines = (line.strip() for line in (HERE / "dags" / f"{way}.py").read_text().splitlines())
    return sum(bool(line) and not line.startswith(("#", '"""')) for line in lines)
