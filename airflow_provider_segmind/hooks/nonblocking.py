"""
The transport of the triggerer, on ``aiohttp``: shared by all who wait with one connection on one event loop.

A thousand triggers cost one session, one TLS handshake for each of a few sockets, and one connection look-up
every few minutes.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar
from weakref import WeakKeyDictionary

import aiohttp

from airflow_provider_segmind.api.call import Call, Response, Service
from airflow_provider_segmind.exceptions import AuthenticationError, RateLimitedError, SegmindError
from airflow_provider_segmind.hooks.budget import Budget, shared_budget
from airflow_provider_segmind.hooks.connection import CONNECT_TIMEOUT, SegmindConnection, without_login
from airflow_provider_segmind.hooks.lookup import look_up_async

T = TypeVar("T")

LOOKUP_LIFETIME = 300.0
"""Seconds for which a looked-up connection is used: a rotated key is picked up after that."""

_SOCKETS = 20
_KEEP_ALIVE = 60.0


class NonblockingTransport:
    """Sends calls concurrently over one session. Sends each call once: those who wait look again anyway."""

    def __init__(self, conn_id: str) -> None:
        self.users = 0
        self._conn_id = conn_id
        self._lookup = asyncio.Lock()
        self._connection: SegmindConnection | None = None
        self._stale_at = 0.0
        self._tls: ssl.SSLContext | bool = True
        self._proxies: dict[Service, str | None] = {}
        connector = aiohttp.TCPConnector(limit=_SOCKETS, keepalive_timeout=_KEEP_ALIVE, ttl_dns_cache=300)
        self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    async def send(self, call: Call[T]) -> T:
        """
        Send a call when it is its turn, and return what the answer means.

        Redirects are not followed: they would carry the API key to another host. If the key is rejected, the
        connection is looked up again, for it may have been changed.

        :raises SegmindError: The one that fits, if the answer is not what was hoped for.
        """
        if call.charged:
            raise RuntimeError("only a worker may send what is charged: a trigger may be run twice")
        connection = await self._current_connection()
        try:
            return await self._sent_in_turn(call, connection)
        except AuthenticationError:
            renewed = await self._connection_after(connection)
            if renewed == connection:
                raise
        return await self._sent_in_turn(call, renewed)

    async def budget(self) -> Budget:
        """Return what the connection's key may send."""
        return shared_budget(await self._current_connection())

    async def close(self) -> None:
        """Close the session and its sockets."""
        await self._session.close()

    async def _sent_in_turn(self, call: Call[T], connection: SegmindConnection) -> T:
        budget = shared_budget(connection)
        await budget.turn(call.turn, call.request_id)
        try:
            answer = await self._sent(call, connection)
        except RateLimitedError as error:
            budget.refused(error.reset_at.timestamp() if error.reset_at else None)
            raise
        budget.accepted()
        return answer

    async def _sent(self, call: Call[T], connection: SegmindConnection) -> T:
        url = connection.url(call)
        try:
            async with self._session.request(
                call.method,
                url,
                data=call.body,
                headers=connection.headers(call),
                timeout=aiohttp.ClientTimeout(
                    total=connection.patience(call), sock_connect=min(CONNECT_TIMEOUT, connection.timeout)
                ),
                ssl=self._tls,
                proxy=self._proxy(call.service, connection),
                allow_redirects=False,
            ) as answer:
                response = await _received(answer, call.limit, connection)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
            raise call.undelivered(_in_short(error)) from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise call.unanswered(_in_short(error)) from error
        return call.read(response)

    def _proxy(self, service: Service, connection: SegmindConnection) -> str | None:
        """Return the proxy on the way to a service; the environment is asked only once for each."""
        if service not in self._proxies:
            self._proxies[service] = connection.proxy_for(connection.urls[service])
        return self._proxies[service]

    async def _connection_after(self, rejected: SegmindConnection) -> SegmindConnection:
        """Return a connection that was looked up after this one: once, however many had their key rejected."""
        if self._connection is rejected:
            self._stale_at = 0.0
        return await self._current_connection()

    async def _current_connection(self) -> SegmindConnection:
        if self._connection is not None and time.monotonic() < self._stale_at:
            return self._connection
        async with self._lookup:
            if self._connection is None or time.monotonic() >= self._stale_at:
                self._connection = await self._looked_up(self._connection)
                self._stale_at = time.monotonic() + LOOKUP_LIFETIME
            return self._connection

    async def _looked_up(self, known: SegmindConnection | None) -> SegmindConnection:
        try:
            found = await look_up_async(self._conn_id)
        except SegmindError:
            if known is None:
                raise
            return known
        self._tls = _tls(found.verify)
        self._proxies.clear()
        return found


_transports: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, NonblockingTransport]] = WeakKeyDictionary()


@asynccontextmanager
async def shared_transport(conn_id: str) -> AsyncIterator[NonblockingTransport]:
    """Lend the transport of a connection on the running loop; the last to give it back closes it."""
    transports = _transports.setdefault(asyncio.get_running_loop(), {})
    transport = transports.get(conn_id)
    if transport is None:
        transport = transports[conn_id] = NonblockingTransport(conn_id)
    transport.users += 1
    try:
        yield transport
    finally:
        transport.users -= 1
        if transport.users == 0:
            del transports[conn_id]
            await transport.close()


def _tls(verify: bool | str) -> ssl.SSLContext | bool:
    if isinstance(verify, bool):
        return verify
    folder = Path(verify).is_dir()
    return ssl.create_default_context(cafile=None if folder else verify, capath=verify if folder else None)


async def _received(answer: aiohttp.ClientResponse, limit: int, connection: SegmindConnection) -> Response:
    body = bytearray()
    complete = True
    try:
        while chunk := await answer.content.readany():
            body += chunk
            if len(body) > limit:
                complete = False
                answer.close()
                break
    except (aiohttp.ClientError, TimeoutError, OSError):
        complete = False
    return Response(
        status=answer.status,
        headers={name.lower(): value for name, value in answer.headers.items()},
        body=connection.redacted(bytes(body[:limit])),
        complete=complete,
    )


def _in_short(error: BaseException) -> str:
    words = without_login(str(error))
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
