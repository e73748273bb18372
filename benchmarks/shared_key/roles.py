"""What stands for the processes of an Airflow."""

from __future__ import annotations

import asyncio
import json
import os
import random
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from multiprocessing.queues import SimpleQueue
from typing import Any

from airflow_provider_segmind.api.follow import FollowedRequest
from airflow_provider_segmind.api.rate_limited_submit import RateLimitedSubmit
from airflow_provider_segmind.exceptions import RateLimitedError
from airflow_provider_segmind.hooks.segmind import SegmindHook
from airflow_provider_segmind.triggers.rate_limit import SegmindRateLimitTrigger
from airflow_provider_segmind.triggers.request import SegmindRequestTrigger

MODEL = "kling-o1-image-to-video"
TIMEOUT = 900.0
START = (0.5, 1.5)
"""Seconds that a worker takes to start a task."""

HOLD = 10.0
"""Seconds after a deferral before which Airflow 3 takes no event."""


@dataclass(frozen=True)
class Wires:
    """
    How the processes hear of each other.

    :param tasks: Numbers of clips, and rate-limited submits whose turn has come; None ends a worker.
    :param waits: What is deferred; None ends a triggerer.
    :param done: Clips whose result is known.
    """

    tasks: SimpleQueue[Any]
    waits: SimpleQueue[Any]
    done: SimpleQueue[Any]


@dataclass(frozen=True)
class Task:
    """
    One part of a task, in a worker.

    :param submit: What the triggerer has waited for; None at the first start.
    """

    clip: int
    submit: dict[str, Any] | None = None


def work(wires: Wires, slots: int, environment: dict[str, str], expected: float) -> None:
    """
    Be a worker: start a process for each task, `slots` at a time.

    :param expected: Seconds that a clip is expected to take, as the provider expects 144.5 s of the real Kling.
    """
    os.environ.update(environment)
    tempfile.tempdir = environment["TMPDIR"]
    free = threading.Semaphore(slots)

    def reap(child: int) -> None:
        os.waitpid(child, 0)
        free.release()

    while True:
        free.acquire()
        task = wires.tasks.get()
        if task is None:
            return
        child = os.fork()
        if child == 0:
            try:
                random.seed()
                _run(task, wires, expected)
            finally:
                os._exit(0)
        threading.Thread(target=reap, args=(child,), daemon=True).start()


def _run(task: Task, wires: Wires, expected: float) -> None:
    """Submit, or defer until the turn to."""
    time.sleep(random.uniform(*START))
    hook = SegmindHook()
    previous = None if task.submit is None else RateLimitedSubmit.from_json(task.submit)
    try:
        hook.wait_to_submit(has_turn=previous is not None)
        accepted = hook.submit(
            MODEL, {"prompt": f"clip {task.clip}", "start_image_url": "https://example.com/a.png"}
        )
    except RateLimitedError as error:
        waiting = RateLimitedSubmit.after(error, time.time(), TIMEOUT, previous=previous)
        wires.waits.put(("turn", task.clip, waiting.as_json(), time.time() + HOLD))
        return
    now = time.time()
    request = FollowedRequest(accepted.request_id, now, now + TIMEOUT, None, MODEL, expected, variant="duration=5")
    wires.waits.put(("request", task.clip, asdict(request), now + HOLD))


def trigger(wires: Wires, environment: dict[str, str]) -> None:
    """Be a triggerer: run the trigger of each wait on one event loop."""
    os.environ.update(environment)
    tempfile.tempdir = environment["TMPDIR"]
    asyncio.run(_run_triggers(wires))


async def _run_triggers(wires: Wires) -> None:
    running: set[asyncio.Task[None]] = set()
    while (wait := await asyncio.to_thread(wires.waits.get)) is not None:
        running.add(asyncio.create_task(_wait(wait, wires)))
    for each in running:
        each.cancel()


async def _wait(wait: tuple[str, int, dict[str, Any], float], wires: Wires) -> None:
    kind, clip, arguments, earliest = wait
    if kind == "turn":
        turn = SegmindRateLimitTrigger("segmind_default", arguments, earliest_event=earliest)
        event = await anext(turn.run())
        wires.tasks.put(Task(clip, json.loads(json.dumps(event.payload["submit"]))))
    else:
        request = SegmindRequestTrigger(segmind_conn_id="segmind_default", **arguments, earliest_event=earliest)
        event = await anext(request.run())
        wires.done.put((clip, time.time(), event.payload.get("state")))
