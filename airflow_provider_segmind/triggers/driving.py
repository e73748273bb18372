"""Driving the generators of ``api`` on the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.api.follow import Wait, resume
from airflow_provider_segmind.exceptions import SegmindError
from airflow_provider_segmind.hooks.per_loop import PerLoop

if TYPE_CHECKING:
    from airflow_provider_segmind.api.call import Call
    from airflow_provider_segmind.hooks.segmind import SegmindAsyncHook


LATE = 120.0
"""Seconds after the end of a wait when Airflow ends it, if no triggerer has: one may only be starting."""


def deferral_timeout(latest_end: float) -> timedelta:
    """
    Return the timeout to defer with: a safety net for a triggerer that does not run.

    A trigger keeps its own deadline, and says what became of the request. Airflow's timeout comes later, from the
    scheduler, and knows nothing of it.

    :param latest_end: When the trigger ends at the latest, in seconds since the epoch.
    """
    return timedelta(seconds=max(latest_end - time.time(), 0) + LATE)


async def driven(steps: Generator[Any, Any, Any], segmind_conn_id: str, warn: Callable[[str], object]) -> Any:
    """Do what the steps say until they end, and return what they return; remarks go to ``warn``."""
    outcome: Any = None
    async with await async_hook(segmind_conn_id) as hook:
        while True:
            try:
                step = resume(steps, outcome)
            except StopIteration as end:
                return end.value
            outcome = None  # an answer may be large, and an error holds all that it passed through
            if isinstance(step, Wait):
                if step.remark:
                    warn(step.remark)
                await asyncio.sleep(step.seconds)
            else:
                outcome = await _answer(step, hook)


async def async_hook(segmind_conn_id: str) -> SegmindAsyncHook:
    """
    Return a hook.

    Its modules are imported in a thread: the event loop would stand still for 0.2 s. Once, though a thousand
    triggers may start together, as what all of them need at once stays with the process.
    """
    global _hook_class
    if _hook_class is None:
        async with _importing.here():
            if _hook_class is None:
                _hook_class = await asyncio.to_thread(_imported)
    return _hook_class(segmind_conn_id)


_hook_class: type[SegmindAsyncHook] | None = None
_importing: PerLoop[asyncio.Lock] = PerLoop(asyncio.Lock)


def _imported() -> type[SegmindAsyncHook]:
    from airflow_provider_segmind.hooks.segmind import SegmindAsyncHook

    return SegmindAsyncHook


async def _answer(call: Call[Any], hook: SegmindAsyncHook) -> Any:
    try:
        return await hook.send(call)
    except SegmindError as error:
        return error
