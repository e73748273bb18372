"""One run of the example DAG on a folder of images, and what came of it."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import requests

from airflow_provider_segmind.emulator import media
from airflow_provider_segmind.emulator.running import RunningEmulator, running_emulator
from tests.s3 import S3, s3_server

from ..crash.database import database
from ..crash.real_airflow import RealAirflow, real_airflow
from .killing import Killer

EXAMPLES = Path(__file__).parents[3] / "example_dags"
DAG_ID, TASK_ID = "segmind_folder_of_images", "make_clip"
BUCKET = "products"
CLIP_SECONDS = 10.0
DOLLARS_PER_IMAGE = 5.0
"""Enough to pay for five clips of each: whoever pays twice shall be seen, and not be stopped."""

RUN_SECONDS = 2400.0
PAUSE = 0.2
SETTINGS = {
    "CORE__DAGS_FOLDER": str(EXAMPLES),
    "CORE__PLUGINS_FOLDER": str(Path(__file__).parent / "plugins"),
    "CORE__DEFAULT_TASK_RETRY_DELAY": "2",
    "CORE__MAX_ACTIVE_TASKS_PER_DAG": "1000",
    "CORE__PARALLELISM": "8",
    # A worker may die with a task that it has taken and not begun: Airflow by itself waits ten minutes for it.
    "SCHEDULER__TASK_QUEUED_TIMEOUT": "30",
    "SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
}


@dataclass(frozen=True)
class Outcome:
    """
    What came of a run.

    :param state: Of the DAG run.
    :param tries: How many tasks took how many tries.
    :param killed_tasks: Tasks that were killed in a worker that went on.
    :param killed_workers: Workers that were killed while they had a task.
    :param charged: Requests that Segmind charged and did not refund.
    :param stored: Clips that are where those of their images belong, and the same as at Segmind.
    :param strangers: Whatever else is in their folder.
    :param unfinished_uploads: Begun by tasks that were killed. Nobody sees them; a rule of the bucket deletes
        them.
    """

    images: int
    state: str
    seconds: float
    tries: dict[int, int]
    killed_tasks: int
    killed_workers: int
    submits: int
    charged: int
    uploads: int
    stored: int
    strangers: tuple[str, ...]
    unfinished_uploads: int


def played(root: Path, images: int, deaths: int, pause: float, seed: int) -> Outcome:
    """
    Make a clip of each image.

    :param root: A folder that does not exist yet.
    :param deaths: How many tasks or workers are killed at most. A task has four tries.
    :param pause: Mean seconds between two deaths.
    """
    with (
        patch.object(media, "rendering", None),  # all clips look alike: rendering would take the time of the tasks
        running_emulator(latency=CLIP_SECONDS, credits=DOLLARS_PER_IMAGE * images) as segmind,
        s3_server(BUCKET) as storage,
        database() as (_, of_database),
    ):
        names = _lay_out(storage, images)
        settings = {f"AIRFLOW__{name}": value for name, value in SETTINGS.items()}
        connection = json.dumps(storage.connection)
        surroundings = {**settings, **segmind.environment(), "AIRFLOW_CONN_STORAGE": connection, **of_database}
        with real_airflow(root, surroundings) as airflow:
            return _run(airflow, segmind, storage, names, Random(seed), deaths, pause)  # noqa: S311 - no secret


def _lay_out(storage: S3, images: int) -> list[str]:
    """Put images into the bucket: the same picture, but each with other bytes after its end."""
    picture = (EXAMPLES / "images" / "mug.jpg").read_bytes()
    names = [f"Produkt Nr. {number:03} ü.jpg" for number in range(images)]
    for name in names:
        storage.bucket.put_object(Key=f"images/{name}", Body=picture + name.encode())
    return names


def _run(
    airflow: RealAirflow,
    segmind: RunningEmulator,
    storage: S3,
    names: list[str],
    random: Random,
    deaths: int,
    pause: float,
) -> Outcome:
    began = time.monotonic()
    conf = {
        "images": f"s3://{BUCKET}/images/",
        "clips": f"s3://{BUCKET}/clips/",
        "conn_id": "storage",
        "expected_duration": CLIP_SECONDS,
    }
    run = airflow.run(DAG_ID, conf)
    killer = Killer(airflow.scheduler_pid, random)
    next_death = time.monotonic() + random.expovariate(1 / pause)
    while (state := run.state()) not in ("success", "failed"):
        if time.monotonic() > began + RUN_SECONDS:
            raise TimeoutError(f"the run is {state}: {Counter(row.state for row in airflow.rows(DAG_ID, run))}")
        due = killer.tasks + killer.workers < deaths and time.monotonic() > next_death
        if due and segmind.ledger()["submits"] and killer.kill_one():
            next_death = time.monotonic() + random.expovariate(1 / pause)
        time.sleep(PAUSE)
    seconds = time.monotonic() - began
    rows = [row for row in airflow.rows(DAG_ID, run) if row.task_id == TASK_ID]
    charges = [each for each in segmind.ledger()["charges"] if each["charged"]]
    done = [row for row in rows if row.state == "success"]
    where = {airflow.xcom(run, row, "request_id"): airflow.xcom(run, row, "output_path") for row in done}
    stored, strangers = _stored(segmind, storage, names, charges, where)
    return Outcome(
        images=len(names),
        state=str(state),
        seconds=seconds,
        tries=dict(sorted(Counter(row.tries for row in rows).items())),
        killed_tasks=killer.tasks,
        killed_workers=killer.workers,
        submits=segmind.ledger()["submits"],
        charged=len(charges),
        uploads=segmind.requests()["endpoints"]["upload"],
        stored=stored,
        strangers=strangers,
        unfinished_uploads=storage.unfinished_uploads(),
    )


def _stored(
    segmind: RunningEmulator,
    storage: S3,
    names: list[str],
    charges: list[dict[str, Any]],
    where: dict[str, str],
) -> tuple[int, tuple[str, ...]]:
    """
    Return how many clips are what they should be, and what else is there.

    :param where: Where each request's clip is said to be.
    """
    found = storage.contents("clips/")
    good = 0
    for charge in charges:
        image = requests.get(charge["parameters"]["start_image_url"], timeout=30).content
        name = next(name for name in names if image.endswith(name.encode()))
        clip = requests.get(f"{segmind.url}/outputs/{charge['request_id']}.mp4", timeout=30).content
        path = where.get(charge["request_id"], "")
        good += path.endswith(f"/clips/{name}.mp4") and found.get(f"{name}.mp4") == clip
    return good, tuple(sorted(found.keys() - {f"{name}.mp4" for name in names}))
