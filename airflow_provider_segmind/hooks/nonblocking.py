"""
The transport of the triggerer, on ``aiohttp``: shared by all who wait with one connection on one event loop.

A thousand triggers cost one session, one TLS handshake for each of a few sockets, and one connection look-up
every few minutes.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import aiohttp

from airflow_provider_segmind.api.call import Call, Response, Service
from airflow_provider_segmind.api.locations import without_login
from airflow_provider_segmind.exceptions import AuthenticationError, InvalidConnectionError, SegmindError
from airflow_provider_segmind.hooks.budget import MOST_AT_ONCE, Budget, shared_budget
from airflow_provider_segmind.hooks.connection import CONNECT_TIMEOUT, SegmindConnection
from airflow_provider_segmind.hooks.lookup import look_up_async
from airflow_provider_segmind.hooks.per_loop import PerLoop

T = TypeVar("T")

LOOKUP_LIFETIME = 300.0
"""Seconds for which a looked-up connection is used: a rotated key is picked up after that."""

_KEEP_ALIVE = 60.0


@dataclass(frozen=True)
class _Line:
    """
    A connection as it was looked up at one moment, and what is made of it only once.

    :param since: The moment, on the monotonic clock.
    """

    connection: SegmindConnection
    budget: Budget
    tls: ssl.SSLContext | bool
    proxies: Mapping[Service, str | None]
    since: float


class _KeyChangedError(Exception):
    """The turn was that of a key that is not the connection's any more."""


class NonblockingTransport:
    """
    Sends calls concurrently over one session. Sends each call once: those who wait look again anyway.

    :param lent: Those that are lent on its loop.
    """

    def __init__(self, conn_id: str, lent: dict[str, NonblockingTransport]) -> None:
        self.users = 0
        self.lent = lent
        self.conn_id = conn_id
        self._lookup = asyncio.Lock()
        self._known: _Line | None = None
        connector = aiohttp.TCPConnector(limit=MOST_AT_ONCE, keepalive_timeout=_KEEP_ALIVE, ttl_dns_cache=300)
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
        renewed = False
        while True:
            line = await self._recent_line()
            try:
                async with line.budget.sending(call.turn, call.request_id):
                    current, sent_at = await self._recent_line(), time.monotonic()
                    if current.budget is not line.budget:
                        raise _KeyChangedError
                    return await self._sent(call, current)
            except _KeyChangedError:
                continue
            except AuthenticationError:
                if renewed or not await self._changed_since(sent_at, current):
                    raise
                renewed = True

    async def budget(self) -> Budget:
        """Return what the connection's key may send."""
        return (await self._recent_line()).budget

    async def close(self) -> None:
        """Close the session and its sockets."""
        if self._known is not None:
            self._known.budget.allow(self.conn_id, None)
        await self._session.close()

    async def _sent(self, call: Call[T], line: _Line) -> T:
        connection = line.connection
        try:
            async with self._session.request(
                call.method,
                connection.url(call),
                data=call.body,
                headers=connection.headers(call),
                timeout=aiohttp.ClientTimeout(
                    total=connection.patience(call), sock_connect=min(CONNECT_TIMEOUT, connection.timeout)
                ),
                ssl=line.tls,
                proxy=line.proxies[call.service],
                allow_redirects=False,
            ) as answer:
                response = await _received(answer, call.limit, connection)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
            raise call.undelivered(_in_short(error)) from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise call.unanswered(_in_short(error)) from error
        return call.read(response)

    async def _changed_since(self, moment: float, line: _Line) -> bool:
        return (await self._line(moment, necessary=True)).connection != line.connection

    async def _recent_line(self) -> _Line:
        return await self._line(time.monotonic() - LOOKUP_LIFETIME)

    async def _line(self, since: float, *, necessary: bool = False) -> _Line:
        """
        Return the connection as it was looked up at a moment or later: once, however many want that.

        :param necessary: Whether the one that is known will not do if there is no other.
        :raises SegmindError: If it cannot be looked up.
        """
        if self._known is not None and self._known.since >= since:
            return self._known
        async with self._lookup:
            if self._known is None or self._known.since < since:
                self._known = await self._looked_up(None if necessary else self._known)
            return self._known

    async def _looked_up(self, known: _Line | None) -> _Line:
        """Look the connection up; what is known will do where that fails."""
        now = time.monotonic()
        try:
            return await self._line_of(await look_up_async(self.conn_id), now)
        except SegmindError:
            if known is None:
                raise
            return replace(known, since=now)

    async def _line_of(self, connection: SegmindConnection, now: float) -> _Line:
        try:
            tls = await asyncio.to_thread(_tls, connection.verify)
        except (OSError, ValueError) as error:
            raise InvalidConnectionError(
                f"verify of the connection {self.conn_id!r} cannot be used: {_in_short(error)}"
            ) from error
        budget = shared_budget(connection.api_key)
        if self._known is not None and self._known.budget is not budget:
            self._known.budget.allow(self.conn_id, None)
        budget.allow(self.conn_id, connection.requests_per_minute)
        proxies = {service: connection.proxy_for(url) for service, url in connection.urls.items()}
        return _Line(connection, budget, tls, proxies, now)


_transports: PerLoop[dict[str, NonblockingTransport]] = PerLoop(dict)


def lent_transport(conn_id: str) -> NonblockingTransport:
    """Lend the transport of a connection on the running loop: the same to all, until all have given it back."""
    transports = _transports.here()
    if conn_id not in transports:
        transports[conn_id] = NonblockingTransport(conn_id, transports)
    transports[conn_id].users += 1
    return transports[conn_id]


async def give_back(transport: NonblockingTransport) -> None:
    """Take back a transport that was lent; after the last of its users it is closed."""
    transport.users -= 1
    if transport.users == 0:
        del transport.lent[transport.conn_id]
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
