"""Limits of time for a download."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow_provider_segmind.hooks.sockets import duplicate, shut_down

_TICK = 0.25


class Pace:
    """
    How fast a file has to come, and how long all of it may take.

    Only the time inside ``running()`` counts: a storage may take as long as it likes for what it is given. When
    that time is up, a thread shuts the socket down, so that whatever waits for it comes back at once. To its
    reader that is the ordinary end of a connection: look at ``cut`` before you believe it.

    :param bytes_per_second: Must be reached on average over ``window``.
    :param window: Seconds.
    :param longest: Seconds that everything may take together.
    :ivar cut: Whether the time was up since the last ``allow()``.
    """

    def __init__(self, bytes_per_second: float, window: float, longest: float) -> None:
        self.cut = False
        self.time_left = longest
        self._window = window
        self._enough = bytes_per_second * window
        self._allowed = window
        self._count = 0
        self._ends = math.inf
        self._lock = threading.Lock()
        self._watched: socket.socket | None = None
        self._closed = threading.Event()
        self._watchdog = threading.Thread(target=self._watch, name="segmind-download", daemon=True)
        self._watchdog.start()

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

    def watch(self, connected: Any) -> None:
        """Shut this socket down when the time is up, and no longer the one before."""
        watched = duplicate(connected)
        with self._lock:
            before, self._watched = self._watched, watched
            if self.cut:
                shut_down(watched)
        if before is not None:
            before.close()

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        with self._lock:
            if self._watched is not None:
                self._watched.close()
                self._watched = None

    def _watch(self) -> None:
        while not self._closed.wait(_TICK):
            with self._lock:
                if time.monotonic() >= self._ends:
                    self.cut = True
                    if self._watched is not None:
                        shut_down(self._watched)
