"""The connections of ``requests`` to Segmind and to media hosts: whole answers only, within the time limit."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from airflow_provider_segmind.hooks.deadlines import Exchange, current_exchange


def resolve_host(host: str, port: int) -> list[str]:
    """
    Look a host up, and return each of its addresses once.

    :raises OSError: If there is none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class FinalAnswer(http.client.HTTPResponse):
    """
    An answer with all of its headers, and not an interim one.

    ``http.client`` takes headers that break off for complete ones, so that half a ``Location`` would be followed,
    and any 1xx but 100 for the answer.
    """

    def begin(self, **limits: Any) -> None:
        """Read the status and the headers."""
        self._read_head(**limits)
        while 100 <= self.status < 200 and self.status != http.HTTPStatus.SWITCHING_PROTOCOLS:
            self.headers = self.msg = None  # type: ignore[assignment]
            self._read_head(**limits)

    def _read_head(self, **limits: Any) -> None:
        lines = _Lines(self.fp)
        self.fp = lines  # type: ignore[assignment]
        try:
            super().begin(**limits)
        finally:
            if self.fp is lines:  # type: ignore[comparison-overlap]
                self.fp = lines.file
        if lines.last not in (b"\r\n", b"\n"):
            raise http.client.RemoteDisconnected("Remote end closed connection in the middle of its headers")


class _Lines:
    """A file that keeps the last line that was read of it."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.last = b""

    def readline(self, limit: int = -1) -> bytes:
        self.last = self.file.readline(limit)
        return self.last

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


class CarefulConnection(HTTPConnection):
    """A connection that gets whole answers, and connects to one of the addresses that it is given."""

    response_class = FinalAnswer

    def connect(self) -> None:
        """Connect. Where certificates are not verified, the provider warns once, so that urllib3 need not."""
        super().connect()
        self.is_verified = True  # the context decides; urllib3 asks only to warn

    def _connect_to_one_of(self, attempts: Iterable[tuple[str, float]]) -> socket.socket:
        """
        Connect to the first address that answers. ``urllib3`` would look the name up, once more.

        :param attempts: Addresses, and the seconds that each may take. The next one is taken when one has failed.
        """
        name, longest = self._dns_host, self.timeout
        trouble: Exception | None = None
        try:
            for address, seconds in attempts:
                self._dns_host, self.timeout = address, seconds
                try:
                    return super()._new_conn()
                except (NewConnectionError, ConnectTimeoutError) as error:
                    trouble = error
        finally:
            self._dns_host, self.timeout = name, longest
        raise trouble or OSError(f"{name} has no address")


class WatchedConnection(CarefulConnection):
    """A connection that keeps to the deadline of the :class:`Exchange` around it, if there is one."""

    def _new_conn(self) -> socket.socket:
        exchange = current_exchange.get()
        if exchange is None:
            return super()._new_conn()
        # urllib3 would give each address of the host the whole time limit of a connection.
        longest = float(self.timeout or exchange.time_left)
        connected = self._connect_to_one_of(_attempts(self._dns_host.strip("[]"), self.port, exchange, longest))
        exchange.watch(connected)
        return connected

    def request(self, *arguments: Any, **options: Any) -> None:
        """Send a request; from here on it may arrive."""
        exchange = current_exchange.get()
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
    for address in _resolve_in_time(host, port, exchange.time_left):
        yield address, min(longest, exchange.time_left)
        if exchange.over:
            return


def _resolve_in_time(host: str, port: int, seconds: float) -> list[str]:
    """
    Return the addresses of a host.

    A thread asks, because nothing can interrupt the system's resolver, which may take minutes.

    :raises OSError: If there is none, or none is found in time.
    """
    found: SimpleQueue[list[str] | Exception] = SimpleQueue()

    def resolve() -> None:
        try:
            found.put(resolve_host(host, port))
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
    exchange = current_exchange.get()
    if exchange is None:
        return
    if exchange.cut:  # http.client takes a proxy's answer that breaks off for a whole one
        raise TimeoutError("the time was up before there was a tunnel")
    exchange.reached = True
