"""Waiting as the HTTP provider's triggers do: a new aiohttp session for each poll."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from airflow.triggers.base import BaseTrigger, TriggerEvent

from benchmarks.triggerer.rivals.gateway import POLL_SECONDS, looked_up


class HttpStyleTrigger(BaseTrigger):
    """Ask every two seconds over a connection of its own; fetch the result at the end."""

    def __init__(self, conn_id: str, request_id: str) -> None:
        super().__init__()
        self.conn_id = conn_id
        self.request_id = request_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments."""
        return f"{__name__}.HttpStyleTrigger", {"conn_id": self.conn_id, "request_id": self.request_id}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event, when the job has ended."""
        gateway = await looked_up(self.conn_id)
        while (await _asked(gateway.status(self.request_id), gateway.headers))["status"] != "COMPLETED":  # noqa: ASYNC110 - it asks a server
            await asyncio.sleep(POLL_SECONDS)
        result = await _asked(gateway.result(self.request_id), gateway.headers)
        yield TriggerEvent({"request_id": self.request_id, "result": result})


async def _asked(url: str, headers: dict[str, str]) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        answer.raise_for_status()
        return dict(await answer.json())
