"""The processes of a fleet: workers that run the operator, and triggerers that run its triggers."""

from __future__ import annotations

import asyncio
import importlib
import random
import threading
import time
import traceback
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from multiprocessing import Queue
from typing import Any

from airflow_provider_segmind.compat import TaskDeferred
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

TIMEOUT = 3600.0
"""Seconds for which a task waits: nothing is given up in a benchmark."""


@dataclass(frozen=True)
class Step:
    """
    What is to be done next for a clip.

    :param method: Of the operator, in which it resumes.
    :param event: What its trigger has said.
    :param trigger: The path and the arguments of the trigger that it waits for.
    :param xcoms: What its task has pushed by now.
    :param output: What the task returned.
    :param error: Why it failed.
    """

    clip: int
    method: str = "execute"
    event: Any = None
    trigger: tuple[str, dict[str, Any]] | None = None
    xcoms: dict[str, Any] = field(default_factory=dict)
    output: Any = None
    error: str = ""


class _Ti:
    """What the operator asks of its task instance. Airflow's database does not take part."""

    dag_id, run_id, task_id = "fleet", "run", "clip"
    max_tries, try_number = 0, 1

    def __init__(self, step: Step) -> None:
        self.map_index = -1
        self.start_date = datetime.now(UTC)
        self.xcoms = dict(step.xcoms)

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value

    def xcom_pull(self, key: str, **_: Any) -> Any:
        return self.xcoms.get(key)


def work(todo: Queue[Step | None], done: Queue[Step | str], slots: int, start: float) -> None:
    """Run tasks, so many at a time, until there is a None for each slot."""
    threads = [threading.Thread(target=_fill_slot, args=(todo, done, start)) for _ in range(slots)]
    for thread in threads:
        thread.start()
    done.put("ready")
    for thread in threads:
        thread.join()


def _fill_slot(todo: Queue[Step | None], done: Queue[Step | str], start: float) -> None:
    while (step := todo.get()) is not None:
        time.sleep(start * random.uniform(0.5, 1.5))
        done.put(_run(step))


def _run(step: Step) -> Step:
    task = KlingImageToVideoOperator(
        task_id="clip",
        prompt=f"The camera circles product {step.clip}",
        start_image_url="https://example.com/product.png",
        timeout=TIMEOUT,
        durable=False,
    )
    ti = _Ti(step)
    context: Any = {"ti": ti}
    try:
        run = getattr(task, step.method)
        output = run(context) if step.method == "execute" else run(context, event=step.event)
    except TaskDeferred as deferral:
        trigger, method = deferral.trigger.serialize(), deferral.method_name
        return Step(step.clip, method, trigger=trigger, xcoms=ti.xcoms)
    except Exception:  # noqa: BLE001 - the fleet reports it
        return Step(step.clip, error=traceback.format_exc(limit=2))
    return Step(step.clip, output=output)


def wait(todo: Queue[Step | None], done: Queue[Step | str]) -> None:
    """Run triggers on one event loop, as Airflow's triggerer does, until there is a None."""
    asyncio.run(_run_triggers(todo, done))


async def _run_triggers(todo: Queue[Step | None], done: Queue[Step | str]) -> None:
    done.put("ready")
    running: set[asyncio.Task[None]] = set()
    while (step := await asyncio.to_thread(todo.get)) is not None:
        task = asyncio.create_task(_run_trigger(step, done))
        running.add(task)
        task.add_done_callback(running.discard)


async def _run_trigger(step: Step, done: Queue[Step | str]) -> None:
    path, arguments = step.trigger or ("", {})
    module, _, name = path.rpartition(".")
    trigger = getattr(importlib.import_module(module), name)(**arguments)
    event = await anext(trigger.run())
    done.put(replace(step, event=event.payload, trigger=None))
