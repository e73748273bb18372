"""The trigger that looks for a submit whose answer was lost."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any, ClassVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_segmind.api.forms import MAPPING, TEXT, Form
from airflow_provider_segmind.api.resolve import LONGEST_QUEUE, LostSubmit, Traces, find_lost
from airflow_provider_segmind.exceptions import SegmindError, SubmitUnresolvedError
from airflow_provider_segmind.hooks.connection import DEFAULT_CONNECTION_ID
from airflow_provider_segmind.triggers.arguments import UNREADABLE, ignore_unknown
from airflow_provider_segmind.triggers.driving import driven
from airflow_provider_segmind.triggers.events import broken_off, traces_event


class SegmindLostSubmitTrigger(BaseTrigger):
    """
    Look into Segmind's request history for a submit whose answer was lost.

    Only ever reads from Segmind. A row may come late, so it looks again until the deadline: after 5 s, 10, 20, 30.

    The event has ``submit``, what was looked for; ``request_ids``, what was found; and ``error`` if the history
    could not tell.

    The constructor raises nothing, because Airflow calls it in the triggerer: if an argument is wrong, the event
    has the error. Arguments that this version does not know are ignored.

    :param segmind_conn_id: A connection of the type ``segmind``.
    :param submit: The fields of :class:`~airflow_provider_segmind.api.resolve.LostSubmit`.
    :param version: Of these arguments, see docs/upgrades.md.
    :ivar trouble: What is wrong with the arguments; None if nothing is.
    """

    VERSION: ClassVar[int] = 1
    trouble: SegmindError | None = None

    def __init__(
        self,
        segmind_conn_id: str | None = None,
        submit: dict[str, Any] | None = None,
        version: int = VERSION,
        **unknown: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        ignore_unknown(type(self), unknown)
        self._read({"segmind_conn_id": segmind_conn_id, "submit": submit, "version": version})

    def _read(self, arguments: dict[str, Any]) -> None:
        try:
            form = Form(arguments, UNREADABLE, self.VERSION)
            self.segmind_conn_id = form.optional("segmind_conn_id", TEXT, DEFAULT_CONNECTION_ID)
            self.submit = LostSubmit.from_json(form.required("submit", MAPPING))
        except SegmindError as error:
            now = time.time()
            self.trouble, self._arguments = error, arguments
            self.submit = LostSubmit("", "", at=now, latest=now, not_before=now, deadline=now)
            self.segmind_conn_id = DEFAULT_CONNECTION_ID

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and all that is needed to go on elsewhere."""
        return (
            "airflow_provider_segmind.triggers.lost_submit.SegmindLostSubmitTrigger",
            self._arguments
            if self.trouble is not None
            else {
                "version": self.VERSION,
                "segmind_conn_id": self.segmind_conn_id,
                "submit": self.submit.as_json(),
            },
        )

    @property
    def latest_end(self) -> float:
        """When the search is over at the latest, in seconds since the epoch."""
        return self.submit.deadline + LONGEST_QUEUE

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event, when something was found or the deadline has passed."""
        if self.trouble is not None:
            yield TriggerEvent(traces_event(None, Traces(trouble=SubmitUnresolvedError(self.trouble.detail))))
            return
        try:
            traces: Traces = await driven(
                find_lost(self.submit, time.time), self.segmind_conn_id, self.log.warning
            )
        except Exception as error:
            self.log.exception("Looking for a lost submit broke off")
            traces = Traces(trouble=broken_off("looking", error))
        yield TriggerEvent(traces_event(self.submit, traces))

    async def on_kill(self) -> None:
        """Say what may become of the request when a user kills the task. Airflow 3.3 and later call this."""
        self.log.warning(
            "The task was killed while it was unknown whether Segmind has its request (model %s). If it has, the "
            "request runs on and will be billed if it completes: look in Segmind's request history.",
            self.submit.model,
        )
