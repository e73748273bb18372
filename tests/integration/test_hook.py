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
from urllib.parse import urlsplit

import pytest
import trustme

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.emulator.running import RunningEmulator, running_emulator
from airflow_provider_segmind.exceptions import (
    AuthenticationError,
    BadRequestError,
    InvalidConnectionError,
    RequestExpiredError,
    SegmindError,
    ServerError,
    SubmitUnresolvedError,
    UnreachableError,
    UnreadableResponseError,
    UntrustedCertificateError,
)
from airflow_provider_segmind.hooks.segmind import SegmindAsyncHook, SegmindHook
from tests.raw_server import answer_of, raw_server

MODEL, PARAMETERS = "fast-text-to-image", {"prompt": "a fox"}


def connect(monkeypatch: pytest.MonkeyPatch, url: str, **extra: Any) -> None:
    fields = {"conn_type": "segmind", "password": "SG_0123456789abcdef", "host": url}
    extra = {"platform_url": url, "storage_url": url, **extra}
    monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", json.dumps({**fields, "extra": extra}))


def submits(emulator: RunningEmulator) -> tuple[int, int]:
    """How often a submit was sent, and how many requests exist."""
    return emulator.requests()["endpoints"]["submit"], emulator.ledger()["submits"]


@pytest.mark.parametrize("status", [500, 503])
def test_a_submit_that_segmind_itself_could_not_serve_is_sent_again(
    emulator: RunningEmulator, status: int
) -> None:
    emulator.faults({"on": "submit", "status": status, "count": 1})
    assert SegmindHook().submit(MODEL, PARAMETERS).request_id
    assert submits(emulator) == (2, 1)


def test_but_not_for_ever(emulator: RunningEmulator) -> None:
    emulator.faults({"on": "submit", "status": 503})
    with pytest.raises(ServerError):
        SegmindHook().submit(MODEL, PARAMETERS)
    assert submits(emulator) == (2, 0)


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 504},
        {"status": 504, "accepted": True},
        {"status": 524},
        {"status": 502},
        {"status": 502, "accepted": True},
        {"status": 503, "body": "html", "accepted": True},
        {"status": 500, "body": "empty", "accepted": True},
        {"status": 503, "json": {"message": "Service Unavailable"}, "accepted": True},
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
    works, message = SegmindHook().test_connection()
    assert works
    assert message == (
        "Segmind accepts the API key. Balance: 100.00 USD. The request history and uploads work, too."
    )
    emulator.revoke_key(emulator.api_key)
    works, message = SegmindHook().test_connection()
    assert not works
    assert "did not accept the API key" in message
    assert emulator.api_key not in message
    emulator.restore_key(emulator.api_key)
    assert emulator.ledger()["submits"] == 0
    monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", '{"conn_type": "segmind"}')
    assert SegmindHook().test_connection()[0] is False


@pytest.mark.parametrize(
    ("endpoint", "status", "field"),
    [
        ("credits", 401, "host"),
        ("history", 403, "platform_url"),
        ("history", 404, "platform_url"),
        ("upload", 404, "storage_url"),
        ("upload", 502, "storage_url"),
    ],
)
def test_test_connection_says_which_address_failed(
    endpoint: str, status: int, field: str, emulator: RunningEmulator
) -> None:
    emulator.faults({"on": endpoint, "status": status})
    works, message = SegmindHook().test_connection()
    assert not works
    assert message.startswith(f"{field} is {emulator.url}")
    assert f"HTTP {status}" in message
    assert message.count(" failed: ") == 1
    assert ("Balance: 100.00 USD" in message) is (endpoint != "credits")


@pytest.mark.parametrize("field", ["platform_url", "storage_url"])
def test_test_connection_tries_each_address(
    field: str, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, emulator.url, **{field: "http://127.0.0.1:9"})
    works, message = SegmindHook().test_connection()
    assert not works
    assert message.startswith(f"{field} is http://127.0.0.1:9, and it failed: ")


def test_test_connection_uploads_nothing_and_pays_nothing(emulator: RunningEmulator) -> None:
    SegmindHook().test_connection()
    asked = emulator.requests()["endpoints"]
    assert {name: count for name, count in asked.items() if count} == {"credits": 1, "history": 1, "upload": 1}
    assert (emulator.ledger()["submits"], emulator.ledger()["balance"]) == (0, 100)


@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "localhost:{port}", "127.0.0.1:{port}/http"])
def test_a_uri_without_a_scheme_is_enough_for_an_emulator(
    address: str, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"segmind://:{emulator.api_key}@" + address.format(port=urlsplit(emulator.url).port)
    monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", uri)
    hook = SegmindHook()
    works, message = hook.test_connection()
    assert works, message
    (url,) = hook.upload(["data:image/png;base64,aGk="])
    assert url.startswith(("http://127.0.0.1", "http://localhost"))
    assert hook.get_history().entries == ()
    assert hook.submit("mock-text", {"prompt": "hello"}).request_id
    assert emulator.requests()["endpoints"]["upload"] == 2


def test_https_where_only_http_is_spoken_says_what_to_write(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, emulator.url.replace("http:", "https:"))
    works, message = SegmindHook().test_connection()
    assert not works
    assert "for plain http, write http:// before the host" in message


def test_a_connection_that_cannot_be_used_is_reported_before_any_http(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {"conn_type": "segmind", "password": "SG_1", "extra": {"timeout": -1}}
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(fields))
    with pytest.raises(InvalidConnectionError, match="timeout of the connection 'other'"):
        SegmindHook("other").get_credits()


class _Talk(BaseHTTPRequestHandler):
    """Answers as the server was it is set up, and remembers what it was sent."""

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
        connect(monkeypatch, f"{scheme}://gateway.example", proxies=proxies, allow_insecure_http=True)
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


def ask_both(problem: type[SegmindError]) -> list[str]:
    """Ask for the balance on a worker and in the triggerer, and return what both say is wrong."""

    async def ask() -> None:
        async with SegmindAsyncHook() as hook:
            await hook.send(calls.credits())

    with pytest.raises(problem) as on_worker:
        SegmindHook().get_credits()
    with pytest.raises(problem) as in_triggerer:
        asyncio.run(ask())
    return [str(on_worker.value), str(in_triggerer.value)]


@pytest.mark.parametrize(
    "written",
    ["\\u0053\\u0047_0123456789abcdef", "SG\\u005F0123456789abcde\\u0066", "%53G%5f0123456789abcdef"],
)
def test_nor_if_it_is_escaped(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    body = f'{{"error": "bad key {written}."}}'.encode()
    answer = answer_of(body, "Content-Type: application/json", status="401 Unauthorized")
    with raw_server(answer) as running:
        connect(monkeypatch, running.url)
        for said in ask_both(AuthenticationError):
            assert "bad key *** (HTTP 401)" in said


def test_the_password_of_another_connection_is_not_sent_to_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(answer_of(b'{"credits": 1}')) as running:
        fields = {"conn_type": "http", "password": "hunter2-hunter2", "host": running.url}
        monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", json.dumps(fields))
        for said in ask_both(InvalidConnectionError):
            assert "must be 'segmind', but it has the type 'http'" in said
        with pytest.raises(InvalidConnectionError):
            SegmindHook().submit(MODEL, PARAMETERS)
    assert running.requests == []


def test_nothing_is_submitted_through_a_proxy_that_the_triggerer_cannot_use(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "socks5h://user:hunter2-hunter2@127.0.0.1:1080")
    monkeypatch.setenv("NO_PROXY", "segmind.com")
    with pytest.raises(InvalidConnectionError, match="SOCKS") as caught:
        SegmindHook().submit(MODEL, PARAMETERS)
    assert "hunter2" not in str(caught.value)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert SegmindHook().submit(MODEL, PARAMETERS).request_id
    assert submits(emulator) == (1, 1)


def test_test_connection_names_unknown_keys(emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, emulator.url, time_out=5)
    works, message = SegmindHook().test_connection()
    assert works
    assert "'time_out'; did you mean 'timeout'?" in message
    emulator.revoke_key(emulator.api_key)
    works, message = SegmindHook().test_connection()
    emulator.restore_key(emulator.api_key)
    assert not works
    assert "'time_out'; did you mean 'timeout'?" in message


def test_tls_is_checked_unless_switched_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
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
        with pytest.raises(UntrustedCertificateError, match="not trusted"):
            SegmindHook().submit(MODEL, PARAMETERS)
        with pytest.raises(UntrustedCertificateError, match="not trusted"):
            asyncio.run(balance())
        assert emulator.ledger()["submits"] == 0
        for verify in (str(bundle), False):
            connect(monkeypatch, emulator.url, verify=verify)
            assert SegmindHook().get_credits().balance == 100
            assert asyncio.run(balance()) == 100


def test_a_proxy_is_used(emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(lambda request: (200, {}, json.dumps({"credits": 7}).encode())) as (proxy, seen):
        connect(monkeypatch, "http://gateway.example", proxies={"http": proxy}, allow_insecure_http=True)
        assert SegmindHook().get_credits().balance == 7

        async def balance() -> float:
            async with SegmindAsyncHook() as hook:
                return (await hook.send(calls.credits())).balance

        assert asyncio.run(balance()) == 7
    assert [headers["Host"] for headers in seen] == ["gateway.example"] * 2


def test_the_async_hook_says_how_it_wants_to_be_used() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        asyncio.run(SegmindAsyncHook().send(calls.credits()))
