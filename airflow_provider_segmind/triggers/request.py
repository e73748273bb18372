"""The trigger that follows one request to its end."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from sys import intern
from typing import Any, ClassVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_segmind.api.follow import LAST_TURN, LONGEST_QUEUE, FollowedRequest, follow
from airflow_provider_segmind.api.forms import DURATION, MOMENT, NUMBER, REQUEST_ID, TEXT, WORD, Form
from airflow_provider_segmind.exceptions import SegmindError
from airflow_provider_segmind.hooks.connection import DEFAULT_CONNECTION_ID
from airflow_provider_segmind.triggers.arguments import UNREADABLE, ignore_unknown
from airflow_provider_segmind.triggers.driving import driven
from airflow_provider_segmind.triggers.events import broken_off, completed_event, error_event

RECORD_LASTS = 3600.0
"""Seconds from its submission for which Segmind keeps the record of a request."""


class SegmindRequestTrigger(BaseTrigger):
    """
    Wait for a request, and bring its result.

    Only ever reads from Segmind, so it may be run twice, moved or restarted without a charge. It waits out lost
    connections, server errors and rate limits until the deadline. The result is fetched as soon as the request
    is COMPLETED and travels in the event, because Segmind forgets it an hour after submission and a worker may
    be free only later.

    The event has ``request_id``, and either ``state`` and ``result`` (the whole answer) or ``error`` (``type``,
    ``detail``, ``status``, ``request_id``). See :func:`~airflow_provider_segmind.triggers.events.read_event`.

    The constructor raises nothing, because Airflow calls it in the triggerer: if an argument is wrong, the event
    has the error. Arguments that this version does not know are ignored.

    :param request_id: The request to wait for.
    :param segmind_conn_id: A connection of the type ``segmind``.
    :param submitted_at: When it was submitted, in seconds since the epoch. Default now.
    :param deadline: When to give up, in seconds since the epoch: a point in time survives a restart. Default one
        hour from the submission.
    :param poll_interval: Seconds between looks; None to adapt to the request's age and to what is usual.
    :param model: The model's slug: looks go by how long its requests usually take.
    :param expected_duration: Seconds that the request is expected to take, if that is known better.
    :param version: Of these arguments, see docs/upgrades.md.
    :ivar trouble: What is wrong with the arguments; None if nothing is.
    """

    VERSION: ClassVar[int] = 1
    trouble: SegmindError | None = None

    def __init__(
        self,
        request_id: str | None = None,
        segmind_conn_id: str | None = None,
        submitted_at: float | None = None,
        deadline: float | None = None,
        poll_interval: float | None = None,
        model: str | None = None,
        expected_duration: float | None = None,
        version: int = VERSION,
        **unknown: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        ignore_unknown(type(self), unknown)
        self._read(
            {
                "request_id": request_id,
                "segmind_conn_id": segmind_conn_id,
                "submitted_at": submitted_at,
                "deadline": deadline,
                "poll_interval": poll_interval,
                "model": model,
                "expected_duration": expected_duration,
                "version": version,
            }
        )

    def _read(self, arguments: dict[str, Any]) -> None:
        now = time.time()
        try:
            form = Form(arguments, UNREADABLE, self.VERSION)
            submitted_at = form.optional("submitted_at", MOMENT, now)
            model = form.optional("model", WORD, None)
            self.request = FollowedRequest(
                form.required("request_id", REQUEST_ID),
                submitted_at,
                form.optional("deadline", NUMBER, submitted_at + RECORD_LASTS),
                form.optional("poll_interval", DURATION, None),
                # Copies of the same words would take a hundredth of the memory of a thousand triggers.
                model and intern(model),
                form.optional("expected_duration", DURATION, None),
            )
            self.segmind_conn_id = intern(form.optional("segmind_conn_id", TEXT, DEFAULT_CONNECTION_ID))
        except SegmindError as error:
            self.trouble, self._arguments = error, arguments
            self.request = FollowedRequest(error.request_id or "", now, now)
            self.segmind_conn_id = DEFAULT_CONNECTION_ID

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and all that is needed to go on elsewhere."""
        return (
            "airflow_provider_segmind.triggers.request.SegmindRequestTrigger",
            self._arguments
            if self.trouble is not None
            else {"version": self.VERSION, "segmind_conn_id": self.segmind_conn_id, **asdict(self.request)},
        )

    @property
    def latest_end(self) -> float:
        """When the wait is over at the latest, in seconds since the epoch: after the last turns of the key."""
        return self.request.deadline + LAST_TURN + LONGEST_QUEUE

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event, when the request has ended or the deadline has passed."""
        if self.trouble is not None:
            yield TriggerEvent(error_event(self.trouble.request_id, self.trouble))
            return
        try:
            event = completed_event(
                await driven(follow(self.request, time.time), self.segmind_conn_id, self._warn)
            )
        except SegmindError as error:
            event = error_event(self.request.request_id, error)
        except Exception as error:
            self.log.exception("Waiting for request %s broke off", self.request.request_id)
            event = error_event(self.request.request_id, broken_off("waiting", error))
        yield TriggerEvent(event)

    def _warn(self, remark: str) -> None:
        self.log.warning(remark)  # a logger of its own takes memory, and most never need one

    async def on_kill(self) -> None:
        """Say what becomes of the request when a user kills the task. Airflow 3.3 and later call this."""
        self.log.warning(
            "The task was killed, but Segmind cannot cancel request %s: it runs on and will be billed if it "
            "completes. Its result can be fetched with this id for one hour from its submission.",
            self.request.request_id,
        )
