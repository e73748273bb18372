"""
One call and its answer on the connections of ``requests``, within one limit of time.

``requests`` and ``urllib3`` limit the time of each operation on a socket, not of all of them together: a host that
sends one byte a second, in its headers, in interim answers, between chunks, or a proxy that does so before there
is a tunnel, would hold a worker for hours.
"""

from __future__ import annotations

import http.client
import os
import socket
import threading
import time
from contextlib import suppress
from contextvars import ContextVar
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

LONGEST_EXCHANGE = 7 * 86400.0
"""Seconds at most, whatever the connection says: the timeouts of sockets end at 24 days."""

_current: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


class Exchange:
    """
    Everything from the look-up of the host to the last byte of the answer: a context manager.

    At the deadline a thread shuts the socket down, so that whatever waits for it comes back at once. The socket is
    all that the layers have in common: the handshake of TLS, TLS within TLS, ``http.client`` and ``urllib3`` loop
    over operations that each get the whole time limit. What is shut down is a duplicate of its descriptor, because
    TLS detaches the socket object.

    :param seconds: From now on.
    :ivar reached: Whether there was a way to the host: a connection, and in it the proxy's tunnel if there is one.
        Until then, sending the call again is safe. The handshake of TLS counts as beyond it, although nothing has
        been sent by then: a second charge would cost more than a retry is worth.
    :ivar sent: Whether the call may have left.
    :ivar cut: Whether the time was up. What was read last may end too early then, though it looks whole: to its
        reader the shutdown is the ordinary end of the connection.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = min(seconds, LONGEST_EXCHANGE)
        self.reached = False
        self.sent = False
        self.cut = False
        self._ends = time.monotonic() + self.seconds
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._watchdog = threading.Timer(self.seconds, self._cut)
        self._watchdog.daemon = True

    def __enter__(self) -> Self:
        self._watchdog.start()
        self._before = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _current.reset(self._before)
        self._watchdog.cancel()
        with self._lock:
            for each in self._sockets:
                each.close()
            self._sockets.clear()

    @property
    def time_left(self) -> float:
        """Seconds until the deadline; never 0, which would make a socket non-blocking."""
        return max(self._ends - time.monotonic(), 0.001)

    @property
    def over(self) -> bool:
        """Whether the deadline has passed."""
        return self.cut or time.monotonic() >= self._ends

    def watch(self, descriptor: int) -> None:
        """Shut a socket down at the deadline, or at once if that has passed."""
        watched = socket.socket(fileno=os.dup(descriptor))
        with self._lock:
            self._sockets.append(watched)
            if self.cut:
                _shut_down(watched)

    def _cut(self) -> None:
        with self._lock:
            self.cut = True
            for each in self._sockets:
                _shut_down(each)


def _shut_down(watched: socket.socket) -> None:
    with suppress(OSError):  # it is closed already
        watched.shutdown(socket.SHUT_RDWR)


class _WholeAnswer(http.client.HTTPResponse):
    """
    An answer with all of its headers, and no interim one.

    ``http.client`` takes headers that break off for complete ones, and any 1xx but 100 for the final answer.
    """

    def begin(self, **limits: Any) -> None:
        self._begin(**limits)
        while 100 <= self.status < 200 and self.status != http.HTTPStatus.SWITCHING_PROTOCOLS:
            self.headers = self.msg = None  # type: ignore[assignment]
            self._begin(**limits)

    def _begin(self, **limits: Any) -> None:
        lines = _Lines(self.fp)
        self.fp = lines  # type: ignore[assignment]
        try:
            super().begin(**limits)
        finally:
            if self.fp is lines:  # type: ignore[comparison-overlap]
                self.fp = lines.file
        if not lines.last:
            raise http.client.RemoteDisconnected("Remote end closed connection in the middle of its headers")


class _Lines:
    """A file that knows the last line that was read of it."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.last = b""

    def readline(self, limit: int = -1) -> bytes:
        self.last = self.file.readline(limit)
        return self.last

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


class WatchedConnection(HTTPConnection):
    """A connection that keeps to the deadline of the :class:`Exchange` around it, if there is one."""

    response_class = _WholeAnswer

    def _new_conn(self) -> socket.socket:
        exchange = _current.get()
        if exchange is None:
            return super()._new_conn()
        connected = self._connected_within(exchange)
        exchange.watch(connected.fileno())
        return connected

    def _connected_within(self, exchange: Exchange) -> socket.socket:
        """
        Connect to the first address that answers.

        ``urllib3`` would give each address of the host the whole time limit of a connection.
        """
        name, longest = self._dns_host, self.timeout
        trouble: Exception | None = None
        try:
            for address in _addresses(name.strip("[]"), self.port, exchange.time_left):
                self._dns_host = address
                self.timeout = min(float(longest or exchange.time_left), exchange.time_left)
                try:
                    return super()._new_conn()
                except (NewConnectionError, ConnectTimeoutError) as error:
                    trouble = error
                if exchange.over:
                    break
        finally:
            self._dns_host, self.timeout = name, longest
        raise trouble or OSError(f"{name} has no address")

    def request(self, *arguments: Any, **options: Any) -> None:
        """Send a request; from here on it may arrive."""
        exchange = _current.get()
        if exchange is not None:
            if self.sock is None:
                self.connect()
            exchange.watch(self.sock.fileno())  # also one that was kept open since an earlier exchange
            self.timeout = exchange.time_left  # urllib3 has left it at that of connecting
            exchange.reached = exchange.sent = True
        super().request(*arguments, **options)


class WatchedTlsConnection(WatchedConnection, HTTPSConnection):
    """The same with TLS."""

    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        if self.proxy is None:
            _note_reached()
        return connected

    def _tunnel(self) -> None:
        super()._tunnel()
        _note_reached()

    def connect(self) -> None:
        """Connect, without a warning each time if the connection says not to verify: there is one of ours."""
        super().connect()
        self.is_verified = True  # the context decides; urllib3 asks only to warn


def _addresses(host: str, port: int, seconds: float) -> list[str]:
    """
    Return the addresses of a host.

    A thread asks, because nothing can interrupt the system's resolver, which may take minutes.

    :raises OSError: If there is none, or none is found in time.
    """
    found: SimpleQueue[list[str] | Exception] = SimpleQueue()

    def resolve() -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.put(list(dict.fromkeys(str(address[0]) for *_, address in answers)))
        except Exception as error:  # noqa: BLE001 - for the other thread to raise
            found.put(error)

    threading.Thread(target=resolve, daemon=True).start()
    try:
        addresses = found.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"the address of {host} was not found in time") from None
    if isinstance(addresses, Exception):
        raise addresses
    return addresses


def _note_reached() -> None:
    exchange = _current.get()
    if exchange is None:
        return
    if exchange.cut:  # http.client takes a proxy's answer that breaks off for a whole one
        raise TimeoutError("the time was up before there was a tunnel")
    exchange.reached = True
