"""The trigger that searches the request history for a submit without a clear answer."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Any

from airflow_provider_segmind.api.forms import MAPPING, Form
from airflow_provider_segmind.api.history_search import LONGEST_SEARCH_QUEUE, HistoryMatches, search_history
from airflow_provider_segmind.api.unresolved_submit import UnresolvedSubmit
from airflow_provider_segmind.exceptions import HISTORY, SegmindError, SubmitUnresolvedError
from airflow_provider_segmind.hooks.loading import drive_async
from airflow_provider_segmind.triggers.base import SubmitTrigger
from airflow_provider_segmind.triggers.submit_events import search_event

LATEST_START = 600.0
"""Seconds after the deadline of a search at which a triggerer that was down may still begin it."""


class SegmindUnresolvedSubmitTrigger(SubmitTrigger):
    """
    Search Segmind's request history for a submit without a clear answer.

    It only reads from Segmind. A row may appear late, so it reads the history again until the deadline: after 5 s,
    10, 20, 30.

    The event has ``submit``, what was searched for; ``request_ids``, what was found; and ``error`` if the history
    could not be read.

    :param submit: The fields of :class:`~airflow_provider_segmind.api.unresolved_submit.UnresolvedSubmit`.
    """

    submit: UnresolvedSubmit

    @property
    def latest_end(self) -> float:
        """
        When the search is over at the latest, in seconds since the epoch.

        A search that begins late, after a triggerer was down, has the whole of its queue from then on.
        """
        return self.submit.search_until + LATEST_START + LONGEST_SEARCH_QUEUE

    async def on_kill(self) -> None:
        """Say what may become of the request when a user kills the task. Airflow 3.3 and later call this."""
        self.log.warning(
            "The task was killed while it was unknown whether Segmind has its request (model %s). If it has, the "
            "request keeps running and will be billed if it completes: look in %s for a request of %s.",
            self.submit.model,
            HISTORY,
            self.submit.name,
        )

    def _read(self, form: Form) -> None:
        self.submit = UnresolvedSubmit.from_json(form.required("submit", MAPPING))

    def _read_nothing(self, error: SegmindError, now: float) -> None:
        self.submit = UnresolvedSubmit("", "", sent_at=now, accepted_by=now, search_from=now, search_until=now)

    def _wait(self) -> Awaitable[Any]:
        return drive_async(
            lambda _: search_history(self.submit, time.time), self.segmind_conn_id, self.log.warning
        )

    def _event(self, outcome: Any) -> dict[str, Any]:
        return search_event(self.submit, outcome)

    def _event_of_error(self, error: SegmindError) -> dict[str, Any]:
        return search_event(self.submit, HistoryMatches(trouble=error))

    def _event_of_trouble(self, trouble: SegmindError) -> dict[str, Any]:
        return search_event(None, HistoryMatches(trouble=SubmitUnresolvedError(trouble.detail)))
