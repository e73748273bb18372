"""
What the connections to Segmind and to media hosts have in common.

``urllib3`` limits the time of each operation on a socket, and not of all of them together. A host that sends one
byte a second, in its headers, in interim answers, between chunks or in the handshake of TLS, would hold a worker
for hours. So a thread shuts the socket down when the time is up, and whatever waits for it comes back at once.
"""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError


def duplicate(connected: Any) -> socket.socket:
    """Return another socket object for a connection, to shut it down with: TLS detaches the original one."""
    return socket.socket(fileno=os.dup(connected.fileno()))


def shut_down(watched: socket.socket) -> None:
    """End a connection, whoever waits for it. To its reader this is an ordinary end."""
    with suppress(OSError):  # it is closed already
        watched.shutdown(socket.SHUT_RDWR)


def addresses_of(host: str, port: int) -> list[str]:
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
    """A connection that gets whole answers, and tries the addresses that it is given."""

    response_class = FinalAnswer

    def connect(self) -> None:
        """Connect, without a warning each time if the connection says not to verify: there is one of ours."""
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
