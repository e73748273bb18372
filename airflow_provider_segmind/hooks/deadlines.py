"""
Time limits for a call and for a download.

``urllib3`` limits the time of each operation on a socket, and not of all of them together. A host that sends one
byte a second, in its headers, in interim answers, between chunks or in the handshake of TLS, would hold a worker
for hours. So a thread shuts the socket down when the time is up, and whatever waits for it comes back at once.
"""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Self

LONGEST_EXCHANGE = 7 * 86400.0
"""Seconds at most, whatever the connection says: the timeouts of sockets end at 24 days."""

_TICK = 0.25
"""Seconds after which a watchdog sees at the latest that its deadline was moved."""


class Watchdog:
    """
    Shuts the socket of a connection down at a deadline.

    That is all that the layers have in common: the handshake of TLS, TLS within TLS, ``http.client`` and
    ``urllib3`` loop over operations that each get the whole time limit.

    :param ends: The deadline, on the monotonic clock.
    :ivar cut: Whether the time was up. What was read last may end too early then, though it looks whole: to its
        reader the shutdown is the ordinary end of the connection.
    """

    def __init__(self, ends: float = math.inf) -> None:
        self.cut = False
        self._ends = ends
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._closed = threading.Event()
        threading.Thread(target=self._wait, name="segmind-watchdog", daemon=True).start()

    def watch(self, connected: Any) -> None:
        """Shut this socket down when the time is up, or at once if it is; and no longer the one before."""
        watched = socket.socket(fileno=os.dup(connected.fileno()))  # another object: TLS detaches the original
        with self._lock:
            before, self._socket = self._socket, watched
            if self.cut:
                self._shut_down()
        if before is not None:
            before.close()

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def _wait(self) -> None:
        while not self._closed.wait(self._pause()):
            with self._lock:
                if time.monotonic() >= self._ends:
                    self.cut = True
                    self._shut_down()

    def _pause(self) -> float:
        left = self._ends - time.monotonic()
        return left if 0 < left < _TICK else _TICK

    def _shut_down(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # it is closed already
                self._socket.shutdown(socket.SHUT_RDWR)


class Exchange(Watchdog):
    """
    One call and its answer, from the look-up of the host to the last byte: a context manager.

    The limit covers a proxy, too, that sends one byte a second before there is a tunnel.

    :param seconds: From now on.
    :ivar reached: Whether there was a way to the host: a connection, and in it the proxy's tunnel if there is one.
        Until then, sending the call again is safe. The handshake of TLS counts as beyond it, although nothing has
        been sent by then: a second charge would cost more than a retry is worth.
    :ivar sent: Whether the call may have left.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = min(seconds, LONGEST_EXCHANGE)
        self.reached = False
        self.sent = False
        super().__init__(time.monotonic() + self.seconds)

    def __enter__(self) -> Self:
        self._before = current_exchange.set(self)
        return self

    def __exit__(self, *error: object) -> None:
        current_exchange.reset(self._before)
        self.close()

    @property
    def time_left(self) -> float:
        """Seconds until the deadline; never 0, which would make a socket non-blocking."""
        return max(self._ends - time.monotonic(), 0.001)

    @property
    def over(self) -> bool:
        """Whether the deadline has passed."""
        return self.cut or time.monotonic() >= self._ends


current_exchange: ContextVar[Exchange | None] = ContextVar("exchange", default=None)
"""The exchange that the running code is part of, if there is one."""


class Pace(Watchdog):
    """
    How fast a file has to come, and how long all of it may take.

    Only the time inside ``running()`` counts: a storage may take as long as it likes for what it is given.

    :param bytes_per_second: Must be reached on average over ``window``.
    :param window: Seconds.
    :param longest: Seconds that everything may take together.
    :ivar cut: Whether the time was up since the last ``allow()``.
    """

    def __init__(self, bytes_per_second: float, window: float, longest: float) -> None:
        self.time_left = longest
        self._window = window
        self._enough = bytes_per_second * window
        self._allowed = window
        self._count = 0
        super().__init__()

    def allow(self, seconds: float | None = None) -> None:
        """
        Begin something new.

        :param seconds: How long it may take; without them, a window, and another one whenever enough has come.
        """
        self.cut = False
        self._count = 0
        self._allowed = self._window if seconds is None else seconds

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let time run."""
        began = time.monotonic()
        with self._lock:
            self._ends = began + min(self._allowed, self.time_left)
        try:
            yield
        finally:
            with self._lock:
                self._ends = math.inf
            self.spend(time.monotonic() - began)

    def spend(self, seconds: float) -> None:
        """Take time off what is allowed."""
        self._allowed -= seconds
        self.time_left -= seconds

    def count(self, received: int) -> None:
        """Count bytes that have come."""
        self._count += received
        if self._count >= self._enough:
            self.allow()
