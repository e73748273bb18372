"""
Driving the generators of ``api``: doing what their steps say, with each answer given back.

``drive`` does so in a worker, ``drive_on_loop`` on the event loop of the triggerer, so that both wait alike.
Neither sends anything that is charged.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_provider_segmind.api.early_results import EarlyResults
from airflow_provider_segmind.api.expectation import UNKNOWN, Experience
from airflow_provider_segmind.api.follow import (
    RECORD_LIFETIME,
    FollowedRequest,
    Unfinished,
    Wait,
    advance,
    follow,
    poll,
)
from airflow_provider_segmind.api.moments import utc
from airflow_provider_segmind.api.schedule import FIRST_POLL, KeyLoad, first_wait, next_wait
from airflow_provider_segmind.exceptions import RequestTimeoutError, SegmindError

if TYPE_CHECKING:
    from airflow_provider_segmind.api.answers import RequestReport
    from airflow_provider_segmind.api.call import Call

EXPERIENCE = Experience()
"""What this process has seen of the durations of requests. Each follow adds to it."""

MOST_CONNECTIONS = 200
"""Connections whose answers are remembered. A name of one may come from a template."""

LONGEST_FETCH = 600.0
FETCH_INTERVAL = 5.0
"""Seconds between two attempts to fetch the result of a COMPLETED request."""

SHORT = 10.0
"""Seconds. A deferral takes as long, and two starts of a process: see ``triggers.deferral.earliest_event``."""

LONGEST_SHORT_WAIT = 15.0
"""Seconds from the submission for which a worker waits for a request that is usually short."""

log = logging.getLogger(__name__)

_early_results: dict[str, EarlyResults] = {}

T = TypeVar("T")


class BlockingSender(Protocol):
    """What a wait in a worker needs of a SegmindHook, which has waits itself."""

    segmind_conn_id: str

    @property
    def request_interval(self) -> float:
        """Seconds between two requests at least."""

    def send(self, call: Call[T]) -> T:
        """Send a call once."""


class NonblockingSender(Protocol):
    """What a wait on an event loop needs of a SegmindAsyncHook."""

    segmind_conn_id: str

    @property
    def load(self) -> KeyLoad:
        """How scarce the key's turns are."""

    async def send(self, call: Call[T]) -> T:
        """Send a call once, when it is its turn."""


def early_results(segmind_conn_id: str) -> EarlyResults:
    """Return what this process has seen of early calls for results with a connection."""
    if segmind_conn_id not in _early_results:
        while len(_early_results) >= MOST_CONNECTIONS:
            del _early_results[next(iter(_early_results))]
        _early_results[segmind_conn_id] = EarlyResults()
    return _early_results[segmind_conn_id]


def log_wait(request: FollowedRequest, where: str) -> None:
    """
    Log that a task begins to wait: for what, when it looks next, when it gives up.

    The process that waits may know more of the model, and look at another moment.

    :param where: ``triggerer`` or ``worker``.
    """
    now = time.time()
    age = now - request.submitted_at
    expected = EXPERIENCE.expect(request.model, now, request.expected_duration, request.variant)
    schedule = first_wait if age < FIRST_POLL else next_wait
    due = min(now + schedule(age, request.interval(age), expected), request.deadline)
    model = f" ({request.model})" if request.model else ""
    log.info(
        "Request %s%s: waiting in the %s. The next look is due by %s; it gives up at %s",
        request.request_id,
        model,
        where,
        utc(due),
        utc(request.deadline),
    )


def wait_for(request: FollowedRequest, hook: BlockingSender) -> RequestReport:
    """
    Wait in this thread until a request is COMPLETED, and return its result.

    :raises SegmindError: If it ends in any other way, or the deadline passes.
    """
    found: RequestReport = drive(
        follow(
            request,
            time.time,
            EXPERIENCE,
            early_results(hook.segmind_conn_id),
            lambda: KeyLoad(request_interval=hook.request_interval),  # this process waits for nothing else
        ),
        hook,
    )
    return found


def wait_shortly(request: FollowedRequest, hook: BlockingSender) -> RequestReport | None:
    """
    Wait in this thread for a request that is usually done in less than 10 s, and return its result.

    Of a request that nothing is known of, wait for the first look: it may be a matter of a second.

    :return: None if it usually takes longer, or takes more than 15 s this time: a deferral is worth its price.
    :raises SegmindError: If it ends in any other way, or the deadline passes.
    """
    now = time.time()
    expected = EXPERIENCE.expect(request.model, now, request.expected_duration, request.variant)
    longest = FIRST_POLL if expected is UNKNOWN else min(expected.latest(), LONGEST_SHORT_WAIT)
    until = request.submitted_at + longest
    may_be_short = expected.typical < SHORT or expected is UNKNOWN
    if not may_be_short or hook.request_interval > FIRST_POLL or until <= now:
        return None
    try:
        return wait_for(replace(request, deadline=min(until, request.deadline)), hook)
    except RequestTimeoutError:
        if request.deadline <= until:
            raise
        return None


def fetch_completed(request_id: str, hook: BlockingSender) -> RequestReport:
    """
    Return the result of a request that is COMPLETED: from its record, or from the history if that has expired.

    :raises SegmindError: If it cannot be had within ten minutes.
    """
    now = time.time()
    return wait_for(
        FollowedRequest(request_id, now - RECORD_LIFETIME, now + LONGEST_FETCH, poll_interval=FETCH_INTERVAL), hook
    )


def poll_request(
    request_id: str, age: float, hook: BlockingSender, *, by_result: bool = False
) -> RequestReport | Unfinished:
    """
    Poll a request once.

    :param age: Seconds since it was submitted, as far as known.
    :param by_result: Whether to ask for its result in place of its status, where that tells as much. To find out
        costs a process one call, so it pays where the process polls on.
    :raises SegmindError: If it has ended without output, or cannot be asked about.
    """
    found: RequestReport | Unfinished = drive(
        poll(request_id, age, early=early_results(hook.segmind_conn_id) if by_result else None, now=time.time()),
        hook,
    )
    return found


def drive(steps: Generator[Any, Any, Any], hook: BlockingSender) -> Any:
    """Do what the steps of a generator of ``api`` say until they end, and return what they return."""
    outcome: Any = None
    asked = None
    while True:
        try:
            step = advance(steps, outcome)
        except StopIteration as end:
            return end.value
        if isinstance(step, Wait):
            _log_look(step, asked, log.warning)
        else:
            asked = step.request_id
        outcome = _carry_out(step, hook)


def _log_look(wait: Wait, request_id: str | None, warn: Callable[[str], object]) -> None:
    """Log what the look before a wait has seen, for people who follow each look; and what is worth a warning."""
    if wait.remark:
        warn(wait.remark)
    if wait.seen:
        about = "The request history" if request_id is None else f"Request {request_id}"
        log.debug("%s: %s. The next look is due in %.1f s", about, wait.seen, wait.seconds)


def _carry_out(step: Any, hook: BlockingSender) -> Any:
    """Sleep, or send a call: return its answer or the error that it ended in."""
    if isinstance(step, Wait):
        time.sleep(max(step.seconds, hook.request_interval))
        return None
    try:
        return hook.send(step)
    except SegmindError as error:
        return error


def follow_in_triggerer(request: FollowedRequest, hook: NonblockingSender) -> Generator[Any, Any, Any]:
    """Return the steps of a wait that shares the key with the others on the event loop."""
    early = early_results(hook.segmind_conn_id)
    return follow(request, time.time, EXPERIENCE, early, lambda: hook.load)


async def drive_on_loop(
    steps: Generator[Any, Any, Any], hook: NonblockingSender, warn: Callable[[str], object]
) -> Any:
    """
    Do the same on an event loop.

    :param warn: Is called with each remark that is worth a line in the log.
    """
    outcome: Any = None
    asked = None
    while True:
        try:
            step = advance(steps, outcome)
        except StopIteration as end:
            return end.value
        outcome = None  # an answer may be large, and an error holds all that it passed through
        if isinstance(step, Wait):
            _log_look(step, asked, warn)
            await asyncio.sleep(step.seconds)
        else:
            asked = step.request_id
            outcome = await _send(step, hook)


async def _send(call: Call[Any], hook: NonblockingSender) -> Any:
    try:
        return await hook.send(call)
    except SegmindError as error:
        return error
