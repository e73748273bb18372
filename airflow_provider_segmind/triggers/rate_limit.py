"""The trigger that waits until a key may submit again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any

from airflow_provider_segmind.api.forms import MAPPING, Form
from airflow_provider_segmind.api.rate_limited_submit import RateLimitedSubmit
from airflow_provider_segmind.exceptions import RateLimitedError, SegmindError, UnreachableError
from airflow_provider_segmind.hooks.loading import load_async_hook
from airflow_provider_segmind.triggers.base import SubmitTrigger
from airflow_provider_segmind.triggers.submit_events import rate_limit_event


class SegmindRateLimitTrigger(SubmitTrigger):
    """
    Wait until a key may submit again after a 429. It sends nothing: only a worker may submit.

    The turn is one of the key's budget in this triggerer, before those of the requests that are waited for. So a
    thousand tasks that were refused together come back one after another, and what waits with the same key pauses
    meanwhile.

    The event has ``submit``, what has waited, and ``error`` if its turn did not come before the deadline.

    :param submit: The fields of :class:`~airflow_provider_segmind.api.rate_limited_submit.RateLimitedSubmit`.
    """

    submit: RateLimitedSubmit

    @property
    def latest_end(self) -> float:
        """When the wait is over at the latest, in seconds since the epoch."""
        return self.submit.deadline

    def _read(self, form: Form) -> None:
        self.submit = RateLimitedSubmit.from_json(form.required("submit", MAPPING))

    def _read_nothing(self, error: SegmindError, now: float) -> None:
        self.submit = RateLimitedSubmit(now, now)

    def _wait(self) -> Awaitable[Any]:
        return self._wait_for_turn()

    async def _wait_for_turn(self) -> None:
        try:
            async with await load_async_hook(self.segmind_conn_id) as hook:
                budget = await hook.get_budget()
                await budget.wait_to_submit(self.submit.not_before, self.submit.deadline, self.earliest_event)
        except UnreachableError as trouble:
            self.log.warning(
                "Waiting without the key's other tasks, as their queue cannot be found: %s", trouble.facts
            )
            await asyncio.sleep(self.submit.pause(time.time()))

    def _event(self, outcome: Any) -> dict[str, Any]:
        return rate_limit_event(self.submit, None)

    def _event_of_error(self, error: SegmindError) -> dict[str, Any]:
        overdue = isinstance(error, RateLimitedError)
        return rate_limit_event(self.submit, self.submit.timeout_error() if overdue else error)

    def _event_of_trouble(self, trouble: SegmindError) -> dict[str, Any]:
        return rate_limit_event(None, trouble)
