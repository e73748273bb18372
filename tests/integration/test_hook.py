"""SegmindHook over loopback: what it sends once, what it sends again, and what no answer can make it do."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.emulator.running import RunningEmulator, running_emulator
from airflow_provider_segmind.exceptions import (
    BadRequestError,
    InvalidConnectionError,
    RequestExpiredError,
    SegmindError,
    ServerError,
    SubmitUnresolvedError,
    UnreachableError,
    UnreadableResponseError,
)
from airflow_provider_segmind.hooks.segmind import SegmindAsyncHook, SegmindHook

MODEL, PARAMETERS = "fast-text-to-image", {"prompt": "a fox"}


def connect(monkeypatch: pytest.MonkeyPatch, url: str, **extra: Any) -> None:
    fields = {"conn_type": "segmind", "password": "SG_0123456789abcdef", "host": url}
    extra = {"platform_url": url, "storage_url": url, **extra}
    monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", json.dumps({**fields, "extra": extra}))


def submits(emulator: RunningEmulator) -> tuple[int, int]:
    """How often a submit was sent, and how many requests exist."""
    return emulator.requests()["endpoints"]["submit"], emulator.ledger()["submits"]


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_submit_that_was_certainly_refused_is_sent_again(emulator: RunningEmulator, status: int) -> None:
    emulator.faults({"on": "submit", "status": status, "count": 2})
    assert SegmindHook().submit(MODEL, PARAMETERS).request_id
    assert submits(emulator) == (3, 1)


def test_but_not_for_ever(emulator: RunningEmulator) -> None:
    emulator.faults({"on": "submit", "status": 503})
    with pytest.raises(ServerError):
        SegmindHook().submit(MODEL, PARAMETERS)
    assert submits(emulator) == (3, 0)


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 504},
        {"status": 504, "accepted": True},
        {"status": 524},
        {"drop": "before"},
        {"drop": "after"},
        {"drop": "midway"},
        {"missing_request_id": True},
        *({"body": body} for body in ("html", "truncated", "not_json", "list", "empty")),
        {"body": "huge", "size": 50_000_000},
        {"hang": True, "accepted": True},
    ],
    ids=lambda fault: " ".join(map(str, fault.values())),
)
def test_a_submit_without_a_clear_answer_is_never_sent_again(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any]
) -> None:
    connect(monkeypatch, emulator.url, timeout=1 if fault.get("hang") else 20)
    emulator.faults({"on": "submit", **fault})
    with pytest.raises(SubmitUnresolvedError, match="not sent again"):
        SegmindHook().submit(MODEL, PARAMETERS)
    assert submits(emulator)[0] == 1


def test_a_submit_that_never_connected_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    connect(monkeypatch, f"http://127.0.0.1:{port}")
    with pytest.raises(UnreachableError, match="Connection refused"):
        SegmindHook().submit(MODEL, PARAMETERS)
    assert "Attempt 2 of 3 failed" in caplog.text
    connect(monkeypatch, "https://no-such-host.invalid")
    with pytest.raises(UnreachableError):
        SegmindHook().submit(MODEL, PARAMETERS)


def test_a_read_is_sent_again(emulator: RunningEmulator) -> None:
    emulator.faults({"on": "credits", "drop": "before", "count": 1}, {"on": "credits", "status": 504, "count": 1})
    assert SegmindHook().get_credits().balance == 100
    assert emulator.requests()["endpoints"]["credits"] == 3


def test_slow_bodies_end_with_the_timeout(emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, emulator.url, timeout=1)
    emulator.faults({"on": "submit", "trickle": 0.3})
    with pytest.raises(SubmitUnresolvedError):
        SegmindHook().submit(MODEL, PARAMETERS)


@pytest.mark.parametrize("body", ["html", "truncated", "not_json", "list", "empty"])
def test_every_read_survives_nonsense(emulator: RunningEmulator, body: str) -> None:
    emulator.faults({"on": "any", "body": body})
    hook = SegmindHook()
    for read in (
        lambda: hook.get_status("abc"),
        lambda: hook.get_result("abc"),
        hook.get_credits,
        hook.get_history,
        lambda: hook.get_history_entry("abc"),
        lambda: hook.upload(["data:image/png;base64,AA=="]),
    ):
        with pytest.raises(SegmindError):
            read()


def test_an_endless_body_is_not_read_to_its_end(emulator: RunningEmulator) -> None:
    emulator.faults({"on": "credits", "body": "huge", "size": 50_000_000})
    with pytest.raises(UnreadableResponseError, match="too large after 65536 bytes"):
        SegmindHook().get_credits()


def test_the_account_the_history_and_the_catalogue(emulator: RunningEmulator) -> None:
    hook = SegmindHook()
    request_id = hook.submit(MODEL, PARAMETERS).request_id
    emulator.advance(60)
    assert hook.get_status(request_id).completed
    assert hook.get_result(request_id).body["output"]
    assert hook.get_credits().balance < 100
    today = datetime.now(UTC).date()
    (entry,) = hook.get_history(model=MODEL, from_date=today, to_date=today).entries
    assert entry == hook.get_history_entry(request_id)
    assert (entry.request_id, entry.state, entry.parameters) == (request_id, "COMPLETED", PARAMETERS)
    assert entry.output_urls
    assert {model.slug: model.retired for model in hook.get_models()}["kling-o1-image-to-video"] is False
    with pytest.raises(RequestExpiredError):
        hook.get_status("00000000-0000-0000-0000-000000000000")


def test_test_connection_is_free_and_says_what_is_wrong(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SegmindHook().test_connection() == (True, "Segmind accepts the API key. Balance: 100.00 USD.")
    emulator.revoke_key(emulator.api_key)
    works, message = SegmindHook().test_connection()
    assert not works
    assert "did not accept the API key" in message
    assert emulator.api_key not in message
    emulator.restore_key(emulator.api_key)
    assert emulator.ledger()["submits"] == 0
    monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", '{"conn_type": "segmind"}')
    assert SegmindHook().test_connection()[0] is False


def test_a_connection_that_cannot_be_used_is_told_before_any_http(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {"conn_type": "segmind", "password": "SG_1", "extra": {"timeout": -1}}
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(fields))
    with pytest.raises(InvalidConnectionError, match="timeout of the connection 'other'"):
        SegmindHook("other").get_credits()


class _Talk(BaseHTTPRequestHandler):
    """Answers as the server was told, and remembers what it was sent."""

    server: Any

    def _answer(self) -> None:
        self.server.seen.append(dict(self.headers))
        status, headers, body = self.server.answer(self)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer  # noqa: N815 - as http.server calls them

    def log_message(self, *arguments: Any) -> None:
        pass


@contextmanager
def server(answer: Any) -> Iterator[tuple[str, list[dict[str, str]]]]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Talk) as listening:
        listening.seen, listening.answer = [], answer  # type: ignore[attr-defined]
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}", listening.seen  # type: ignore[attr-defined]
        listening.shutdown()


def test_the_key_does_not_follow_a_redirect(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        server(lambda request: (200, {}, b'{"credits": 1}')) as (elsewhere, stolen),
        server(lambda request: (302, {"Location": f"{elsewhere}/"}, b"")) as (url, _),
    ):
        connect(monkeypatch, url)
        with pytest.raises(BadRequestError, match="redirected to"):
            SegmindHook().get_credits()

        async def ask() -> None:
            async with SegmindAsyncHook() as hook:
                await hook.send(calls.credits())

        with pytest.raises(BadRequestError, match="redirected to"):
            asyncio.run(ask())
        assert stolen == []


@pytest.mark.parametrize("location", ["http://[bad", "\xff", "/elsewhere"])
def test_a_redirect_of_a_submit_is_an_answer(monkeypatch: pytest.MonkeyPatch, location: str) -> None:
    with server(lambda request: (302, {"Location": location}, b"moved")) as (url, seen):
        connect(monkeypatch, url)
        with pytest.raises(BadRequestError, match="redirected to"):
            SegmindHook().submit(MODEL, PARAMETERS)
    assert len(seen) == 1


@pytest.mark.parametrize("page", ["<![foo[", "<html><![endif", "<script>"])
def test_no_error_page_can_break_its_reader(monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    with server(lambda request: (504, {"x-request-id": "r9"}, page.encode())) as (url, _):
        connect(monkeypatch, url)
        with pytest.raises(SubmitUnresolvedError, match="r9"):
            SegmindHook().submit(MODEL, PARAMETERS)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_submit_lost_behind_a_proxy_is_never_sent_again(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """A proxy that takes the whole request and then hangs up: for https inside a tunnel that it opened."""
    taken = []

    def take_and_drop() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                request = connection.recv(65536)
                if request.startswith(b"CONNECT"):
                    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    request = connection.recv(65536)
                taken.append(request)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=take_and_drop, daemon=True).start()
        proxies = {scheme: f"http://user:s3cret@127.0.0.1:{listener.getsockname()[1]}"}
        connect(monkeypatch, f"{scheme}://gateway.example", proxies=proxies)
        with pytest.raises(SubmitUnresolvedError) as caught:
            SegmindHook().submit(MODEL, PARAMETERS)
    assert len(taken) == 1
    assert "s3cret" not in str(caught.value)


def test_only_a_worker_submits(emulator: RunningEmulator) -> None:
    async def submit() -> None:
        async with SegmindAsyncHook() as hook:
            await hook.send(calls.submit(MODEL, PARAMETERS))

    with pytest.raises(RuntimeError, match="only a worker"):
        asyncio.run(submit())
    assert submits(emulator) == (0, 0)


def test_a_login_of_netrc_is_not_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with server(lambda request: (200, {}, b'{"credits": 1}')) as (url, seen):
        connect(monkeypatch, url)
        SegmindHook().get_credits()

        async def ask() -> None:
            async with SegmindAsyncHook() as hook:
                await hook.send(calls.credits())

        asyncio.run(ask())
    for headers in seen:
        assert "Authorization" not in headers
        assert headers["x-api-key"] == "SG_0123456789abcdef"


def test_a_key_that_segmind_repeats_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(lambda request: (401, {}, f"bad key {request.headers['x-api-key']}".encode())) as (url, _):
        connect(monkeypatch, url)
        with pytest.raises(SegmindError) as caught:
            SegmindHook().get_credits()
    assert "SG_0123456789abcdef" not in str(caught.value)
    assert "bad key ***" in str(caught.value)


def test_tls_is_checked_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)

    async def balance() -> float:
        async with SegmindAsyncHook() as hook:
            return (await hook.send(calls.credits())).balance

    with running_emulator(ssl_context=context) as emulator:
        connect(monkeypatch, emulator.url)
        with pytest.raises(UnreachableError, match=r"(?i)certificate"):
            SegmindHook().submit(MODEL, PARAMETERS)
        with pytest.raises(UnreachableError, match=r"(?i)certificate"):
            asyncio.run(balance())
        assert emulator.ledger()["submits"] == 0
        for verify in (str(bundle), False):
            connect(monkeypatch, emulator.url, verify=verify)
            assert SegmindHook().get_credits().balance == 100
            assert asyncio.run(balance()) == 100


def test_a_proxy_is_used(emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(lambda request: (200, {}, json.dumps({"credits": 7}).encode())) as (proxy, seen):
        connect(monkeypatch, "http://gateway.example", proxies={"http": proxy})
        assert SegmindHook().get_credits().balance == 7

        async def balance() -> float:
            async with SegmindAsyncHook() as hook:
                return (await hook.send(calls.credits())).balance

        assert asyncio.run(balance()) == 7
    assert [headers["Host"] for headers in seen] == ["gateway.example"] * 2


def test_the_async_hook_says_how_it_wants_to_be_used() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        asyncio.run(SegmindAsyncHook().send(calls.credits()))
