"""Deferring a task to a trigger: when Airflow can take its event, and when Airflow gives it up."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_segmind.compat import conf

LATE = 120.0
"""Seconds after the end of a wait when Airflow ends it, if no triggerer has: one may only be starting."""

DEFERRAL_REPORT_TIME = 5.0
"""Seconds until the scheduler has a worker's report: the log is stored first, then its loop reads the report."""

LONGEST_HOLD = 60.0
"""
Seconds for which an event is held at most: the clock of the worker may be ahead of the triggerer's. A deployment
whose ``min_heartbeat_interval`` needs longer gets longer.
"""


def earliest_event() -> float:
    """
    Return the moment before which the trigger of a task that defers now must not fire, in seconds since the epoch.

    In Airflow 3 a task is deferred as soon as it says so, but its worker notices the end of its process up to
    ``min_heartbeat_interval`` later: the supervisor waits so long for messages on sockets that are closed by then.
    After that the scheduler hears that the first part of the task is over. If the task runs again by then, the
    scheduler takes the report for one of the second part and fails the attempt, and below Airflow 3.3 the next one
    would pay again. Airflow 2 has no such option, and its workers notice at once: 0.
    """
    seconds = _seconds_to_leave()
    return time.time() + seconds if seconds is not None else 0.0


def _seconds_to_leave() -> float | None:
    """Return how soon after a deferral Airflow knows that the worker has left the task; None in Airflow 2."""
    interval = conf.getfloat("workers", "min_heartbeat_interval", fallback=-1.0)
    return interval + DEFERRAL_REPORT_TIME if interval >= 0 else None


async def held_event(payload: dict[str, Any], until: float) -> TriggerEvent:
    """
    Return the event of a trigger, once Airflow can take it.

    :param until: What ``earliest_event`` returned in the worker: a triggerer that restarts adds no delay.
    """
    longest = max(LONGEST_HOLD, _seconds_to_leave() or 0)
    await asyncio.sleep(max(min(until - time.time(), longest), 0))
    return TriggerEvent(payload)


def deferral_timeout(latest_end: float) -> timedelta:
    """
    Return the timeout to defer with: a safety net for a triggerer that does not run.

    A trigger keeps its own deadline, and says what became of the request. Airflow's timeout comes later, from the
    scheduler, and knows nothing of it.

    :param latest_end: When the trigger ends at the latest, in seconds since the epoch.
    """
    longest = max(latest_end - time.time(), _seconds_to_leave() or 0)
    return timedelta(seconds=longest + LATE)
