"""
The transport of the triggerer, on ``aiohttp``: shared by all triggers of a connection on one event loop.

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
from airflow_provider_segmind.api.schedule import KeyLoad
from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.exceptions import AuthenticationError, SegmindError
from airflow_provider_segmind.hooks.budget import MOST_AT_ONCE, Budget, shared_budget
from airflow_provider_segmind.hooks.causes import Secrets, certificate_fault
from airflow_provider_segmind.hooks.connection import SegmindConnection
from airflow_provider_segmind.hooks.lookup import find_redis_async, look_up_async
from airflow_provider_segmind.hooks.names import CONNECT_TIMEOUT
from airflow_provider_segmind.hooks.per_loop import PerLoop
from airflow_provider_segmind.hooks.responses import ASKED_FOR, has_body_to_read, proxy_refusal, response_of
from airflow_provider_segmind.hooks.tls import any_tls, load_context

T = TypeVar("T")

LOOKUP_LIFETIME = 300.0
"""Seconds for which a looked-up connection is used: a rotated key is picked up after that."""

LARGEST_INLINE = 64 * 1024
"""Bytes of a body that are read on the event loop; more would stop it for all others, so a thread reads them."""

_KEEP_ALIVE = 60.0


@dataclass(frozen=True)
class _Snapshot:
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
    Sends calls concurrently over one session. Sends each call once: a wait polls again anyway.

    :param lent: Those that are lent on its loop.
    """

    def __init__(self, conn_id: str, lent: dict[str, NonblockingTransport]) -> None:
        self.users = 0
        self.lent = lent
        self.conn_id = conn_id
        self._lookup = asyncio.Lock()
        self._known: _Snapshot | None = None
        connector = aiohttp.TCPConnector(limit=MOST_AT_ONCE, keepalive_timeout=_KEEP_ALIVE, ttl_dns_cache=300)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trace_configs=[_connection_tracing()],
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
            snapshot = await self._get_recent_snapshot()
            try:
                async with snapshot.budget.take_turn(call.turn, call.request_id):
                    current, sent_at = await self._get_recent_snapshot(), time.monotonic()
                    if current.budget is not snapshot.budget:
                        raise _KeyChangedError
                    return await self._send(call, current)
            except _KeyChangedError:
                continue
            except AuthenticationError:
                if renewed or not await self._look_up_and_compare(sent_at, current):
                    raise
                renewed = True

    async def get_budget(self) -> Budget:
        """Return what the connection's key may send."""
        return (await self._get_recent_snapshot()).budget

    async def get_connection(self) -> SegmindConnection:
        """Return the connection, looked up within the last five minutes."""
        return (await self._get_recent_snapshot()).connection

    @property
    def load(self) -> KeyLoad:
        """How scarce the turns of the key are. Each user waits for a request, or for a turn to submit one."""
        return KeyLoad(self.users, self._known.budget.request_interval if self._known is not None else 0.0)

    async def close(self) -> None:
        """Close the session and its sockets."""
        if self._known is not None:
            await self._known.budget.leave(self.conn_id)
        await self._session.close()

    async def _send(self, call: Call[T], snapshot: _Snapshot) -> T:
        timeout = snapshot.connection.timeout_of(call)
        progress = _Progress()
        try:
            received = await self._exchange(call, snapshot, progress)
        except SegmindError:
            raise
        # As in the blocking transport: no other error may leave here, whatever a library makes of a host's bytes.
        except Exception as error:  # noqa: BLE001
            secrets = Secrets(snapshot.connection, snapshot.proxies.values())
            failure = _failure(call, error, progress.connected, secrets, timeout)
            raise failure from (None if secrets.are_in(error) else error)
        return await received.read(call)

    async def _exchange(self, call: Call[Any], snapshot: _Snapshot, progress: _Progress) -> _RawResponse:
        """Send a call, and return the answer as it came."""
        connection, proxy = snapshot.connection, snapshot.proxies[call.service]
        url, timeout = connection.url(call), connection.timeout_of(call)
        async with self._session.request(
            call.method,
            url,
            data=call.body,
            headers={**connection.headers(call), **ASKED_FOR},
            # aiohttp's total is that of all phases: a proxy's tunnel, interim answers, the headers, the body.
            timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=min(CONNECT_TIMEOUT, timeout)),
            ssl=snapshot.tls,
            proxy=proxy,
            allow_redirects=False,
            trace_request_ctx=progress,
        ) as answer:
            status = answer.status
            if refusal := proxy_refusal(status, url, proxy):
                raise call.undelivered_error(refusal)
            if status < 200:
                raise call.unanswered_error(f"HTTP {status} is not a final response")
            body, complete = await _read_body(answer, call.limit) if has_body_to_read(status) else (b"", True)
            names = dict.fromkeys(answer.headers)
            headers = {name.lower(): ", ".join(answer.headers.getall(name)) for name in names}
        return _RawResponse(status, headers, body, complete, connection)

    async def _look_up_and_compare(self, moment: float, snapshot: _Snapshot) -> bool:
        """Look the connection up, if that has not been done since a moment; return whether it has changed."""
        return (await self._get_snapshot(moment, necessary=True)).connection != snapshot.connection

    async def _get_recent_snapshot(self) -> _Snapshot:
        return await self._get_snapshot(time.monotonic() - LOOKUP_LIFETIME)

    async def _get_snapshot(self, since: float, *, necessary: bool = False) -> _Snapshot:
        """
        Return the connection as it was looked up at a moment or later. Concurrent callers share one look-up.

        :param necessary: Whether to fail, instead of using the known one, if the look-up fails.
        :raises SegmindError: If it cannot be looked up.
        """
        if self._known is not None and self._known.since >= since:
            return self._known
        async with self._lookup:
            if self._known is None or self._known.since < since:
                self._known = await self._look_up(None if necessary else self._known)
            return self._known

    async def _look_up(self, known: _Snapshot | None) -> _Snapshot:
        """Look the connection up; if that fails, use the known one."""
        now = time.monotonic()
        try:
            return await self._make_snapshot(await look_up_async(self.conn_id), now)
        except SegmindError:
            if known is None:
                raise
            return replace(known, since=now)

    async def _make_snapshot(self, connection: SegmindConnection, now: float) -> _Snapshot:
        proxies = {service: connection.proxy_for(url) for service, url in connection.urls.items()}
        tls = await self._load_tls(connection.verify, [*connection.urls.values(), *proxies.values()])
        budget = shared_budget(connection.api_key, connection.urls[Service.GATEWAY])
        if self._known is not None and self._known.budget is not budget:
            await self._known.budget.leave(self.conn_id)
        budget.set_limit(self.conn_id, connection.requests_per_minute)
        await budget.set_redis(self.conn_id, await find_redis_async(connection.rate_limit_conn_id))
        return _Snapshot(connection, budget, tls, proxies, now)

    async def _load_tls(self, verify: bool | str, urls: Iterable[str | None]) -> ssl.SSLContext | bool:
        """
        Return the certificates to trust; True where TLS is not used, as loading them takes 30 ms.

        A bundle is read with each look-up, since it may have been replaced. All else stays: another context would
        mean another handshake for each socket.

        :param urls: The addresses of hosts and proxies.
        """
        known = self._known
        if isinstance(verify, bool):
            if not any_tls(urls):
                return True
            if known is not None and known.connection.verify is verify and known.tls is not True:
                return known.tls
        return await asyncio.to_thread(load_context, self.conn_id, verify)


_transports: PerLoop[dict[str, NonblockingTransport]] = PerLoop(dict)


def borrow_transport(conn_id: str) -> NonblockingTransport:
    """Borrow the transport of a connection on the running loop. All borrowers share it until they give it back."""
    transports = _transports.here()
    if conn_id not in transports:
        transports[conn_id] = NonblockingTransport(conn_id, transports)
    transports[conn_id].users += 1
    return transports[conn_id]


async def give_back_transport(transport: NonblockingTransport) -> None:
    """Give a borrowed transport back. The last borrower closes it."""
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


def _connection_tracing() -> aiohttp.TraceConfig:
    """Return what notes the progress of a request in its trace context."""

    async def note(session: aiohttp.ClientSession, context: Any, parameters: Any) -> None:
        context.trace_request_ctx.connected = True

    config = aiohttp.TraceConfig()
    config.on_connection_create_end.append(note)
    config.on_connection_reuseconn.append(note)
    return config


@dataclass(frozen=True)
class _RawResponse:
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


async def _read_body(answer: aiohttp.ClientResponse, limit: int) -> tuple[bytes, bool]:
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


def _failure(call: Call[Any], error: Exception, connected: bool, secrets: Secrets, timeout: float) -> SegmindError:
    """Return what to raise if there was no answer."""
    fault = certificate_fault(error)
    if isinstance(error, aiohttp.ClientConnectorCertificateError) and fault is not None:
        return call.untrusted_error(f"{error.host}:{error.port}", fault)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        cause = f"the proxy refused the tunnel: HTTP {error.status} {secrets.mask(error.message)}"
        return call.undelivered_error(one_line(cause))
    if isinstance(error, TimeoutError):
        if not connected:
            return call.undelivered_error(f"no connection within {timeout:g} s")
        return call.unanswered_error(f"no answer within {timeout:g} s")
    cause = secrets.summarize(error)
    return call.unanswered_error(cause) if connected else call.undelivered_error(cause)
