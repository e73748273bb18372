"""Fetching outputs from hosts that answer in every way that a socket allows."""

from __future__ import annotations

import gzip
import os
import random
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from airflow_provider_segmind.api.download import Download
from airflow_provider_segmind.exceptions import (
    DownloadError,
    OutputGoneError,
    OutputRefusedError,
    OutputTooLargeError,
    SegmindError,
)
from airflow_provider_segmind.hooks import downloads
from airflow_provider_segmind.hooks.connection import SegmindConnection, read_connection
from airflow_provider_segmind.hooks.downloads import fetch_file
from tests.raw_server import Answer, RawServer, answer_of, raw_server, trickle

KEY = "SG_0123456789abcdef"
BODY = b"....ftypisom" * 20
WHOLE = answer_of(BODY, "Content-Type: video/mp4")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch, no_proxies: None) -> None:
    monkeypatch.setattr(downloads, "LONGEST_RESUME_PAUSE", 0.0)


def connection(**extra: Any) -> SegmindConnection:
    """Return a connection to an emulator on this machine, so that media may come from here."""
    return read_connection("c", password=KEY, host="http://127.0.0.1:1", extra={"timeout": 5, **extra})


def content(url: str, *, most_bytes: int = 10_000, by: SegmindConnection | None = None) -> bytes:
    return b"".join(fetch_file(url, Download(most_bytes, "req-1"), by or connection(), "req-1"))


def from_answers(*answers: Answer, **options: Any) -> tuple[bytes, RawServer]:
    with raw_server(*answers) as server:
        return content(f"{server.url}/a.mp4", **options), server


def asked_ranges(server: RawServer) -> list[str | None]:
    lines = [dict(line.split(b": ", 1) for line in each.split(b"\r\n")[1:]) for each in server.requests]
    return [line[b"Range"].decode() if b"Range" in line else None for line in lines]


def partial(start: int, end: int, total: int | str, body: bytes = BODY, *headers: str) -> bytes:
    extent = f"Content-Range: bytes {start}-{end - 1}/{total}"
    return answer_of(body[start:end], extent, *headers, status="206 Partial Content")


def chunks(*pieces: bytes, end: bytes = b"0\r\n\r\n", head: bytes = CHUNKED) -> bytes:
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + end


# What is not there at first


@pytest.mark.parametrize("status", ["404 Not Found", "403 Forbidden", "410 Gone", "401 No", "400 No", "451 No"])
def test_a_file_that_shows_a_moment_later_is_fetched(status: str) -> None:
    received, server = from_answers(answer_of(b"no", status=status), answer_of(b"no", status=status), WHOLE)
    assert (received, len(server.requests)) == (BODY, 3)


@pytest.mark.parametrize("status", ["404 Not Found", "500 No"])
def test_a_file_that_does_not_show_is_looked_for_again_by_the_next_attempt_of_the_task(status: str) -> None:
    with raw_server(answer_of(b"no", status=status)) as server:
        with pytest.raises(DownloadError, match=r"request_id=req-1") as caught:
            content(f"{server.url}/a.mp4")
        assert f"HTTP {status[:3]}" in str(caught.value)
        assert len(server.requests) == downloads.ATTEMPTS


def test_a_file_that_is_older_than_segmind_keeps_one_is_gone_at_once() -> None:
    with raw_server(answer_of(b"no", status="404 Not Found")) as server:
        download = Download(100, "req-1", age=9 * 86400)
        with pytest.raises(OutputGoneError, match="req-1"):
            list(fetch_file(f"{server.url}/a.mp4", download, connection(), "req-1"))
        assert len(server.requests) == 1


def test_the_pauses_are_long_enough_for_a_storage_to_catch_up(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(downloads, "LONGEST_RESUME_PAUSE", 10.0)
    monkeypatch.setattr(downloads.time, "sleep", pauses.append)
    with raw_server(answer_of(b"no", status="404 Not Found")) as server, pytest.raises(DownloadError):
        content(f"{server.url}/a.mp4")
    assert 15 <= sum(pauses) <= 30
    assert pauses == sorted(pauses)


# Redirects


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/b%20ü-€.mp4", "/b%20%C3%BC-%E2%82%AC.mp4"),
        ("/caf\u00e9/\u00e0", "/caf%C3%A9/%C3%A0"),
        ("/a b.mp4?c d=\u00fc", "/a%20b.mp4?c%20d=%C3%BC"),
        ("/a;b=1/c.mp4;d#e", "/a;b=1/c.mp4;d"),
        ("b/c.mp4", "/x/b/c.mp4"),
        ("?signed=%2Fa%3D", "/x/a.mp4?signed=%2Fa%3D"),
        ("/100%", "/100%25"),
        ("/\u4f60\u597d.mp4", "/%E4%BD%A0%E5%A5%BD.mp4"),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(location: str, path: str, status: int) -> None:
    head = f"HTTP/1.1 {status} Go\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
    with raw_server(head, WHOLE) as server:
        assert content(f"{server.url}/x/a.mp4") == BODY
    assert server.requests[1].split(b" ")[1].decode() == path


def test_a_location_in_another_encoding_comes_back_as_it_was_sent() -> None:
    with raw_server(b"HTTP/1.1 302 Go\r\nLocation: /b\xfccher.mp4\r\n\r\n", WHOLE) as server:
        assert content(f"{server.url}/a.mp4") == BODY
    assert server.requests[1].startswith(b"GET /b%FCcher.mp4 ")


def test_a_redirect_leads_to_another_port_and_its_body_is_not_read() -> None:
    with raw_server(WHOLE) as there:
        endless = trickle(
            f"HTTP/1.1 302 Go\r\nLocation: {there.url[5:]}/b.mp4\r\n\r\n".encode(), b"x" * 1000, 0.001
        )
        with raw_server(endless) as here:
            assert content(f"{here.url}/a.mp4", by=connection(timeout=120)) == BODY
    assert there.requests[0].startswith(b"GET /b.mp4 ")


@pytest.mark.parametrize(
    "headers",
    [[], ["Location:"], ["Location:  "], ["Location: /a", "Location: /b"]],
    ids=["none", "empty", "", "two"],
)
def test_a_redirect_to_nowhere_may_pass(headers: list[str]) -> None:
    assert from_answers(answer_of(b"", *headers, status="302 Found"), WHOLE)[0] == BODY
    with pytest.raises(DownloadError, match=r"HTTP 302 without.*req-1"):
        from_answers(answer_of(b"", *headers, status="302 Found"))


@pytest.mark.parametrize("status", ["300 Choose", "304 Same", "305 Proxy", "306 No", "399 What"])
def test_other_answers_of_that_kind_are_not_followed(status: str) -> None:
    with raw_server(WHOLE) as other:
        answer = answer_of(b"", f"Location: {other.url}/b", status=status)
        with pytest.raises(DownloadError, match=f"HTTP {status[:3]}"):
            from_answers(answer)
        assert other.requests == []
    assert from_answers(answer, WHOLE)[0] == BODY


def test_redirects_that_lead_back_end() -> None:
    with raw_server(answer_of(b"", "Location: /b", status="302 Found")) as server:
        with pytest.raises(DownloadError, match="redirects"):
            content(f"{server.url}/b")
        assert len(server.requests) == downloads.MOST_REDIRECTS + 1


def test_half_a_redirect_is_not_followed() -> None:
    received, server = from_answers(b"HTTP/1.1 302 Found\r\nLocation: https://exam", WHOLE)
    assert (received, len(server.requests)) == (BODY, 2)


@pytest.mark.parametrize(
    "location",
    [
        *("http://127.1.evil.test/", "http://127.0.0.1@evil.test/", "https://user@127.0.0.1/", "ftp://127.0.0.1/"),
        *(
            "https://a.test\\@127.0.0.1/",
            "//a.test\\b",
            "http://10.0.0.1/",
            "http://[64:ff9b::7f00:1]/",
            "https://[",
        ),
        *(
            "https://nas/",
            "https://0xa9fea9fe/",
            "https://169.254.169.254/",
            "https://[::ffff:10.0.0.1]/",
            "https://1",
        ),
    ],
)
def test_a_redirect_is_under_the_same_rules(location: str) -> None:
    with raw_server(answer_of(b"", f"Location: {location}", status="302 Found")) as server:
        with pytest.raises(OutputRefusedError, match="req-1"):
            content(f"{server.url}/a.mp4")
        assert len(server.requests) == 1


# Names and addresses


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Names that are known, with their addresses; look-ups of one of them are counted under its name and '#'."""
    known: dict[str, Any] = {}
    real = socket.getaddrinfo

    def looked_up(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if host not in known:
            return real(host, port, *args, **options)
        known[f"{host}#"] = known.get(f"{host}#", 0) + 1
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port))
            for each in known[host]
        ]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    return known


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that connections were made to, or tried."""
    seen: list[str] = []
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> Any:
        seen.append(address[0])
        return real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    return seen


def port_of(server: RawServer) -> str:
    return server.url.rpartition(":")[2]


@pytest.mark.parametrize("dead", [["127.0.0.2"], ["::1", "127.0.0.2"], ["127.0.0.2", "127.0.0.3", "127.0.0.4"]])
def test_if_an_address_is_dead_the_next_one_is_tried(
    names: dict[str, Any], connected: list[str], dead: list[str]
) -> None:
    names["cdn.localhost"] = [*dead, "127.0.0.1"]
    with raw_server(WHOLE) as server:
        assert content(f"http://cdn.localhost:{port_of(server)}/a.mp4") == BODY
    assert connected == [*dead, "127.0.0.1"]
    assert names["cdn.localhost#"] == 1
    assert b"Host: cdn.localhost" in server.requests[0]


def test_an_address_that_does_not_answer_leaves_time_for_the_next(names: dict[str, Any]) -> None:
    names["cdn.localhost"] = ["127.0.0.2", "127.0.0.1"]
    with raw_server(WHOLE) as server, socket.socket() as full, closing(socket.socket()) as first:
        full.bind(("127.0.0.2", int(port_of(server))))
        full.listen(0)
        first.connect(full.getsockname())  # its queue is full: it takes no other one
        assert content(f"http://cdn.localhost:{port_of(server)}/a.mp4", by=connection(timeout=2)) == BODY


def test_if_all_addresses_are_dead_it_may_pass(names: dict[str, Any], connected: list[str]) -> None:
    names["cdn.localhost"] = ["127.0.0.2", "127.0.0.3"]
    with raw_server(WHOLE) as server, pytest.raises(DownloadError, match="refused") as caught:
        content(f"http://cdn.localhost:{port_of(server)}/a.mp4")
    assert caught.value.may_resume
    assert connected == ["127.0.0.2", "127.0.0.3"] * downloads.ATTEMPTS


@pytest.mark.parametrize(
    "private", ["10.0.0.8", "169.254.169.254", "::7f00:1", "64:ff9b::a9fe:a9fe", "fec0::1", "fe80::1%1", "0.1.2.3"]
)
@pytest.mark.parametrize("rest", [[], ["127.0.0.1"]])
def test_nothing_connects_to_a_private_address_of_a_name(
    names: dict[str, Any], connected: list[str], private: str, rest: list[str]
) -> None:
    with raw_server(WHOLE) as server:
        for name in ("cdn.localhost", "localhost"):
            names[name] = [private, *rest]
            if rest:
                assert content(f"http://{name}:{port_of(server)}/a.mp4") == BODY
            else:
                with pytest.raises(OutputRefusedError, match="req-1"):
                    content(f"http://{name}:{port_of(server)}/a.mp4")
    assert set(connected) <= {"127.0.0.1"}


def test_plain_http_goes_to_this_machine_even_if_private_addresses_are_allowed(
    names: dict[str, Any], connected: list[str]
) -> None:
    names["localhost"] = ["10.0.0.8"]
    with pytest.raises(OutputRefusedError, match="loopback"):
        content("http://localhost:8088/a.mp4", by=connection(allow_private_media=True))
    assert connected == []


def test_a_file_comes_over_ipv6() -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with listener:

        def serve() -> None:
            with listener.accept()[0] as accepted:
                accepted.recv(65536)
                accepted.sendall(WHOLE)

        threading.Thread(target=serve, daemon=True).start()
        assert content(f"http://[::1]:{listener.getsockname()[1]}/a.mp4") == BODY


def test_a_name_without_an_address_may_pass(names: dict[str, Any]) -> None:
    names["cdn.test"] = []
    for name in ("cdn.test", "no-such-name.invalid"):
        with pytest.raises(DownloadError, match="req-1") as caught:
            content(f"https://{name}/a.mp4")
        assert caught.value.may_resume


# Proxies


@pytest.mark.parametrize(
    "host",
    [
        *("0x7f.1", "127.1", "2130706433", "0177.0.0.1", "foo.internal", "\uff11\uff12\uff17.0.0.1", "localhost."),
        *("[::ffff:10.0.0.1]", "%31%32%37.0.0.1", "printer", "nas.local", "10.0.0.1", "[64:ff9b::a00:1]"),
        *("localhost", "foo.localhost", "127.0.0.1."),
    ],
)
def test_a_proxy_is_not_asked_for_what_is_not_public(host: str) -> None:
    with raw_server(answer_of(b"", status="502 No")) as proxy:
        by = read_connection("c", password=KEY, host=None, extra={"proxies": {"https": proxy.url}})
        with pytest.raises(OutputRefusedError, match="req-1"):
            content(f"https://{host}/a.mp4", by=by)
        assert proxy.requests == []


def test_a_proxy_is_asked_for_the_host_that_was_checked(tls: Tls) -> None:
    def tunnel(here: socket.socket, stopping: threading.Event) -> None:
        here.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as there:
            threading.Thread(target=pump, args=(here, there), daemon=True).start()
            pump(there, here)

    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                target.sendall(piece)

    with tls_server(tls.context("xn--bcher-kva.example"), WHOLE) as port, raw_server(tunnel) as proxy:
        login = proxy.url.replace("http://", "http://me:s3cret@")
        by = connection(proxies={"https": login}, verify=tls.bundle)
        assert content("https://b\u00fccher.example/a.mp4", by=by) == BODY
        assert proxy.requests[0].startswith(b"CONNECT xn--bcher-kva.example:443 ")
        assert b"Proxy-Authorization: Basic " in proxy.requests[0]


def test_a_proxy_that_refuses_is_an_error_without_its_login() -> None:
    with raw_server(answer_of(b"", status="407 Login")) as proxy:
        by = connection(proxies={"https": proxy.url.replace("http://", "http://me:s3cret@")})
        with pytest.raises(DownloadError, match="407") as caught:
            content("https://cdn.test/a.mp4?signature=cafe", by=by)
    shown = ""
    error: BaseException | None = caught.value
    while error is not None:
        shown, error = (
            shown + str(error),
            error.__cause__ or (None if error.__suppress_context__ else error.__context__),
        )
    assert "s3cret" not in shown
    assert "cafe" not in shown


def test_an_emulator_on_this_machine_needs_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(answer_of(b"", status="502 No")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert from_answers(WHOLE, by=connection(proxies={"http": proxy.url}))[0] == BODY
        assert proxy.requests == []


# Encodings


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate"])
def test_an_encoding_that_was_not_asked_for_is_undone(encoding: str) -> None:
    encoded = zlib.compress(BODY) if encoding == "deflate" else gzip.compress(BODY)
    header = f"Content-Encoding: {encoding}"
    received, server = from_answers(answer_of(encoded, header))
    assert received == BODY
    assert b"Accept-Encoding: identity" in server.requests[0]
    broken = answer_of(encoded, header)[:-20]
    rest = partial(len(encoded) - 20, len(encoded), len(encoded), encoded, header)
    received, server = from_answers(broken, rest)
    assert (received, asked_ranges(server)) == (BODY, [None, f"bytes={len(encoded) - 20}-"])


@pytest.mark.parametrize(
    "header", ["Content-Encoding: br", "Content-Encoding: gzip, gzip", "Content-Encoding: \x1b[2J"]
)
def test_an_encoding_that_cannot_be_undone_is_not_stored(header: str) -> None:
    with pytest.raises(DownloadError, match=r"content encoding.*req-1"):
        from_answers(answer_of(gzip.compress(BODY), header))


def test_a_rest_in_another_encoding_is_not_taken() -> None:
    with pytest.raises(DownloadError, match=r"changed during.*req-1"):
        from_answers(WHOLE[:-100], partial(len(BODY) - 100, len(BODY), len(BODY), BODY, "Content-Encoding: gzip"))


def test_a_file_that_becomes_too_large_when_it_is_decoded_is_not_stored() -> None:
    with pytest.raises(OutputTooLargeError, match="req-1"):
        from_answers(answer_of(gzip.compress(bytes(10_000_000)), "Content-Encoding: gzip"))


# Frames


def test_chunks_that_lose_only_their_end_are_complete() -> None:
    behind = answer_of(b"", f"Content-Range: bytes */{len(BODY)}", status="416 No")
    received, server = from_answers(chunks(BODY[:7], BODY[7:], end=b""), behind)
    assert (received, asked_ranges(server)) == (BODY, [None, f"bytes={len(BODY)}-"])


def test_chunks_that_lose_only_their_end_are_fetched_again_if_the_host_does_not_say_how_long_they_are() -> None:
    received, server = from_answers(chunks(BODY, end=b""), answer_of(b"", status="416 No"), chunks(BODY))
    assert (received, asked_ranges(server)) == (BODY, [None, f"bytes={len(BODY)}-", None])


def test_chunks_that_lose_more_are_asked_for() -> None:
    cut = chunks(BODY, end=b"")[:-50]
    received, server = from_answers(cut, partial(len(BODY) - 48, len(BODY), len(BODY)))
    assert (received, asked_ranges(server)) == (BODY, [None, f"bytes={len(BODY) - 48}-"])


@pytest.mark.parametrize("total", [len(BODY), "*"])
def test_a_file_comes_in_parts(total: int | str) -> None:
    parts = [partial(start, min(start + 50, len(BODY)), total) for start in range(0, len(BODY), 50)]
    behind = answer_of(b"", f"Content-Range: bytes */{len(BODY)}", status="416 No")
    received, server = from_answers(*parts, behind)
    assert received == BODY
    assert asked_ranges(server)[:3] == [None, "bytes=50-", "bytes=100-"]


def test_parts_that_overlap_are_put_together() -> None:
    received, _ = from_answers(WHOLE[:-100], partial(30, len(BODY), len(BODY)))
    assert received == BODY


def test_a_part_that_leaves_a_gap_is_not_taken() -> None:
    with pytest.raises(DownloadError, match="asked for the bytes"):
        from_answers(WHOLE[:-100], partial(len(BODY) - 10, len(BODY), len(BODY)))


@pytest.mark.parametrize(
    "headers",
    [
        [f"Content-Length: {len(BODY)}", f"Content-Length: {len(BODY)}"],
        [f"Content-Length: {len(BODY)}, {len(BODY)}"],
        [],  # as HTTP/1.0 has it: the end of the connection is the end of the file
    ],
    ids=["twice", "listed", "none"],
)
def test_lengths_that_can_be_read(headers: list[str]) -> None:
    assert from_answers(answer_of(BODY, *headers, length=False))[0] == BODY
    longer = answer_of(BODY + b"more", *headers, length=False)
    assert from_answers(longer)[0] == (BODY if headers else BODY + b"more")


@pytest.mark.parametrize(
    "length",
    [b"-1", b"\xb2", "\u0663".encode(), b"1_0", b"+9", b"0x9", b"", b"9" * 5000 + b"x", b"5\r\nContent-Length: 6"],
)
def test_lengths_that_cannot_be_read_may_pass(length: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\n" + BODY
    assert from_answers(answer, WHOLE)[0] == BODY
    with pytest.raises(DownloadError, match="req-1"):
        from_answers(answer)


def test_a_huge_length_is_too_large() -> None:
    with pytest.raises(OutputTooLargeError, match="req-1"):
        from_answers(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n")


def test_chunks_count_and_not_the_length_beside_them() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert from_answers(chunks(BODY, head=head))[0] == BODY


@pytest.mark.parametrize("coding", ["gzip, chunked", "chunked ", "x"])
def test_another_transfer_encoding_is_not_stored(coding: str) -> None:
    head = f"HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n".encode()
    with pytest.raises(DownloadError, match="transfer encoding"):
        from_answers(chunks(BODY, head=head))


def test_interim_answers_are_not_the_answer() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    assert from_answers(hints + WHOLE)[0] == BODY


def test_headers_that_break_off_are_not_an_answer() -> None:
    assert from_answers(b"HTTP/1.1 200 OK\r\nContent-Type: vid", WHOLE)[0] == BODY


def test_a_connection_that_stays_open_behind_the_file_is_not_waited_for() -> None:
    def send(connection: socket.socket, stopping: threading.Event) -> None:
        connection.sendall(WHOLE.replace(b"Connection: close\r\n", b""))
        stopping.wait(60)

    began = time.monotonic()
    assert from_answers(send, by=connection(timeout=30))[0] == BODY
    assert time.monotonic() - began < 20


def test_pages_and_other_files() -> None:
    for content_type in ("text/vtt", "application/json", "model/obj", "image/svg+xml"):
        assert from_answers(answer_of(BODY, f"Content-Type: {content_type}"))[0] == BODY
    page = answer_of(b"<html>", "Content-Type: text/html")
    with pytest.raises(DownloadError, match="not media"):
        from_answers(page)
    with raw_server(page) as server:
        assert content(f"{server.url}/report.html") == b"<html>"
        assert content(f"{server.url}/report.htm?a=1") == b"<html>"


# Speed


@pytest.fixture
def with_short_limits(monkeypatch: pytest.MonkeyPatch) -> SegmindConnection:
    """A connection that gives up after less than a second, and twice at most."""
    monkeypatch.setattr(downloads, "SLOWEST_WINDOW", 0.6)
    monkeypatch.setattr(downloads, "ATTEMPTS", 2)
    return connection(timeout=0.4)


@pytest.mark.parametrize(
    "answer",
    [
        trickle(b"HTTP/1.1 ", b"2"),
        trickle(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n", 0.02),
        trickle(b"HTTP/1.1 200 OK\r\nX-A: ", b"x"),
        trickle(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"x"),
        trickle(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        trickle(CHUNKED, b"1\r\nx\r\n"),
        trickle(CHUNKED, b"0"),
        trickle(CHUNKED + b"1;", b"x"),
        trickle(CHUNKED + b"1\r\nx\r\n0\r\n", b"X-A: b\r\n"),
        trickle(b"HTTP/1.1 302 Found\r\nLocation: /", b"x"),
    ],
    ids=[
        *("status", "headers", "a header", "continue", "body", "no length", "chunks", "size", "extension"),
        *("trailers", "redirect"),
    ],
)
def test_a_host_that_sends_a_little_now_and_then_does_not_hold_a_worker(
    answer: Answer, with_short_limits: SegmindConnection
) -> None:
    began = time.monotonic()
    with pytest.raises(DownloadError, match="too slow") as caught:
        from_answers(answer, by=with_short_limits)
    assert caught.value.may_resume
    assert time.monotonic() - began < 30


def test_a_silent_connection_is_left_for_another_one(with_short_limits: SegmindConnection) -> None:
    silent = trickle(WHOLE[:-100], b"")
    received, server = from_answers(silent, partial(len(BODY) - 100, len(BODY), len(BODY)), by=with_short_limits)
    assert (received, len(server.requests)) == (BODY, 2)


def test_headway_that_is_too_slow_does_not_count(with_short_limits: SegmindConnection) -> None:
    slow = trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"x")
    with raw_server(slow) as server:
        with pytest.raises(DownloadError, match="too slow"):
            content(f"{server.url}/a.mp4", by=with_short_limits)
        assert len(server.requests) == 2


def test_a_file_takes_so_long_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "LONGEST_DOWNLOAD", 1.0)
    monkeypatch.setattr(downloads, "LEAST_SPEED", 1)
    with pytest.raises(DownloadError, match=r"longer than.*req-1") as caught:
        from_answers(trickle(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 9), most_bytes=10**9)
    assert not caught.value.may_resume


def test_a_storage_may_take_its_time(with_short_limits: SegmindConnection) -> None:
    """What waits to be written is not slow to come: neither limit counts it."""
    body = bytes(400_000)
    with raw_server(answer_of(body)) as server:
        received = 0
        for piece in fetch_file(f"{server.url}/a.mp4", Download(10**6, "req-1"), with_short_limits, "req-1"):
            if not received:
                time.sleep(1.5)
            received += len(piece)
        assert (received, len(server.requests)) == (len(body), 1)


def test_a_handshake_that_takes_its_time_does_not_hold_a_worker(with_short_limits: SegmindConnection) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stopping = threading.Event()

        def serve() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=slowly, args=(listener.accept()[0],), daemon=True).start()

        def slowly(accepted: socket.socket) -> None:
            with suppress(OSError), accepted:
                accepted.sendall(b"\x16\x03\x03\x3f\xff")  # the head of a long record of a handshake
                while not stopping.wait(0.05):
                    accepted.sendall(b"\x00")

        threading.Thread(target=serve, daemon=True).start()
        try:
            began = time.monotonic()
            with pytest.raises(DownloadError, match="req-1"):
                content(f"https://127.0.0.1:{listener.getsockname()[1]}/a.mp4", by=with_short_limits)
            assert time.monotonic() - began < 30
        finally:
            stopping.set()
            listener.shutdown(socket.SHUT_RDWR)


def test_no_thread_is_left() -> None:
    before = threading.active_count()
    with raw_server(WHOLE) as server:
        abandoned = fetch_file(f"{server.url}/a.mp4", Download(10_000, "req-1"), connection(), "req-1")
        next(abandoned)
        abandoned.close()
        content(f"{server.url}/a.mp4")
    deadline = time.monotonic() + 20
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() <= before


# Certificates


class Tls:
    """A certificate authority, and its bundle in a file."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.bundle = str(folder / "ca.pem")
        self.authority.cert_pem.write_to_path(self.bundle)

    def context(self, *names: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(*names).configure_cert(context)
        return context


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return Tls(tmp_path)


@contextmanager
def tls_server(context: ssl.SSLContext, answer: bytes) -> Iterator[int]:
    """Serve one answer to each connection over TLS; yield the port."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=answered, args=(listener.accept()[0],), daemon=True).start()

    def answered(accepted: socket.socket) -> None:
        with suppress(OSError), accepted, context.wrap_socket(accepted, server_side=True) as secure:
            secure.recv(65536)
            secure.sendall(answer)
            secure.unwrap()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def test_a_certificate_is_checked_against_verify_alone(tls: Tls, names: dict[str, Any]) -> None:
    names["xn--bcher-kva.example"] = ["127.0.0.1"]
    with tls_server(tls.context("xn--bcher-kva.example"), WHOLE) as port:
        url = f"https://b\u00fccher.example:{port}/a.mp4"
        assert content(url, by=connection(verify=tls.bundle)) == BODY
        assert content(url, by=connection(verify=False)) == BODY
        with pytest.raises(DownloadError, match=r"certificate.*not trusted.*verify.*req-1") as caught:
            content(url)
    assert not caught.value.may_resume
    assert names["xn--bcher-kva.example#"] == 3, "a certificate that is not trusted is not looked at again"


def test_a_certificate_for_another_host_is_not_trusted(tls: Tls, names: dict[str, Any]) -> None:
    names["cdn.test"] = ["127.0.0.1"]
    with tls_server(tls.context("other.test"), WHOLE) as port:
        with pytest.raises(DownloadError, match=r"not trusted.*cdn\.test") as caught:
            content(f"https://cdn.test:{port}/a.mp4", by=connection(verify=tls.bundle))
        assert not caught.value.may_resume


@pytest.mark.parametrize("words", [b"", b"no certificate"])
def test_a_bundle_that_cannot_be_used_says_so(tmp_path: Path, words: bytes) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("as long as the connection is read")
    by = connection(verify=str(bundle))
    bundle.write_bytes(words)
    if not words:
        bundle.unlink()
    with pytest.raises(DownloadError, match=r"verify of the connection.*req-1"):
        content("https://8.8.8.8/a.mp4", by=by)


# Whatever else


PIECES = [
    *(b"\r\n", b":", b" ", b",", b"\x00", b"\xff", b"-1", b"0", b"*", b"chunked", b"\xb2", b"\r\n\r\n", b"416"),
    *(b"Content-Length: 7\r\n", b"Content-Encoding: gzip\r\n", b"Transfer-Encoding: chunked\r\n", b"ffffffff"),
    *(b"Location: //[\r\n", b"HTTP/1.1 100 \r\n\r\n", b"HTTP/1.1 206 \r\n", b"Content-Range: bytes 7-9/*\r\n"),
    *(bytes([each]) for each in range(0, 256, 7)),
]


def mutated(answer: bytes, chance: random.Random) -> bytes:
    """Return an answer with a few of its bytes changed, put in, cut out or cut off."""
    changed = bytearray(answer)
    for _ in range(chance.randrange(1, 5)):
        place, piece = chance.randrange(len(changed) + 1), chance.choice(PIECES)
        ends = [place, place + len(piece), place + chance.randrange(1, 30), len(changed)]
        kind = chance.randrange(4)
        changed[place : ends[kind]] = piece if kind < 2 else b""
    return bytes(changed)


FUZZED_FOR = float(os.environ.get("FUZZ_SECONDS", "2"))


def test_whatever_a_host_sends_ends_in_a_file_or_in_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "ATTEMPTS", 2)
    by = connection(timeout=1)
    samples = [
        WHOLE,
        chunks(BODY[:9], BODY[9:]),
        partial(0, 60, len(BODY), BODY, 'ETag: "v1"'),
        partial(60, len(BODY), len(BODY)),
        answer_of(gzip.compress(BODY), "Content-Encoding: gzip"),
        answer_of(b"", "Location: /b.mp4", status="302 Found"),
        answer_of(b"", f"Content-Range: bytes */{len(BODY)}", status="416 No"),
        answer_of(BODY, "Content-Type: video/mp4", length=False),
        bytes(range(256)),
    ]
    until, files, errors = time.monotonic() + FUZZED_FOR, 0, []
    for seed in range(3000):
        if seed >= 40 and time.monotonic() > until:
            break
        chance = random.Random(seed)  # noqa: S311
        answers = [mutated(chance.choice(samples), chance) for _ in range(chance.randrange(1, 4))]
        with raw_server(*answers) as server:
            try:
                content(f"{server.url}/a.mp4", by=by)
                files += 1
            except SegmindError as error:
                errors.append(str(error))
            except BaseException as error:
                raise AssertionError(f"{error!r} of the answers {answers}") from error
    assert files > 3
    assert len(errors) > 3
    assert max(map(len, errors)) < 1000
    assert all(each.isprintable() for each in errors)
