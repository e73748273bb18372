"""Waiting for a request in a worker."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.api.follow import FollowedRequest, Unfinished, Wait, follow, look, resume
from airflow_provider_segmind.exceptions import SegmindError

if TYPE_CHECKING:
    from collections.abc import Generator

    from airflow_provider_segmind.api.answers import RequestReport
    from airflow_provider_segmind.hooks.segmind import SegmindHook

OLD = 3600.0
"""Seconds of age of a request for which a 404 means that its record has expired."""

LONGEST_FETCH = 600.0
FETCH_INTERVAL = 5.0
"""Seconds between two attempts to fetch the result of a COMPLETED request."""

log = logging.getLogger(__name__)


def wait_for(request: FollowedRequest, hook: SegmindHook) -> RequestReport:
    """
    Wait in this thread until a request is COMPLETED, and return its result.

    :raises SegmindError: If it ends in any other way, or the deadline passes.
    """
    found: RequestReport = driven(follow(request, time.time), hook)
    return found


def fetch_completed(request_id: str, hook: SegmindHook) -> RequestReport:
    """
    Return the result of a request that is COMPLETED: from its record, or from the history if that has expired.

    :raises SegmindError: If it cannot be had within ten minutes.
    """
    now = time.time()
    return wait_for(
        FollowedRequest(request_id, now - OLD, now + LONGEST_FETCH, poll_interval=FETCH_INTERVAL), hook
    )


def look_at(request_id: str, age: float, hook: SegmindHook) -> RequestReport | Unfinished:
    """
    Look at a request once.

    :param age: Seconds since it was submitted, as far as known.
    :raises SegmindError: If it has ended without output, or cannot be asked about.
    """
    found: RequestReport | Unfinished = driven(look(request_id, age), hook)
    return found


def driven(steps: Generator[Any, Any, Any], hook: SegmindHook) -> Any:
    """Do what the steps of ``api.follow`` or ``api.resolve`` say until they end, and return what they return."""
    outcome: Any = None
    while True:
        try:
            step = resume(steps, outcome)
        except StopIteration as end:
            return end.value
        outcome = _carried_out(step, hook)


def _carried_out(step: Any, hook: SegmindHook) -> Any:
    if isinstance(step, Wait):
        if step.remark:
            log.warning(step.remark)
        time.sleep(max(step.seconds, hook.pace))
        return None
    try:
        return hook.send(step)
    except SegmindError as error:
        return error
