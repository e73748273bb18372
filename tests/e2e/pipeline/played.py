"""One run of the example DAG on a folder of images, and what came of it."""

from __future__ import annotations

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
from harness import ENDED, NOTICE_DEATHS_SOON, S3, Cluster, Run, TaskRow, last_lines

from .killing import Killer

BUCKET = "products"
EXAMPLES = Path(__file__).parents[3] / "example_dags"
DAG_ID, TASK_ID = "segmind_folder_of_images", "make_clip"
CLIP_SECONDS = 10.0
DOLLARS_PER_IMAGE = 5.0
"""Enough to pay for five clips of each: a task that pays twice must be seen, not stopped."""

RUN_SECONDS = 2400.0
PAUSE = 0.2
SUCCEEDED = ("success", "skipped")
ATTEMPTS = 4
"""Of a task of the example DAG, at most."""

IN_A_WORKER = ("queued", "running")
LINES = 5
"""Of the log of each attempt of a task that did not succeed."""

WAIT_SECONDS = 600.0
"""How long Airflow may take to start or to know a new process, on a machine that is busy with other things."""
SHAPES: dict[str, dict[str, Any]] = {
    "local": {"slots": 8},
    "celery": {"executor": "celery", "slots": 4, "schedulers": 2, "triggerers": 2, "workers": 2},
}
SETTINGS = {
    **NOTICE_DEATHS_SOON,
    "CORE__MAX_ACTIVE_TASKS_PER_DAG": 1000,
    # A worker may die with a task that it has taken and not begun. By default, Airflow waits ten minutes for it.
    "SCHEDULER__TASK_QUEUED_TIMEOUT": 30,
    "SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": 5,
}
PRELOADED = (
    "airflow.providers.amazon.aws.fs.s3",
    "airflow.providers.standard.operators.python",
    "airflow_provider_segmind.operators.kling",
    "s3fs",
)


@dataclass(frozen=True)
class Outcome:
    """
    What came of a run.

    :param state: Of the DAG run.
    :param attempts: How many tasks took how many attempts.
    :param killed: How many were killed, by kind: tasks, the processes that supervise them, and whole components.
    :param failures: Each task that did not succeed, with the end of the log of each attempt.
    :param charged: Requests that Segmind charged and did not refund.
    :param stored: Clips that are where those of their images belong, and the same as at Segmind.
    :param strangers: Whatever else is in their folder.
    :param unfinished_uploads: Begun by tasks that were killed. Nobody sees them; a rule of the bucket deletes
        them.
    """

    images: int
    state: str
    seconds: float
    attempts: dict[int, int]
    killed: dict[str, int]
    failures: tuple[str, ...]
    submits: int
    charged: int
    uploads: int
    stored: int
    strangers: tuple[str, ...]
    unfinished_uploads: int


@dataclass(frozen=True)
class Rig:
    """All that runs. Airflow knows the store as the connection `storage`."""

    cluster: Cluster
    segmind: RunningEmulator


def played(
    folder: Path | None, images: int, deaths: int, pause: float, seed: int, *, executor: str = "local"
) -> Outcome:
    """
    Make a clip of each image.

    :param folder: Where to keep everything; None for a folder that is thrown away.
    :param deaths: How many processes are killed at most. Nothing is killed while a task is in a worker for its
        last attempt: after that death it would have failed for good, whatever it does.
    :param pause: Mean seconds between two deaths.
    :param executor: `local`: one of each process, and tasks and their supervisors die. `celery`: two schedulers,
        two triggerers and two workers on PostgreSQL and Redis, which die as well and are replaced.
    """
    credits = DOLLARS_PER_IMAGE * images  # noqa: A001 - the field's own word
    with (
        patch.object(media, "rendering", None),  # all clips look alike: rendering would take the time of the tasks
        running_emulator(latency=CLIP_SECONDS, credits=credits) as segmind,
        Cluster(
            folder,
            dags=EXAMPLES,
            bucket=BUCKET,
            settings=SETTINGS,
            environment=segmind.environment(),
            preload=PRELOADED,
            seconds=WAIT_SECONDS,
            **SHAPES[executor],
        ) as cluster,
    ):
        names = _lay_out(cluster.storage, images)
        return _run(Rig(cluster, segmind), names, Random(seed), deaths, pause)  # noqa: S311 - no secret


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
    run = rig.cluster.run(DAG_ID, conf)
    killer = Killer(rig.cluster, random)
    state = _ended(rig, run, killer, deaths, pause)
    seconds = time.monotonic() - began
    rows = run.rows(TASK_ID)
    ledger = rig.segmind.ledger()
    charges = [each for each in ledger["charges"] if each["charged"]]
    stored, strangers = _stored(rig, names, charges, _where(rig.cluster, run, rows))
    return Outcome(
        images=len(names),
        state=state,
        seconds=seconds,
        attempts=dict(sorted(Counter(row.try_number for row in rows).items())),
        killed=dict(killer.killed),
        failures=tuple(_failure(rig.cluster, row) for row in rows if row.state not in SUCCEEDED),
        submits=ledger["submits"],
        charged=len(charges),
        uploads=rig.segmind.requests()["endpoints"]["upload"],
        stored=stored,
        strangers=strangers,
        unfinished_uploads=rig.cluster.storage.unfinished_uploads(),
    )


def _ended(rig: Rig, run: Run, killer: Killer, deaths: int, pause: float) -> str:
    """Kill until enough have died, and return the state in which the run has ended."""
    give_up = time.monotonic() + RUN_SECONDS
    next_death = time.monotonic() + killer.random.expovariate(1 / pause)
    while (state := run.state()) not in ENDED:
        rig.cluster.waiting.check()
        if time.monotonic() > give_up:
            states = Counter(row.state for row in run.rows())
            raise TimeoutError(f"the run is {state}: {states}")
        due = killer.deaths < deaths and time.monotonic() > next_death
        if due and rig.segmind.ledger()["submits"] and not _is_in_last_attempt(run) and killer.kill_one():
            next_death = time.monotonic() + killer.random.expovariate(1 / pause)
        time.sleep(PAUSE)
    return str(state)


def _is_in_last_attempt(run: Run) -> bool:
    return any(row.try_number >= ATTEMPTS and row.state in IN_A_WORKER for row in run.rows(TASK_ID))


def _failure(cluster: Cluster, row: TaskRow) -> str:
    """Return what is known of a task that did not succeed: one that was killed says nothing at its end."""
    logs = sorted(cluster.logs.glob(f"tasks/dag_id={DAG_ID}/**/task_id={TASK_ID}/map_index={row.map_index}/*.log"))
    ends = "".join(f"\n{log.name}: " + "\n".join(last_lines(log)[-LINES:]) for log in logs)
    return f"{TASK_ID}[{row.map_index}] is {row.state} after {row.try_number} attempts{ends}"


def _where(cluster: Cluster, run: Run, rows: list[TaskRow]) -> dict[str, str]:
    """Return where the clip of each request is said to be."""

    def summary(row: TaskRow) -> dict[str, Any]:
        return cluster.until("summary", lambda: run.xcom(row.task_id, "summary", row.map_index))

    summaries = [summary(row) for row in rows if row.state == "success"]
    return {each["request_id"]: each["files"][0]["output_path"] for each in summaries}


def _stored(
    rig: Rig, names: list[str], charges: list[dict[str, Any]], where: dict[str, str]
) -> tuple[int, tuple[str, ...]]:
    """
    Return how many clips are what they should be, and what else is there.

    :param where: Where each request's clip is said to be.
    """
    found = rig.cluster.storage.contents("clips/")
    good = 0
    for charge in charges:
        image = requests.get(charge["parameters"]["start_image_url"], timeout=30).content
        name = next(name for name in names if image.endswith(name.encode()))
        clip = requests.get(f"{rig.segmind.url}/outputs/{charge['request_id']}.mp4", timeout=30).content
        path = where.get(charge["request_id"], "")
        good += path.endswith(f"/clips/{name}.mp4") and found.get(f"{name}.mp4") == clip
    return good, tuple(sorted(found.keys() - {f"{name}.mp4" for name in names}))
