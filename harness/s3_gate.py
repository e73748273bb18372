"""
A gate in front of an S3 server, or of another storage.

It counts calls, refuses those that are not allowed, and breaks some.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from harness.storage import S3

WRITING = frozenset(
    {"PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload"}
)
"""The calls that the rights s3:PutObject and s3:AbortMultipartUpload allow."""

_REFUSAL = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
_BROKEN = b"<Error><Code>NotImplemented</Code><Message>Broken on purpose</Message></Error>"
_OF_ONE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "expect"}


@dataclass
class Gate:
    """
    What has gone through a gate.

    :param target: The server behind it, as ``host:port``.
    :param call_of: Returns the name of a call, after its method, its path with the query, and its headers.
    :param address: Of the gate, as ``host:port``.
    :param allowed: The calls that it lets through; all others get a 403. None for all.
    :param connection: The Airflow connection to it, as the dictionary behind its JSON form.
    :param conn_id: What the connection is called.
    :param calls: How often each call was made, refused ones included.
    :param sent: Bytes of the bodies that clients have sent.
    :param broken: Calls that end in an error from now on.
    :param keeps_host: Whether the server behind it sees the gate's address as the host that was asked for: it may
        tell a client where to continue.
    """

    target: str
    call_of: Callable[[str, str, Mapping[str, str]], str]
    address: str
    allowed: Collection[str] | None = None
    connection: dict[str, Any] = field(default_factory=dict)
    conn_id: str = "gate"
    calls: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    broken: set[str] = field(default_factory=set)
    keeps_host: bool = False


@contextmanager
def s3_gate(storage: S3, allowed: Collection[str] | None = None) -> Iterator[Gate]:
    """Run a gate in front of a server for the length of a ``with`` block."""
    extra = storage.connection["extra"]
    with gate_to(urlsplit(extra["endpoint_url"]).netloc, name_s3_call) as gate:
        gate.allowed = allowed
        url = f"http://{gate.address}"
        gate.connection = {**storage.connection, "extra": {**extra, "endpoint_url": url}}
        yield gate


@contextmanager
def gate_to(target: str, call_of: Callable[[str, str, Mapping[str, str]], str]) -> Iterator[Gate]:
    """Run a gate in front of any storage that speaks HTTP: see :class:`Gate`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        gate = Gate(target, call_of, f"127.0.0.1:{server.server_port}")
        server.gate = gate  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield gate
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # for 100-continue

    def _handle(self) -> None:
        gate: Gate = self.server.gate  # type: ignore[attr-defined]
        body = self._read_body()
        call = gate.call_of(self.command, self.path, dict(self.headers))
        gate.calls[call] += 1
        gate.sent += len(body)
        if gate.allowed is not None and call not in gate.allowed:
            self._answer(403, {"Content-Type": "application/xml"}, _REFUSAL)
        elif call in gate.broken:
            self._answer(501, {"Content-Type": "application/xml"}, _BROKEN)
        else:
            self._pass_on(gate, body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle  # noqa: N815 - as the library calls them

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _pass_on(self, gate: Gate, body: bytes) -> None:
        server = HTTPConnection(gate.target, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _OF_ONE_CONNECTION}
        host = gate.address if gate.keeps_host else gate.target
        server.request(self.command, self.path, body=body, headers={**headers, "Host": host})
        answer = server.getresponse()
        content = answer.read()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in _OF_ONE_CONNECTION}
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        self._answer(answer.status, kept, content, length)
        server.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes, length: str | None = None) -> None:
        is_head = self.command == "HEAD"
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(0 if is_head else len(body)))
        self.end_headers()
        if not is_head:
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


def name_s3_call(method: str, path: str, headers: Mapping[str, str]) -> str:
    """Return the name of a call, as S3's documentation has it."""
    is_copy = any(name.lower() == "x-amz-copy-source" for name in headers)
    query = parse_qs(urlsplit(path).query, keep_blank_values=True)
    if "uploadId" in query:
        names = {
            "PUT": "UploadPart",
            "POST": "CompleteMultipartUpload",
            "DELETE": "AbortMultipartUpload",
            "GET": "ListParts",
        }
    else:
        names = {
            "GET": "ListObjectsV2" if "list-type" in query else "GetObject",
            "HEAD": "HeadObject",
            "PUT": "CopyObject" if is_copy else "PutObject",
            "POST": "CreateMultipartUpload" if "uploads" in query else "DeleteObjects",
            "DELETE": "DeleteObject",
        }
    return names[method]
