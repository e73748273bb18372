"""Both transports against hosts and proxies that send whatever bytes they like, for as long as they like."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import pytest

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.call import Call
from airflow_provider_segmind.exceptions import (
    BadRequestError,
    NoAnswerError,
    SegmindError,
    SubmitUnresolvedError,
    UnreachableError,
    UnreadableResponseError,
)
from airflow_provider_segmind.hooks import nonblocking
from airflow_provider_segmind.hooks.segmind import SegmindAsyncHook, SegmindHook
from tests.raw_server import Answer, answer_of, raw_server, trickle

T = TypeVar("T")
Send = Callable[[Call[Any]], Any]

KEY = "SG_0123456789abcdef"
SUBMIT = calls.submit("fast-text-to-image", {"prompt": "a fox"})
CREDITS = calls.credits()
STATUS = calls.status("r-1")
FAR_TOO_LONG = 20.0
"""Seconds: what has no end is given half a second, but machines may be slow."""

SHORT = {"timeout": 0.5}

GZIP = "Content-Encoding: gzip"
BODY = b'{"credits": 7}'


def connect(monkeypatch: pytest.MonkeyPatch, url: str, key: str = KEY, **extra: Any) -> None:
    fields = {"conn_type": "segmind", "password": key, "host": url}
    extra = {"platform_url": url, "storage_url": url, "timeout": 30, "allow_insecure_http": True, **extra}
    monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", json.dumps({**fields, "extra": extra}))


def in_the_worker(call: Call[T]) -> T:
    return SegmindHook().send(call)


def in_the_triggerer(call: Call[T]) -> T:
    async def sent() -> T:
        async with SegmindAsyncHook() as hook:
            return await hook.send(call)

    return asyncio.run(sent())


@pytest.fixture(params=[in_the_worker, in_the_triggerer], ids=lambda send: send.__name__)
def send(request: pytest.FixtureRequest) -> Send:
    return request.param  # type: ignore[no-any-return]


def ended_in_time(send: Send, call: Call[Any]) -> SegmindError:
    """Return the error that a call ends in, before the host would ever have ended it."""
    before = time.monotonic()
    with pytest.raises(SegmindError) as caught:
        send(call)
    assert time.monotonic() - before < FAR_TOO_LONG
    return caught.value


def endlessly(piece: bytes) -> Answer:
    """Return an answer that repeats a piece as fast as it can."""

    def answer(connection: socket.socket, stopping: threading.Event) -> None:
        while not stopping.is_set():
            connection.sendall(piece * 100)

    return answer


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
NEVER_WHOLE_HEADERS = {
    "silence": trickle(b"", b""),
    "status line": trickle(b"HTTP/1.1 ", b"2"),
    "header line": trickle(b"HTTP/1.1 200 OK\r\nx: ", b"y"),
    "header lines": trickle(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"),
    "100": trickle(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "100 with headers": trickle(b"HTTP/1.1 100 Continue\r\n", b"x: y\r\n"),
    "102": trickle(b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
    "103": trickle(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"),
    "fast 100": endlessly(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "fast 103": endlessly(b"HTTP/1.1 103 Early Hints\r\n\r\n"),
}
NEVER_WHOLE_BODIES = {
    "length": trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n", b" "),
    "until closed": trickle(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b" "),
    "chunks": trickle(CHUNKED, b"1\r\n \r\n"),
    "chunk size": trickle(CHUNKED, b"0"),
    "chunk extension": trickle(CHUNKED + b"1;", b"x"),
    "within a chunk": trickle(CHUNKED + b"ffff\r\n", b" "),
    "trailers": trickle(CHUNKED + b'd\r\n{"credits": 1\r\n0\r\n', b"x: y\r\n"),
    "trailer line": trickle(CHUNKED + b'd\r\n{"credits": 1\r\n0\r\nx: ', b"y"),
    "fast trailers": endlessly(CHUNKED + b"0\r\n" + b"x: y\r\n" * 100),
}


@pytest.mark.parametrize("answer", NEVER_WHOLE_HEADERS.values(), ids=NEVER_WHOLE_HEADERS)
def test_headers_without_an_end_count_as_unanswered(
    monkeypatch: pytest.MonkeyPatch, send: Send, answer: Answer
) -> None:
    with raw_server(answer) as server:
        connect(monkeypatch, server.url, **SHORT)
        error = ended_in_time(send, STATUS)
    assert isinstance(error, NoAnswerError)
    assert "r-1" in str(error)


@pytest.mark.parametrize("answer", NEVER_WHOLE_BODIES.values(), ids=NEVER_WHOLE_BODIES)
def test_a_body_without_an_end_is_incomplete(monkeypatch: pytest.MonkeyPatch, send: Send, answer: Answer) -> None:
    with raw_server(answer) as server:
        connect(monkeypatch, server.url, **SHORT)
        error = ended_in_time(send, CREDITS)
    assert isinstance(error, UnreadableResponseError | NoAnswerError)


@pytest.mark.parametrize(
    "answer",
    [*NEVER_WHOLE_HEADERS.values(), *NEVER_WHOLE_BODIES.values()],
    ids=[*NEVER_WHOLE_HEADERS, *NEVER_WHOLE_BODIES],
)
def test_a_submit_without_a_whole_answer_is_unresolved_and_sent_once(
    monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    with raw_server(answer) as server:
        connect(monkeypatch, server.url, **SHORT)
        hook = SegmindHook()
        error = ended_in_time(lambda call: hook.submit("fast-text-to-image", {"prompt": "a fox"}), SUBMIT)
        assert len(server.requests) == 1
    assert isinstance(error, SubmitUnresolvedError)


def test_a_paid_output_that_was_cut_by_the_deadline_is_never_taken_for_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a length, the end of the connection is the end of the output."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nx-request-id: r-9\r\nConnection: close\r\n\r\n"
    with raw_server(trickle(head, b"\x89")) as server:
        connect(monkeypatch, server.url, **SHORT)
        error = ended_in_time(in_the_worker, calls.run_sync("fast-text-to-image", {}, timeout=0.5))
    assert isinstance(error, SubmitUnresolvedError)
    assert error.request_id == "r-9"


@pytest.mark.parametrize(
    "cut",
    [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Len"],
    ids=["between lines", "within a line"],
)
def test_headers_that_break_off_count_as_unanswered(
    monkeypatch: pytest.MonkeyPatch, send: Send, cut: bytes
) -> None:
    with raw_server(cut) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(NoAnswerError):
            send(CREDITS)
        with pytest.raises(SubmitUnresolvedError):
            in_the_worker(calls.run_sync("fast-text-to-image", {}, timeout=5))


@pytest.mark.parametrize("interim", ["100 Continue", "102 Processing", "103 Early Hints"])
def test_interim_answers_are_passed_over(monkeypatch: pytest.MonkeyPatch, send: Send, interim: str) -> None:
    early = f"HTTP/1.1 {interim}\r\nLink: </a.css>\r\n\r\n".encode() * 3
    with raw_server(early + answer_of(b'{"credits": 7}')) as server:
        connect(monkeypatch, server.url)
        assert send(CREDITS).balance == 7


@pytest.mark.parametrize("head", [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"], ids=["101"])
def test_an_answer_that_ends_nothing_leaves_a_submit_unresolved(
    monkeypatch: pytest.MonkeyPatch, send: Send, head: bytes
) -> None:
    with raw_server(head) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(NoAnswerError):
            send(CREDITS)
        with pytest.raises(SubmitUnresolvedError):
            in_the_worker(SUBMIT)


def test_an_upload_that_the_host_does_not_read_ends(monkeypatch: pytest.MonkeyPatch, send: Send) -> None:
    with host_that(lambda connection, stopping: stopping.wait()) as url:
        connect(monkeypatch, url, **SHORT)
        error = ended_in_time(send, calls.upload(["data:image/png;base64," + "A" * 40_000_000]))
    assert isinstance(error, NoAnswerError)


def test_an_upload_may_take_as_long_as_the_timeout_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than a connection may: urllib3 has one time limit for connecting and for sending."""
    monkeypatch.setattr("airflow_provider_segmind.hooks.blocking.CONNECT_TIMEOUT", 0.5)

    def slow(connection: socket.socket, stopping: threading.Event) -> None:
        stopping.wait(1.5)
        connection.settimeout(5)
        received = b""
        while not received.endswith(b'A"]}'):
            received = received[-10:] + connection.recv(1 << 20)
        connection.sendall(answer_of(b'{"file_urls": ["https://a.example/b.png"]}'))

    with host_that(slow) as url:
        connect(monkeypatch, url, timeout=60)
        sent = in_the_worker(calls.upload(["data:image/png;base64," + "A" * 40_000_000]))
    assert sent == ("https://a.example/b.png",)


@pytest.mark.parametrize("first", [b"", b"\x16\x03\x03\x40\x00\x02"], ids=["silence", "a record without end"])
def test_a_handshake_without_an_end_ends(monkeypatch: pytest.MonkeyPatch, send: Send, first: bytes) -> None:
    def shake(connection: socket.socket, stopping: threading.Event) -> None:
        connection.sendall(first)
        while not stopping.wait(0.05):
            connection.sendall(first and b"\0")

    with host_that(shake) as url:
        connect(monkeypatch, url.replace("http:", "https:"), **SHORT)
        assert isinstance(ended_in_time(send, CREDITS), UnreachableError)
        assert isinstance(ended_in_time(in_the_worker, SUBMIT), SubmitUnresolvedError), "to be on the safe side"


@pytest.mark.parametrize(
    "answer",
    [
        trickle(b"", b""),
        trickle(b"HTTP/1.1 200 ", b"O"),
        trickle(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"),
        trickle(b"HTTP/1.1 200 OK\r\nx: ", b"y"),
        endlessly(b"x: y\r\n" * 100),
    ],
    ids=["silence", "status line", "headers", "header line", "fast headers"],
)
def test_a_tunnel_that_does_not_open_ends(monkeypatch: pytest.MonkeyPatch, send: Send, answer: Answer) -> None:
    with raw_server(answer) as proxy:
        connect(monkeypatch, "https://gateway.example", proxies={"https": proxy.url}, **SHORT)
        assert type(ended_in_time(send, CREDITS)) is UnreachableError
        assert type(ended_in_time(in_the_worker, SUBMIT)) is UnreachableError, "nothing was sent"


def test_a_handshake_in_a_tunnel_ends(monkeypatch: pytest.MonkeyPatch, send: Send) -> None:
    with raw_server(trickle(b"HTTP/1.1 200 OK\r\n\r\n", b"\x16")) as proxy:
        connect(monkeypatch, "https://gateway.example", proxies={"https": proxy.url}, **SHORT)
        assert isinstance(ended_in_time(send, CREDITS), UnreachableError)
        assert isinstance(ended_in_time(in_the_worker, SUBMIT), SubmitUnresolvedError), "to be on the safe side"


def resolve_gateway_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let the resolver find these addresses for gateway.example."""
    resolve = socket.getaddrinfo

    def resolved(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        if host != "gateway.example":
            return resolve(host, port, *arguments, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)


def test_all_addresses_of_a_host_share_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    with full_listener() as port:
        resolve_gateway_to(monkeypatch, *(f"127.0.0.{number}" for number in range(1, 100)))
        connect(monkeypatch, f"http://gateway.example:{port}", **SHORT)
        assert type(ended_in_time(in_the_worker, CREDITS)) is UnreachableError


def test_a_resolver_that_hangs_does_not_hold_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    resolved = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: resolved.wait())
    connect(monkeypatch, "http://gateway.example", **SHORT)
    try:
        assert type(ended_in_time(in_the_worker, CREDITS)) is UnreachableError
    finally:
        resolved.set()


def test_an_address_that_refuses_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(answer_of(BODY)) as server:
        resolve_gateway_to(monkeypatch, "127.0.0.2", "127.0.0.1")
        connect(monkeypatch, server.url.replace("127.0.0.1", "gateway.example"))
        assert in_the_worker(CREDITS).balance == 7
        assert b"Host: gateway.example:" in server.requests[0]


def test_a_kept_connection_keeps_to_the_deadline_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def first_well_then_slow(connection: socket.socket, stopping: threading.Event) -> None:
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"credits": 7}')
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not stopping.wait(0.05):
            connection.sendall(b"x: y\r\n")

    with raw_server(first_well_then_slow) as server:
        connect(monkeypatch, server.url, **SHORT)
        hook = SegmindHook()
        assert hook.send(CREDITS).balance == 7
        assert isinstance(ended_in_time(hook.send, CREDITS), NoAnswerError)
        assert len(server.requests) == 1, "the second call went over the same connection"


def test_a_watched_call_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    before, open_before = set(threading.enumerate()), len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with raw_server(answer_of(BODY)) as server:
        connect(monkeypatch, server.url)
        hook = SegmindHook()
        for _ in range(20):
            hook.send(CREDITS)
        hook.get_conn().close()
    for each in set(threading.enumerate()) - before:
        each.join(FAR_TOO_LONG)
        assert not each.is_alive()
    assert len(os.listdir("/proc/self/fd")) <= open_before + 2  # noqa: PTH208


LIMITS = {
    "line of 70 KB": b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\n\r\n{}",
    "status line of 70 KB": b"HTTP/1.1 200 " + b"y" * 70_000 + b"\r\n\r\n{}",
    "5000 headers": b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 5000 + b"\r\n{}",
    "folded header": b"HTTP/1.1 200 OK\r\nx: y" + b"\r\n y" * 50_000 + b"\r\n\r\n{}",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "not HTTP": b"\x00\xff\x16\x03 what?\r\n\r\n",
    "old HTTP": b"HTTP/0.9 200 OK\r\n\r\n{}",
    "new HTTP": b"HTTP/2.0 200 OK\r\n\r\n{}",
    "status 99": b"HTTP/1.1 99 Odd\r\n\r\n{}",
    "nothing": b"",
}


@pytest.mark.parametrize("answer", LIMITS.values(), ids=LIMITS)
def test_no_header_breaks_a_transport(monkeypatch: pytest.MonkeyPatch, send: Send, answer: bytes) -> None:
    with raw_server(answer) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(SegmindError) as caught:
            send(STATUS)
        assert "r-1" in str(caught.value)
        assert len(str(caught.value)) < 1500
        with pytest.raises(SubmitUnresolvedError) as unresolved:
            in_the_worker(SUBMIT)
        assert len(str(unresolved.value)) < 1500


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(BODY)),
        ("x-gzip", gzip.compress(BODY)),
        ("deflate", zlib.compress(BODY)),
        ("identity", BODY),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_one_content_encoding_is_undone(
    monkeypatch: pytest.MonkeyPatch, send: Send, encoding: str, body: bytes
) -> None:
    with raw_server(answer_of(body, f"Content-Encoding: {encoding}")) as server:
        connect(monkeypatch, server.url)
        assert send(CREDITS).balance == 7
        (head,) = server.requests
    assert b"accept-encoding: identity" in head.lower()
    assert head.lower().count(b"accept-encoding") == 1


BOMB = gzip.compress(b" " * 150_000_000, 1)
UNDECODABLE = {
    "bomb": answer_of(BOMB, GZIP),
    "bomb in a bomb": answer_of(gzip.compress(BOMB), "Content-Encoding: gzip, gzip"),
    "two headers": answer_of(gzip.compress(gzip.compress(BODY)), GZIP, GZIP),
    "not gzip": answer_of(BODY, GZIP),
    "cut short": answer_of(gzip.compress(BODY)[:-9], GZIP),
    "unknown": answer_of(BODY, "Content-Encoding: br"),
    "many": answer_of(BODY, "Content-Encoding: " + ", ".join(["gzip"] * 500)),
}


@pytest.mark.parametrize("answer", UNDECODABLE.values(), ids=UNDECODABLE)
def test_what_cannot_be_decoded_cannot_be_read(monkeypatch: pytest.MonkeyPatch, send: Send, answer: bytes) -> None:
    with raw_server(answer) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(UnreadableResponseError):
            send(CREDITS)
        for call in (SUBMIT, calls.run_sync("fast-text-to-image", {}, timeout=30)):
            with pytest.raises(SubmitUnresolvedError):
                in_the_worker(call)
        assert len(server.requests) == 3


REDIRECTS = {
    "slow": trickle(b"HTTP/1.1 302 Found\r\nLocation: https://else.example/\r\n\r\n", b" "),
    "chunks": trickle(
        b"HTTP/1.1 307 Moved\r\nLocation: https://else.example/\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"1\r\n \r\n",
    ),
    "huge": lambda connection, stopping: endlessly(b" ")(
        connection.sendall(b"HTTP/1.1 308 Moved\r\nLocation: https://else.example/\r\n\r\n") or connection,
        stopping,
    ),
}


@pytest.mark.parametrize("answer", REDIRECTS.values(), ids=REDIRECTS)
def test_the_body_of_a_redirect_is_not_read(monkeypatch: pytest.MonkeyPatch, send: Send, answer: Any) -> None:
    with raw_server(answer) as server:
        connect(monkeypatch, server.url, timeout=120)
        assert isinstance(ended_in_time(send, CREDITS), BadRequestError)
        assert isinstance(ended_in_time(in_the_worker, SUBMIT), BadRequestError)


def test_no_cookie_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(answer_of(BODY, "Set-Cookie: a=b; Path=/")) as server:
        connect(monkeypatch, server.url)
        hook = SegmindHook()
        hook.send(CREDITS)
        hook.send(CREDITS)
        assert b"cookie:" not in server.requests[1].lower()


def test_a_large_body_is_read_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def noted(call: Call[Any], response: Any) -> int:
        threads.append(threading.current_thread() is threading.main_thread())
        assert KEY.encode() not in response.body
        return len(response.body)

    large = nonblocking.LARGEST_INLINE * 4
    bodies = [b" " * 100, KEY.encode() + b" " * large, gzip.compress(b" " * large)]
    answers = [answer_of(bodies[0]), answer_of(bodies[1]), answer_of(bodies[2], GZIP)]
    with raw_server(*answers) as server:
        connect(monkeypatch, server.url)
        call = Call("GET", CREDITS.service, "/", noted, limit=2 * large)
        assert [in_the_triggerer(call) for _ in bodies] == [100, large + 3, large]
    assert threads == [True, False, False]


def test_a_key_in_a_header_is_not_shown(monkeypatch: pytest.MonkeyPatch, send: Send) -> None:
    with raw_server(answer_of(b"", f"Location: https://else.example/?key={KEY}", status="302 Found")) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(BadRequestError, match="redirected to") as caught:
            send(CREDITS)
    assert KEY not in str(caught.value)


WHOLE = [
    answer_of(b'{"credits": 7, "free-credits": 1}', "Content-Type: application/json"),
    answer_of(
        b'{"request_id": "r-1", "status": "QUEUED"}', "Set-Cookie: a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
    ),
    answer_of(gzip.compress(BODY), GZIP),
    answer_of(b"<html><body>no</body></html>", "x-request-id: r-9", status="504 Gateway Timeout"),
    answer_of(b'{"error": "slow down"}', "x-rate-limit-reset-at-utc: 1700000000", status="429 Too Many Requests"),
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    + CHUNKED
    + b'e;x=y\r\n{"credits": 7}\r\n0\r\nTrailer: t\r\n\r\n',
    answer_of(b"", "Location: https://else.example/", status="302 Found"),
]
PIECES = [
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b":",
        b";",
        b",",
        b"-",
        b"\xff",
        b"\xc3\xa9",
        b"0",
        b"9" * 30,
        b"f" * 20,
    ),
    *(b"HTTP/1.1 ", b"HTTP/1.0 200\r\n", b"100 Continue\r\n\r\n", b"Transfer-Encoding: chunked\r\n", b"\r\n\r\n"),
    *(b"Content-Length: -1\r\n", b"Content-Length: 99999999999999999999\r\n", b"Content-Encoding: gzip\r\n"),
    *(b"Set-Cookie: =;;\r\n", b'Content-Type: ;="\r\n', b"Connection: keep-alive\r\n", b"x" * 9000, b"[" * 5000),
]


def mutated(chance: random.Random) -> bytes:
    """Return an answer with a few bytes removed, repeated, replaced or put in."""
    answer = bytearray(chance.choice(WHOLE))
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        at = chance.randrange(len(answer) + 1)
        upto = min(at + chance.choice((0, 1, 2, 10, 100)), len(answer))
        kind = chance.randrange(5)
        if kind == 0:
            answer[at:upto] = b""
        elif kind == 1:
            answer[at:upto] = answer[at:upto] * 3
        elif kind == 2:
            answer[at:upto] = bytes(chance.randrange(256) for _ in range(upto - at))
        elif kind == 3:
            answer[at:at] = chance.choice(PIECES)
        elif chance.random() < 0.3:
            del answer[at:]
    return bytes(answer)


class Nonsense:
    """A host that answers each call with another mutated answer, and remembers the last one."""

    def __init__(self) -> None:
        self.seed = random.randrange(2**32)  # noqa: S311
        self._chance = random.Random(self.seed)  # noqa: S311
        self.last = b""

    def __call__(self, connection: socket.socket, stopping: threading.Event) -> None:
        self.last = mutated(self._chance)
        connection.sendall(self.last)

    def __str__(self) -> str:
        return f"seed {self.seed}, answer {self.last!r}"


FUZZED_FOR = float(os.environ.get("FUZZ_SECONDS", "1.5"))
"""For each transport."""


def test_only_our_errors_leave_the_worker_whatever_a_host_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    nonsense = Nonsense()
    with raw_server(nonsense) as server:
        sent = 0
        until = time.monotonic() + FUZZED_FOR
        while time.monotonic() < until or sent < 20:
            # Another key each time, or a 429 among the answers would have the next call wait.
            connect(monkeypatch, server.url, key=f"SG_{sent:016x}")
            hook = SegmindHook()
            call: Call[Any] = (CREDITS, STATUS, SUBMIT)[sent % 3]
            error: Exception | None = None
            try:
                hook.send(call)
            except Exception as caught:  # noqa: BLE001
                error = caught
            sent += 1
            assert error is None or isinstance(error, SegmindError), f"{error!r} ({nonsense})"
            assert call is not SUBMIT or type(error) is not UnreachableError, f"it was sent ({nonsense})"
            assert len(server.requests) <= sent, f"it was sent again ({nonsense})"


async def test_only_our_errors_leave_the_triggerer_whatever_a_host_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    nonsense = Nonsense()
    with raw_server(nonsense) as server:
        until = time.monotonic() + FUZZED_FOR
        while time.monotonic() < until or len(server.requests) < 20:
            # Another key each time, or a 429 among the answers would have the next call wait.
            connect(monkeypatch, server.url, key=f"SG_{len(server.requests):016x}")
            async with SegmindAsyncHook() as hook:
                for call in (CREDITS, STATUS):
                    error: Exception | None = None
                    try:
                        await hook.send(call)
                    except Exception as caught:  # noqa: BLE001
                        error = caught
                    assert error is None or isinstance(error, SegmindError), f"{error!r} ({nonsense})"


@contextmanager
def host_that(serve: Callable[[socket.socket, threading.Event], Any]) -> Iterator[str]:
    """A host that does something with each connection at once, without waiting for a request."""
    stopping = threading.Event()

    def serve_one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            serve(connection, stopping)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve_one, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stopping.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def full_listener() -> Iterator[int]:
    """A port whose queue is full, so that connecting to it hangs as with a dead host."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("0.0.0.0", 0))  # noqa: S104 - all of 127.0.0.0/8
        listener.listen(0)
        for each in (first, second):
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", listener.getsockname()[1]))
        yield listener.getsockname()[1]
