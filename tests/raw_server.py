"""A server on loopback that sends exactly the bytes of a script: answers that no HTTP library would make."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Answer = bytes | Callable[[socket.socket, threading.Event], None]
"""Bytes to send, or a function that gets the socket, and an event that is set when the server stops."""


@dataclass
class RawServer:
    """
    A running server.

    :param url: Its address, ``http://127.0.0.1:PORT``.
    :param requests: The head of each request that has arrived.
    """

    url: str
    requests: list[bytes] = field(default_factory=list)


def answer_of(body: bytes = b"", *headers: str, status: str = "200 OK", length: bool = True) -> bytes:
    """Return the bytes of an answer; with ``length``, its Content-Length is right."""
    lines = [f"HTTP/1.1 {status}", *headers, "Connection: close"]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def trickle(head: bytes, piece: bytes, pause: float = 0.05) -> Answer:
    """Return an answer that sends ``head``, and then ``piece`` again and again until the server stops."""

    def send(connection: socket.socket, stopping: threading.Event) -> None:
        connection.sendall(head)
        while not stopping.wait(pause):
            connection.sendall(piece)

    return send


@contextmanager
def raw_server(*answers: Answer, address: str = "127.0.0.1") -> Iterator[RawServer]:
    """Serve one answer to each connection, in this order; the last one is repeated."""
    with socket.create_server((address, 0)) as listener:
        server = RawServer(f"http://{address}:{listener.getsockname()[1]}")
        stopping = threading.Event()
        threading.Thread(target=_accept, args=(listener, server, answers, stopping), daemon=True).start()
        try:
            yield server
        finally:
            stopping.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _accept(
    listener: socket.socket, server: RawServer, answers: Sequence[Answer], stopping: threading.Event
) -> None:
    number = 0
    while not stopping.is_set():
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        answer = answers[min(number, len(answers) - 1)]
        number += 1
        threading.Thread(target=_serve, args=(connection, server, answer, stopping), daemon=True).start()


def _serve(connection: socket.socket, server: RawServer, answer: Answer, stopping: threading.Event) -> None:
    with connection, suppress(OSError):
        head = _request_head(connection)
        if not head:
            return
        server.requests.append(head)
        if isinstance(answer, bytes):
            connection.sendall(answer)
        else:
            answer(connection, stopping)
        with suppress(OSError):
            connection.shutdown(socket.SHUT_WR)


def _request_head(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            return b""
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")),
        0,
    )
    while len(body) < length:
        piece = connection.recv(65536)
        if not piece:
            break
        body += piece
    return head
