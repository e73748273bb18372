"""The trigger that follows one request to its end."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from dataclasses import asdict
from functools import partial
from sys import intern
from typing import Any

from airflow_provider_segmind.api.follow import (
    LAST_TURN,
    LONGEST_RESULT_QUEUE,
    RECORD_LIFETIME,
    FollowedRequest,
)
from airflow_provider_segmind.api.forms import DURATION, FLAG, MOMENT, NUMBER, REQUEST_ID, WORD, Form
from airflow_provider_segmind.exceptions import SENSOR, SegmindError, still_running
from airflow_provider_segmind.hooks.driving import follow_in_triggerer
from airflow_provider_segmind.hooks.loading import drive_async
from airflow_provider_segmind.triggers.base import SegmindTrigger
from airflow_provider_segmind.triggers.events import completed_event, error_event


class SegmindRequestTrigger(SegmindTrigger):
    """
    Wait for a request, and bring its result.

    It only reads from Segmind, so it may be run twice, moved or restarted without a charge. It waits out lost
    connections, server errors and rate limits until the deadline. The result is fetched as soon as the request
    is COMPLETED and travels in the event, because Segmind forgets it an hour after submission and a worker may
    be free only later.

    The event has ``request_id``, and either ``state`` and ``result`` (the whole answer) or ``error`` (``type``,
    ``detail``, ``status``, ``request_id``). See :func:`~airflow_provider_segmind.triggers.events.read_event`.

    :param request_id: The request to wait for.
    :param segmind_conn_id: A connection of the type ``segmind``.
    :param submitted_at: When it was submitted, in seconds since the epoch. Default now.
    :param deadline: When to give up, in seconds since the epoch: a point in time survives a restart. Default one
        hour from the submission.
    :param poll_interval: Seconds between polls; None to adapt to the request's age and to what is usual.
    :param model: The model's slug: its usual duration decides when to poll.
    :param expected_duration: Seconds that the request is expected to take, if that is known better.
    :param exponential_backoff: Whether each wait is twice as long as the one before, from ``poll_interval`` on.
    :param max_wait: The longest of these waits, in seconds.
    :param variant: What of the request's parameters decides how long it takes, such as ``duration=10``: requests
        to one model that differ in it are expected to take a different time.
    :param version: Of these arguments, see docs/upgrades.md.
    :param earliest_event: When the event may come at the earliest, in seconds since the epoch. Default at once.
    :param attempt: The ``try_number`` of the task that waits.
    """

    def __init__(
        self,
        request_id: str | None = None,
        segmind_conn_id: str | None = None,
        submitted_at: float | None = None,
        deadline: float | None = None,
        poll_interval: float | None = None,
        model: str | None = None,
        expected_duration: float | None = None,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        version: int = SegmindTrigger.VERSION,
        earliest_event: float = 0.0,
        variant: str | None = None,
        attempt: int = 0,
        **unknown: Any,
    ) -> None:
        arguments = {
            "request_id": request_id,
            "segmind_conn_id": segmind_conn_id,
            "submitted_at": submitted_at,
            "deadline": deadline,
            "poll_interval": poll_interval,
            "model": model,
            "expected_duration": expected_duration,
            "exponential_backoff": exponential_backoff,
            "max_wait": max_wait,
            "variant": variant,
            "earliest_event": earliest_event,
            "attempt": attempt,
            "version": version,
        }
        super().__init__(arguments, unknown)

    @property
    def latest_end(self) -> float:
        """When the wait is over at the latest, in seconds since the epoch: after the last turns of the key."""
        return self.request.deadline + LAST_TURN + LONGEST_RESULT_QUEUE

    async def on_kill(self) -> None:
        """Say what becomes of the request when a user kills the task. Airflow 3.3 and later call this."""
        self.log.warning(
            "The task was killed. %s",
            still_running(f"{SENSOR} can fetch its result for one hour from submission.", self.request.request_id),
        )

    def _read(self, form: Form) -> None:
        submitted_at = form.optional("submitted_at", MOMENT, time.time())
        model, variant = form.optional("model", WORD, None), form.optional("variant", WORD, None)
        self.request = FollowedRequest(
            form.required("request_id", REQUEST_ID),
            submitted_at,
            form.optional("deadline", NUMBER, submitted_at + RECORD_LIFETIME),
            form.optional("poll_interval", DURATION, None),
            model and intern(model),
            form.optional("expected_duration", DURATION, None),
            form.optional("exponential_backoff", FLAG, False),
            form.optional("max_wait", DURATION, None),
            variant and intern(variant),
        )

    def _read_nothing(self, error: SegmindError, now: float) -> None:
        self.request = FollowedRequest(error.request_id or "", now, now)

    def _wait_as_json(self) -> dict[str, Any]:
        return asdict(self.request)

    def _wait(self) -> Awaitable[Any]:
        return drive_async(partial(follow_in_triggerer, self.request), self.segmind_conn_id, self._warn)

    def _warn(self, remark: str) -> None:
        self.log.warning(remark)  # looked up late: a logger takes memory, and most triggers never need one

    def _event(self, outcome: Any) -> dict[str, Any]:
        return completed_event(outcome)

    def _event_of_error(self, error: SegmindError) -> dict[str, Any]:
        return error_event(self.request.request_id, error)

    def _event_of_trouble(self, trouble: SegmindError) -> dict[str, Any]:
        return error_event(trouble.request_id, trouble)
