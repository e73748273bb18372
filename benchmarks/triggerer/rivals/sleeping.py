"""The floor: a trigger that knows when its job ends, and only sleeps. It costs what Airflow itself costs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent


class SleepingTrigger(BaseTrigger):
    """Sleep until a point in time."""

    def __init__(self, request_id: str, until: float) -> None:
        super().__init__()
        self.request_id = request_id
        self.until = until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments."""
        return f"{__name__}.SleepingTrigger", {"request_id": self.request_id, "until": self.until}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event, at that time."""
        await asyncio.sleep(max(self.until - time.time(), 0))
        yield TriggerEvent({"request_id": self.request_id, "result": {"status": "COMPLETED"}})
