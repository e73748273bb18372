"""The trigger that waits for a submit's turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, ClassVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_segmind.api.awaited_turn import AwaitedTurn
from airflow_provider_segmind.api.forms import MAPPING, TEXT, Form
from airflow_provider_segmind.exceptions import RateLimitedError, SegmindError, UnreachableError
from airflow_provider_segmind.hooks.connection import DEFAULT_CONNECTION_ID
from airflow_provider_segmind.triggers.arguments import UNREADABLE, ignore_unknown
from airflow_provider_segmind.triggers.driving import async_hook
from airflow_provider_segmind.triggers.events import broken_off, turn_event


class SegmindTurnTrigger(BaseTrigger):
    """
    Wait until a key may submit again after a 429. Sends nothing: only a worker may submit.

    The turn is one of the key's budget in this triggerer, before those of the requests that are waited for. So a
    thousand tasks that were refused together come back one after another, and what waits with the same key pauses
    meanwhile.

    The event has ``turn``, what was waited for, and ``error`` if it did not come before the deadline.

    The constructor raises nothing, because Airflow calls it in the triggerer: if an argument is wrong, the event
    has the error. Arguments that this version does not know are ignored.

    :param segmind_conn_id: A connection of the type ``segmind``.
    :param turn: The fields of :class:`~airflow_provider_segmind.api.awaited_turn.AwaitedTurn`.
    :param version: Of these arguments, see docs/upgrades.md.
    :ivar trouble: What is wrong with the arguments; None if nothing is.
    """

    VERSION: ClassVar[int] = 1
    trouble: SegmindError | None = None

    def __init__(
        self,
        segmind_conn_id: str | None = None,
        turn: dict[str, Any] | None = None,
        version: int = VERSION,
        **unknown: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        ignore_unknown(type(self), unknown)
        self._read({"segmind_conn_id": segmind_conn_id, "turn": turn, "version": version})

    def _read(self, arguments: dict[str, Any]) -> None:
        try:
            form = Form(arguments, UNREADABLE, self.VERSION)
            self.segmind_conn_id = form.optional("segmind_conn_id", TEXT, DEFAULT_CONNECTION_ID)
            self.turn = AwaitedTurn.from_json(form.required("turn", MAPPING))
        except SegmindError as error:
            now = time.time()
            self.trouble, self._arguments = error, arguments
            self.turn = AwaitedTurn(now, now)
            self.segmind_conn_id = DEFAULT_CONNECTION_ID

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and all that is needed to go on elsewhere."""
        return (
            "airflow_provider_segmind.triggers.turn.SegmindTurnTrigger",
            self._arguments
            if self.trouble is not None
            else {"version": self.VERSION, "segmind_conn_id": self.segmind_conn_id, "turn": self.turn.as_json()},
        )

    @property
    def latest_end(self) -> float:
        """When the wait is over at the latest, in seconds since the epoch."""
        return self.turn.deadline

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event, when the turn has come or the deadline has passed."""
        if self.trouble is not None:
            yield TriggerEvent(turn_event(None, self.trouble))
            return
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
