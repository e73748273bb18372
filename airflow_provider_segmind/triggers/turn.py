"""The trigger that waits for a submit's turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_segmind.api.awaited_turn import AwaitedTurn
from airflow_provider_segmind.exceptions import RateLimitedError, SegmindError, UnreachableError
from airflow_provider_segmind.triggers.driving import async_hook
from airflow_provider_segmind.triggers.events import broken_off, turn_event


class SegmindTurnTrigger(BaseTrigger):
    """
    Wait until a key may submit again after a 429. Sends nothing: only a worker may submit.

    The turn is one of the key's budget in this triggerer, before those of the requests that are waited for. So a
    thousand tasks that were refused together come back one after another, and what waits with the same key pauses
    meanwhile.

    The event has ``turn``, what was waited for, and ``error`` if it did not come before the deadline.

    :param segmind_conn_id: A connection of the type ``segmind``.
    :param turn: The fields of :class:`~airflow_provider_segmind.api.awaited_turn.AwaitedTurn`.
    """

    def __init__(self, segmind_conn_id: str, turn: dict[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.segmind_conn_id = segmind_conn_id
        self.turn = AwaitedTurn.from_json(turn)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and all that is needed to go on elsewhere."""
        return (
            "airflow_provider_segmind.triggers.turn.SegmindTurnTrigger",
            {"segmind_conn_id": self.segmind_conn_id, "turn": self.turn.as_json()},
        )

    @property
    def latest_end(self) -> float:
        """When the wait is over at the latest, in seconds since the epoch."""
        return self.turn.deadline

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event, when the turn has come or the deadline has passed."""
        error: SegmindError | None = None
        try:
            await self._come()
        except RateLimitedError:
            error = self.turn.missed()
        except SegmindError as failure:
            error = failure
        except Exception as failure:
            self.log.exception("Waiting for a turn broke off")
            error = broken_off("waiting for a turn", failure)
        yield TriggerEvent(turn_event(self.turn, error))

    async def _come(self) -> None:
        try:
            async with await async_hook(self.segmind_conn_id) as hook:
                budget = await hook.budget()
                await budget.submitting(self.turn.not_before, self.turn.deadline)
        except UnreachableError as trouble:
            self.log.warning("Waiting without the key's other tasks, as their queue cannot be found: %s", trouble)
            await asyncio.sleep(self.turn.alone(time.time()))
