"""
What runs in the triggerers: the rivals' ways to wait, and a trigger that measures how late the event loop is.

Nothing that measures from outside is imported here. What only one kind needs is imported with its first trigger,
as it would be if each had its own module.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    import httpx

POLL_SECONDS = 2.0
"""The interval in the sample on the model's page."""

PAUSE = 0.02
_LINES = 50


@dataclass(frozen=True)
class Gateway:
    """What the rivals know of Segmind: where it is, the key, and two addresses."""

    url: str
    headers: dict[str, str]

    def status(self, request_id: str) -> str:
        """Return the address of a request's status."""
        return f"{self.url}/v2/requests/{request_id}/status"

    def result(self, request_id: str) -> str:
        """Return the address of a request's result."""
        return f"{self.url}/v2/requests/{request_id}"


class _Trigger(BaseTrigger):
    """A trigger that is made again from its arguments, which are its attributes."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.arguments = arguments

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments."""
        return f"{__name__}.{type(self).__name__}", self.arguments


class _Polling(_Trigger):
    """Looks the connection up, asks every two seconds, and fetches the result at the end."""

    def __init__(self, conn_id: str, request_id: str) -> None:
        super().__init__(conn_id=conn_id, request_id=request_id)
        self.conn_id = conn_id
        self.request_id = request_id

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event, when the job has ended."""
        from airflow.providers.common.compat.connection import get_async_connection

        defined = await get_async_connection(self.conn_id)
        self.gateway = Gateway(str(defined.host), {"x-api-key": str(defined.password)})
        while (await self._ask(self.gateway.status(self.request_id)))["status"] != "COMPLETED":  # noqa: ASYNC110 - it asks a server
            await asyncio.sleep(POLL_SECONDS)
        result = await self._ask(self.gateway.result(self.request_id))
        yield TriggerEvent({"request_id": self.request_id, "result": result})

    async def _ask(self, url: str) -> dict[str, Any]:
        raise NotImplementedError


class HttpStyleTrigger(_Polling):
    """Waits as the HTTP provider's triggers do: a new aiohttp session for each poll."""

    async def _ask(self, url: str) -> dict[str, Any]:
        import aiohttp

        async with aiohttp.ClientSession() as session, session.get(url, headers=self.gateway.headers) as answer:
            answer.raise_for_status()
            return dict(await answer.json())


class ThreadStyleTrigger(_Polling):
    """Waits as the Anthropic provider's triggers do: a blocking client, called in a thread for each poll."""

    async def _ask(self, url: str) -> dict[str, Any]:
        return await asyncio.to_thread(self._ask_blocking, url)

    def _ask_blocking(self, url: str) -> dict[str, Any]:
        return dict(self._client.get(url).raise_for_status().json())

    @cached_property
    def _client(self) -> httpx.Client:
        """Such a hook's client: that SDK and Segmind's own are both made on ``httpx.Client``."""
        import httpx

        return httpx.Client(headers=self.gateway.headers, timeout=30)


class SleepingTrigger(_Trigger):
    """The floor: knows when its job ends, and only sleeps. It costs what Airflow itself costs."""

    def __init__(self, request_id: str, until: float) -> None:
        super().__init__(request_id=request_id, until=until)
        self.request_id = request_id
        self.until = until

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event, at that time."""
        await asyncio.sleep(max(self.until - time.time(), 0))
        yield TriggerEvent({"request_id": self.request_id, "result": {"status": "COMPLETED"}})


class LagMeterTrigger(_Trigger):
    """Sleeps for a moment, again and again, and writes down when it woke and how late that was."""

    def __init__(self, path: str) -> None:
        super().__init__(path=path)
        self.path = path

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Run until the triggerer ends; there is no event."""
        lines: list[str] = []
        while True:
            began = time.perf_counter()
            await asyncio.sleep(PAUSE)
            late = time.perf_counter() - began - PAUSE
            lines.append(f"{time.time():.3f} {late:.6f}\n")
            if len(lines) >= _LINES:
                _append(self.path, "".join(lines))
                lines.clear()
        yield TriggerEvent(None)


def _append(path: str, lines: str) -> None:
    with Path(path).open("a") as file:
        file.write(lines)
