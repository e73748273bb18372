"""A Redis of the tests' own, which they may kill, and one that answers whatever a test wants."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SECONDS = 30.0
"""How long a Redis may take to answer, on a busy machine."""


@dataclass(frozen=True)
class ServerTls:
    """
    How a Redis speaks TLS.

    :param authority: Path of the certificate whose client certificates it trusts.
    :param asks_clients: Whether a client needs a certificate.
    """

    certificate: Path
    key: Path
    authority: Path
    asks_clients: bool = False

    def options(self, port: int) -> tuple[str, ...]:
        """Return what lets a ``redis-server`` listen with TLS, and without it nowhere."""
        return (
            *("--port", "0", "--tls-port", str(port), "--tls-auth-clients", "yes" if self.asks_clients else "no"),
            *("--tls-cert-file", str(self.certificate), "--tls-key-file", str(self.key)),
            *("--tls-ca-cert-file", str(self.authority)),
        )


class RedisServer:
    """A ``redis-server`` that keeps nothing on the disk."""

    def __init__(self, folder: Path, *options: str, tls: ServerTls | None = None) -> None:
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip("there is no redis-server: install it, for example with `apt-get install redis-server`")
        self._program = program
        self._folder = folder
        self._options = options
        self._tls = tls
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Start it on the same port as before, empty."""
        self._process = subprocess.Popen(
            [
                *(self._program, *(self._tls.options(self.port) if self._tls else ("--port", str(self.port)))),
                *("--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
                *("--dir", str(self._folder), *self._options, *options),
            ],
            stdout=subprocess.DEVNULL,
        )
        until = time.monotonic() + SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                if self._tls is not None:  # this Redis reads nothing from a disk: it listens when it is ready
                    return
                connection.sendall(b"PING\r\n")
                if connection.recv(100):
                    return
            assert time.monotonic() < until, "redis-server does not start"
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill it: no goodbye to anyone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """Stop it meanwhile: it takes connections and answers none."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


class FalseRedis:
    """A server that sends the same bytes to everyone, whatever it is asked."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            while connection.recv(65536):
                connection.sendall(self._answer)

    def close(self) -> None:
        """Take no more connections."""
        self._socket.close()


def free_port() -> int:
    """Return a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
