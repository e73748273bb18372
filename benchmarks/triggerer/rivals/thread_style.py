"""Waiting as the Anthropic provider's triggers do: a blocking client, called in a thread for each poll."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import cached_property
from typing import Any

import httpx
from airflow.triggers.base import BaseTrigger, TriggerEvent

from benchmarks.triggerer.rivals.gateway import POLL_SECONDS, Gateway, looked_up


class BlockingClient:
    """
    Such a hook: it makes its SDK's client when it is first used, and keeps it.

    That SDK and Segmind's own are both made on ``httpx.Client``.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    @cached_property
    def _client(self) -> httpx.Client:
        return httpx.Client(headers=self._gateway.headers, timeout=30)

    def status(self, request_id: str) -> dict[str, Any]:
        """Return the status of a request."""
        return self._asked(self._gateway.status(request_id))

    def result(self, request_id: str) -> dict[str, Any]:
        """Return the result of a request."""
        return self._asked(self._gateway.result(request_id))

    def _asked(self, url: str) -> dict[str, Any]:
        return dict(self._client.get(url).raise_for_status().json())


class ThreadStyleTrigger(BaseTrigger):
    """Ask every two seconds in a thread; fetch the result at the end."""

    def __init__(self, conn_id: str, request_id: str) -> None:
        super().__init__()
        self.conn_id = conn_id
        self.request_id = request_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments."""
        return f"{__name__}.ThreadStyleTrigger", {"conn_id": self.conn_id, "request_id": self.request_id}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event, when the job has ended."""
        client = BlockingClient(await looked_up(self.conn_id))
        while (await asyncio.to_thread(client.status, self.request_id))["status"] != "COMPLETED":  # noqa: ASYNC110 - it asks a server
            await asyncio.sleep(POLL_SECONDS)
        result = await asyncio.to_thread(client.result, self.request_id)
        yield TriggerEvent({"request_id": self.request_id, "result": result})
