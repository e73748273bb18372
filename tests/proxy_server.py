"""A proxy on loopback that opens tunnels, or refuses to, and speaks TLS itself if asked to."""

from __future__ import annotations

import selectors
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class ProxyServer:
    """
    A running proxy.

    :param url: Its address.
    :param heads: The head of each request for a tunnel.
    """

    url: str
    heads: list[bytes] = field(default_factory=list)


@contextmanager
def proxy_server(to: str, context: ssl.SSLContext | None = None) -> Iterator[ProxyServer]:
    """
    Run a proxy whose tunnels all lead to one place.

    :param to: A URL on loopback.
    :param context: With which it speaks TLS.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        scheme = "http" if context is None else "https"
        proxy = ProxyServer(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}")
        port = int(to.rstrip("/").rpartition(":")[2])
        threading.Thread(target=_accept, args=(listener, proxy, port, context), daemon=True).start()
        try:
            yield proxy
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, proxy: ProxyServer, port: int, context: ssl.SSLContext | None) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_tunnel, args=(connection, proxy, port, context), daemon=True).start()


def _tunnel(connection: socket.socket, proxy: ProxyServer, port: int, context: ssl.SSLContext | None) -> None:
    with suppress(OSError):
        if context is not None:
            connection = context.wrap_socket(connection, server_side=True)
        with connection, socket.create_connection(("127.0.0.1", port)) as target:
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(65536)
            proxy.heads.append(head)
            if head.startswith(b"CONNECT"):
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                target.sendall(head)
            _copy(connection, target)


def _copy(one: socket.socket, other: socket.socket) -> None:
    with selectors.DefaultSelector() as ready:
        ready.register(one, selectors.EVENT_READ, other)
        ready.register(other, selectors.EVENT_READ, one)
        while True:
            for key, _ in ready.select():
                source: socket.socket = key.fileobj  # type: ignore[assignment]
                while piece := source.recv(65536):
                    key.data.sendall(piece)
                    if not (isinstance(source, ssl.SSLSocket) and source.pending()):
                        break
                else:
                    return
