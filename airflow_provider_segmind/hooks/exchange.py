"""
One call and its answer on the connections of ``requests``, within one limit of time.

The limit covers a proxy, too, that sends one byte a second before there is a tunnel.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

from urllib3.connection import HTTPSConnection

from airflow_provider_segmind.hooks.sockets import CarefulConnection, addresses_of, duplicate, shut_down

LONGEST_EXCHANGE = 7 * 86400.0
"""Seconds at most, whatever the connection says: the timeouts of sockets end at 24 days."""

_current: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


class Exchange:
    """
    Everything from the look-up of the host to the last byte of the answer: a context manager.

    At the deadline a thread shuts the socket down, which is all that the layers have in common: the handshake of
    TLS, TLS within TLS, ``http.client`` and ``urllib3`` loop over operations that each get the whole time limit.

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

    def watch(self, connected: Any) -> None:
        """Shut a socket down at the deadline, or at once if that has passed."""
        watched = duplicate(connected)
        with self._lock:
            self._sockets.append(watched)
            if self.cut:
                shut_down(watched)

    def _cut(self) -> None:
        with self._lock:
            self.cut = True
            for each in self._sockets:
                shut_down(each)


class WatchedConnection(CarefulConnection):
    """A connection that keeps to the deadline of the :class:`Exchange` around it, if there is one."""

    def _new_conn(self) -> socket.socket:
        exchange = _current.get()
        if exchange is None:
            return super()._new_conn()
        # urllib3 would give each address of the host the whole time limit of a connection.
        longest = float(self.timeout or exchange.time_left)
        connected = self._connect_to_one_of(_attempts(self._dns_host.strip("[]"), self.port, exchange, longest))
        exchange.watch(connected)
        return connected

    def request(self, *arguments: Any, **options: Any) -> None:
        """Send a request; from here on it may arrive."""
        exchange = _current.get()
        if exchange is not None:
            if self.sock is None:
                self.connect()
            exchange.watch(self.sock)  # also one that was kept open since an earlier exchange
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


def _attempts(host: str, port: int, exchange: Exchange, longest: float) -> Iterator[tuple[str, float]]:
    """Yield the addresses of a host, as long as there is time, and the seconds for each."""
    for address in _addresses(host, port, exchange.time_left):
        yield address, min(longest, exchange.time_left)
        if exchange.over:
            return


def _addresses(host: str, port: int, seconds: float) -> list[str]:
    """
    Return the addresses of a host.

    A thread asks, because nothing can interrupt the system's resolver, which may take minutes.

    :raises OSError: If there is none, or none is found in time.
    """
    found: SimpleQueue[list[str] | Exception] = SimpleQueue()

    def resolve() -> None:
        try:
            found.put(addresses_of(host, port))
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
