"""One run of the example DAG on a folder of images, and what came of it."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import requests

from demo.airflow_api import Run
from tests.s3 import S3

from ..crash.real_airflow import TaskRow
from .killing import Killer
from .rig import BUCKET, Rig, rigged

EXAMPLES = Path(__file__).parents[3] / "example_dags"
DAG_ID, TASK_ID = "segmind_folder_of_images", "make_clip"
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
    credits = DOLLARS_PER_IMAGE * images  # noqa: A001 - the field's own word
    with rigged(root, SETTINGS, latency=CLIP_SECONDS, credits=credits) as rig:
        return _run(rig, _lay_out(rig.storage, images), Random(seed), deaths, pause)  # noqa: S311 - no secret


def _lay_out(storage: S3, images: int) -> list[str]:
    """Put images into the bucket: the same picture, but each with other bytes after its end."""
    picture = (EXAMPLES / "images" / "mug.jpg").read_bytes()
    names = [f"Produkt Nr. {number:03} ü.jpg" for number in range(images)]
    for name in names:
        storage.bucket.put_object(Key=f"images/{name}", Body=picture + name.encode())
    return names


def _run(rig: Rig, names: list[str], random: Random, deaths: int, pause: float) -> Outcome:
    began = time.monotonic()
    conf = {
        "images": f"s3://{BUCKET}/images/",
        "clips": f"s3://{BUCKET}/clips/",
        "conn_id": "storage",
        "expected_duration": CLIP_SECONDS,
    }
    run = rig.airflow.run(DAG_ID, conf)
    killer = Killer(rig.airflow.scheduler_pid, random)
    state = _ended(rig, run, killer, deaths, pause)
    seconds = time.monotonic() - began
    rows = [row for row in rig.airflow.rows(DAG_ID, run) if row.task_id == TASK_ID]
    ledger = rig.segmind.ledger()
    charges = [each for each in ledger["charges"] if each["charged"]]
    stored, strangers = _stored(rig, names, charges, _where(rig, run, rows))
    return Outcome(
        images=len(names),
        state=state,
        seconds=seconds,
        tries=dict(sorted(Counter(row.tries for row in rows).items())),
        killed_tasks=killer.tasks,
        killed_workers=killer.workers,
        submits=ledger["submits"],
        charged=len(charges),
        uploads=rig.segmind.requests()["endpoints"]["upload"],
        stored=stored,
        strangers=strangers,
        unfinished_uploads=rig.storage.unfinished_uploads(),
    )


def _ended(rig: Rig, run: Run, killer: Killer, deaths: int, pause: float) -> str:
    """Kill until enough have died, and return the state in which the run has ended."""
    give_up = time.monotonic() + RUN_SECONDS
    next_death = time.monotonic() + killer.random.expovariate(1 / pause)
    while (state := run.state()) not in ("success", "failed"):
        if time.monotonic() > give_up:
            states = Counter(row.state for row in rig.airflow.rows(DAG_ID, run))
            raise TimeoutError(f"the run is {state}: {states}")
        due = killer.tasks + killer.workers < deaths and time.monotonic() > next_death
        if due and rig.segmind.ledger()["submits"] and killer.kill_one():
            next_death = time.monotonic() + killer.random.expovariate(1 / pause)
        time.sleep(PAUSE)
    return str(state)


def _where(rig: Rig, run: Run, rows: list[TaskRow]) -> dict[str, str]:
    """Return where the clip of each request is said to be."""
    xcom = rig.airflow.xcom
    return {xcom(run, row, "request_id"): xcom(run, row, "output_path") for row in rows if row.state == "success"}


def _stored(
    rig: Rig, names: list[str], charges: list[dict[str, Any]], where: dict[str, str]
) -> tuple[int, tuple[str, ...]]:
    """
    Return how many clips are what they should be, and what else is there.

    :param where: Where each request's clip is said to be.
    """
    found = rig.storage.contents("clips/")
    good = 0
    for charge in charges:
        image = requests.get(charge["parameters"]["start_image_url"], timeout=30).content
        name = next(name for name in names if image.endswith(name.encode()))
        clip = requests.get(f"{rig.segmind.url}/outputs/{charge['request_id']}.mp4", timeout=30).content
        path = where.get(charge["request_id"], "")
        good += path.endswith(f"/clips/{name}.mp4") and found.get(f"{name}.mp4") == clip
    return good, tuple(sorted(found.keys() - {f"{name}.mp4" for name in names}))
