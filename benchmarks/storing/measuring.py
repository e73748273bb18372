"""Both ways in one real Airflow: with a large video, and with a task that is killed while it stores one."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from unittest.mock import patch

from airflow_provider_segmind.emulator import media
from airflow_provider_segmind.emulator.running import RunningEmulator, running_emulator
from benchmarks.storing.memory import watched
from demo.airflow_api import Run
from tests.e2e.crash.database import database
from tests.e2e.crash.real_airflow import RealAirflow, real_airflow
from tests.e2e.crash.waiting import Waiting
from tests.e2e.pipeline.killing import Killer
from tests.s3 import S3, s3_server

HERE = Path(__file__).parent
IMAGE = HERE.parents[1] / "example_dags" / "images" / "mug.jpg"
WAYS = ("ours", "usual")
CONN_ID = "segmind"
LATENCY = 5.0
SECONDS_OF_VIDEO = 5
RUN_SECONDS = 600.0
SLOW_BODY = {"on": "media", "trickle": 0.5, "count": 1}
"""Sixteen pieces, half a second apart: time enough to kill what fetches it."""

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
    :param seconds: From the trigger of the DAG to its end, with a large video.
    :param left: What lay in the folder of the clips right after a task was killed while it stored one.
    :param unfinished: Uploads that the killed task had begun: nobody sees them.
    :param tries: Of that task, in the end.
    :param charged: Videos paid for one.
    :param state: Of that run.
    """

    way: str
    lines: int
    above_idle: float
    seconds: float
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
    with _rig(size) as rig:
        return Measured(size, tuple(rig.outcome(way) for way in WAYS))


@dataclass
class _Rig:
    size: int
    airflow: RealAirflow
    segmind: RunningEmulator
    storage: S3

    def outcome(self, way: str) -> Outcome:
        peak, seconds = self._large(way)
        left, unfinished, run = self._killed(way)
        tries = max(row.tries for row in self.airflow.rows(way, run) if row.task_id == "make_clip")
        charged = [each for each in self.segmind.ledger()["charges"] if each["charged"]]
        return Outcome(way, _lines(way), peak, seconds, left, unfinished, tries, len(charged), str(run.state()))

    def _large(self, way: str) -> tuple[float, float]:
        began = time.monotonic()
        with patch.object(media, "BYTES_PER_SECOND", self.size // SECONDS_OF_VIDEO):
            with watched(self.airflow.scheduler_pid) as peak:
                self._ended(self._started(way, f"{way}/large"))
            (stored,) = self.storage.sizes(f"{way}/large/clips/").values()
        if stored != self.size // SECONDS_OF_VIDEO * SECONDS_OF_VIDEO:
            raise RuntimeError(f"{way} stored {stored} bytes of {self.size}")
        return peak.above_idle, time.monotonic() - began

    def _killed(self, way: str) -> tuple[tuple[str, ...], int, Run]:
        unfinished = self.storage.unfinished_uploads()
        self.segmind.faults(SLOW_BODY)
        run = self._started(way, f"{way}/killed")
        Waiting(RUN_SECONDS).until(
            "the video to be fetched", lambda: self.segmind.requests()["endpoints"]["media"] or None
        )
        time.sleep(2)  # until it is in the middle of the body
        if not Killer(self.airflow.scheduler_pid, Random(0)).kill_one(whole_worker=False):
            raise RuntimeError(f"nothing of {way} was there to be killed")
        left = tuple(self.storage.sizes(f"{way}/killed/clips/"))
        unfinished = self.storage.unfinished_uploads() - unfinished
        self._ended(run)
        return left, unfinished, run

    def _started(self, way: str, folder: str) -> Run:
        self.segmind.reset()
        self.storage.bucket.put_object(Key=f"{folder}/images/mug.jpg", Body=IMAGE.read_bytes())
        return self.airflow.run(way, {"folder": folder, "conn_id": CONN_ID})

    def _ended(self, run: Run) -> None:
        Waiting(RUN_SECONDS).until("the run", lambda: run.state() in ("success", "failed") or None)


@contextmanager
def _rig(size: int) -> Iterator[_Rig]:
    with (
        tempfile.TemporaryDirectory(prefix="segmind-storing-") as folder,
        patch.object(media, "rendering", None),
        running_emulator(latency=LATENCY) as segmind,
        s3_server("products") as storage,
        database() as (_, of_database),
    ):
        surroundings = {
            **{f"AIRFLOW__{name}": value for name, value in SETTINGS.items()},
            **segmind.environment(CONN_ID),
            "AIRFLOW_CONN_STORAGE": json.dumps(storage.connection),
            **of_database,
        }
        with real_airflow(Path(folder) / "airflow", surroundings) as airflow:
            yield _Rig(size, airflow, segmind, storage)


def _lines(way: str) -> int:
    lines = (line.strip() for line in (HERE / "dags" / f"{way}.py").read_text().splitlines())
    return sum(bool(line) and not line.startswith(("#", '"""')) for line in lines)
