"""
The transport of the triggerer, on ``aiohttp``: shared by all who wait with one connection on one event loop.

A thousand triggers cost one session, one TLS handshake for each of a few sockets, and one connection look-up
every few minutes.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import aiohttp

from airflow_provider_segmind.api.call import Call, Service
from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.exceptions import AuthenticationError, SegmindError
from airflow_provider_segmind.hooks.budget import MOST_AT_ONCE, Budget, shared_budget
from airflow_provider_segmind.hooks.causes import Secrets, certificate_fault
from airflow_provider_segmind.hooks.connection import CONNECT_TIMEOUT, SegmindConnection
from airflow_provider_segmind.hooks.lookup import look_up_async
from airflow_provider_segmind.hooks.per_loop import PerLoop
from airflow_provider_segmind.hooks.received import ASKED_FOR, has_body_to_read, refused_by_proxy, response_of
from airflow_provider_segmind.hooks.tls import any_tls, context_of

T = TypeVar("T")

LOOKUP_LIFETIME = 300.0
"""Seconds for which a looked-up connection is used: a rotated key is picked up after that."""

LARGEST_INLINE = 64 * 1024
"""Bytes of a body that are read on the event loop; more would stop it for all others, so a thread reads them."""

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
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trace_configs=[_noting_connections()],
        )

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
        patience = line.connection.patience(call)
        progress = _Progress()
        try:
            received = await self._exchanged(call, line, progress)
        except SegmindError:
            raise
        # As in the blocking transport: no other error may leave here, whatever a library makes of a host's bytes.
        except Exception as error:  # noqa: BLE001
            secrets = Secrets(line.connection, line.proxies.values())
            failure = _failure(call, error, progress.connected, secrets, patience)
            raise failure from (None if secrets.are_in(error) else error)
        return await received.read(call)

    async def _exchanged(self, call: Call[Any], line: _Line, progress: _Progress) -> _Received:
        """Send a call, and return the answer as it came."""
        connection, proxy = line.connection, line.proxies[call.service]
        url, patience = connection.url(call), connection.patience(call)
        async with self._session.request(
            call.method,
            url,
            data=call.body,
            headers={**connection.headers(call), **ASKED_FOR},
            # aiohttp's total is that of all phases: a proxy's tunnel, interim answers, the headers, the body.
            timeout=aiohttp.ClientTimeout(total=patience, sock_connect=min(CONNECT_TIMEOUT, patience)),
            ssl=line.tls,
            proxy=proxy,
            allow_redirects=False,
            trace_request_ctx=progress,
        ) as answer:
            status = answer.status
            if refusal := refused_by_proxy(status, url, proxy):
                raise call.undelivered(refusal)
            if status < 200:
                raise call.unanswered(f"HTTP {status} cannot end a call")
            body, complete = await _body(answer, call.limit) if has_body_to_read(status) else (b"", True)
            names = dict.fromkeys(answer.headers)
            headers = {name.lower(): ", ".join(answer.headers.getall(name)) for name in names}
        return _Received(status, headers, body, complete, connection)

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
        proxies = {service: connection.proxy_for(url) for service, url in connection.urls.items()}
        tls = await self._tls(connection.verify, [*connection.urls.values(), *proxies.values()])
        budget = shared_budget(connection.api_key)
        if self._known is not None and self._known.budget is not budget:
            self._known.budget.allow(self.conn_id, None)
        budget.allow(self.conn_id, connection.requests_per_minute)
        return _Line(connection, budget, tls, proxies, now)

    async def _tls(self, verify: bool | str, places: Iterable[str | None]) -> ssl.SSLContext | bool:
        """
        Return the certificates to trust; True where no TLS is spoken, as reading them takes 30 ms.

        A bundle is read with each look-up, since it may have been replaced. All else stays: another context would
        mean another handshake for each socket.

        :param places: The addresses of hosts and proxies.
        """
        known = self._known
        if isinstance(verify, bool):
            if not any_tls(places):
                return True
            if known is not None and known.connection.verify is verify and known.tls is not True:
                return known.tls
        return await asyncio.to_thread(context_of, self.conn_id, verify)


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


@dataclass
class _Progress:
    """
    How far a call has come.

    :param connected: Whether there is a connection, through the proxy's tunnel and with TLS: it may have left.
    """

    connected: bool = False


def _noting_connections() -> aiohttp.TraceConfig:
    """Return what notes the progress of a request in its trace context."""

    async def note(session: aiohttp.ClientSession, context: Any, parameters: Any) -> None:
        context.trace_request_ctx.connected = True

    config = aiohttp.TraceConfig()
    config.on_connection_create_end.append(note)
    config.on_connection_reuseconn.append(note)
    return config


@dataclass(frozen=True)
class _Received:
    """An answer as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    complete: bool
    connection: SegmindConnection

    async def read(self, call: Call[T]) -> T:
        """Return what the answer means; without stopping the event loop, should that take long."""
        if len(self.body) > LARGEST_INLINE or "content-encoding" in self.headers:
            return await asyncio.to_thread(self._read, call)
        return self._read(call)

    def _read(self, call: Call[T]) -> T:
        return call.read(response_of(self.status, self.headers, self.body, self.complete, call, self.connection))


async def _body(answer: aiohttp.ClientResponse, limit: int) -> tuple[bytes, bool]:
    """Return the body as it came, a little more than ``limit`` of it at most, and whether that is all of it."""
    body = bytearray()
    try:
        while chunk := await answer.content.readany():
            body += chunk
            if len(body) > limit:
                answer.close()
                return bytes(body), False
    except (aiohttp.ClientError, aiohttp.http_exceptions.HttpProcessingError, TimeoutError, OSError, ValueError):
        return bytes(body), False
    return bytes(body), True


def _failure(
    call: Call[Any], error: Exception, connected: bool, secrets: Secrets, patience: float
) -> SegmindError:
    """Return what to raise if there was no answer."""
    fault = certificate_fault(error)
    if isinstance(error, aiohttp.ClientConnectorCertificateError) and fault is not None:
        return call.untrusted(f"{error.host}:{error.port}", fault)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        cause = f"the proxy opens no tunnel: HTTP {error.status} {secrets.masked(error.message)}"
        return call.undelivered(one_line(cause))
    if isinstance(error, TimeoutError):
        if not connected:
            return call.undelivered("not connected in time")
        return call.unanswered(f"no answer within {patience:g} s")
    cause = secrets.in_short(error)
    return call.unanswered(cause) if connected else call.undelivered(cause)
