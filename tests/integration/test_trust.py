"""Which certificates both transports trust, what they do through proxies, and what they show of a login."""

from __future__ import annotations

import base64
import socket
import ssl
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import certifi
import pytest
import trustme
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.follow import FollowedRequest
from airflow_provider_segmind.api.unresolved_submit import UnresolvedSubmit
from airflow_provider_segmind.delivery import Memory, task_failure
from airflow_provider_segmind.emulator.running import RunningEmulator, running_emulator
from airflow_provider_segmind.exceptions import (
    InvalidConnectionError,
    NoAnswerError,
    SegmindError,
    UnreachableError,
    UntrustedCertificateError,
)
from airflow_provider_segmind.hooks import tls
from airflow_provider_segmind.hooks.segmind import SegmindHook
from airflow_provider_segmind.triggers.unresolved_submit import SegmindUnresolvedSubmitTrigger
from tests.integration.test_transport import Send, connect, in_the_worker, send
from tests.integration.test_waiting import in_the_triggerer as triggered
from tests.integration.test_waiting import in_the_worker as waited
from tests.proxy_server import proxy_server
from tests.raw_server import answer_of, raw_server, trickle

__all__ = ["send"]

MODEL, PARAMETERS = "fast-text-to-image", {"prompt": "a fox"}
CREDITS = calls.credits()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def _behind_tls(authority: trustme.CA) -> Iterator[RunningEmulator]:
    with running_emulator(latency=0.1, ssl_context=server_context(authority, "127.0.0.1")) as running:
        yield running


@pytest.fixture
def emulator(_behind_tls: RunningEmulator) -> RunningEmulator:
    """A Segmind behind TLS, without a past, whose certificate comes from a private authority."""
    _behind_tls.reset()
    return _behind_tls


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> Path:
    return bundle_of(authority, tmp_path / "ca.pem")


def server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    return context


def bundle_of(authority: trustme.CA, path: Path) -> Path:
    authority.cert_pem.write_to_path(path)
    return path


def port_of(url: str) -> str:
    return url.rpartition(":")[2]


def test_what_certifi_trusts_is_trusted(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, send: Send, bundle: Path
) -> None:
    monkeypatch.setattr(certifi, "where", lambda: str(bundle))
    connect(monkeypatch, emulator.url)
    assert send(CREDITS).balance == 100


def test_what_the_system_trusts_is_trusted(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, send: Send, bundle: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    connect(monkeypatch, emulator.url)
    assert send(CREDITS).balance == 100


def test_a_bundle_of_the_connection_is_all_that_is_trusted(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, send: Send, bundle: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(certifi, "where", lambda: str(bundle))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    other = bundle_of(trustme.CA(), tmp_path / "other.pem")
    connect(monkeypatch, emulator.url, verify=str(other))
    with pytest.raises(UntrustedCertificateError):
        send(CREDITS)
    connect(monkeypatch, emulator.url, verify=str(bundle))
    assert send(CREDITS).balance == 100


def test_a_folder_of_the_connection_is_all_that_is_trusted(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, send: Send, tmp_path: Path
) -> None:
    # A name as `openssl rehash` gives it: of another certificate than the one that is needed.
    (tmp_path / "0123abcd.0").write_bytes(trustme.CA().cert_pem.bytes())
    connect(monkeypatch, emulator.url, verify=str(tmp_path))
    with pytest.raises(UntrustedCertificateError):
        send(CREDITS)


def test_a_bundle_without_a_certificate_is_the_connections_fault(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, send: Send, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text("half a certif")
    connect(monkeypatch, emulator.url, verify=str(tmp_path / "ca.pem"))
    with pytest.raises(InvalidConnectionError, match="verify of the connection 'segmind_default' cannot be used"):
        send(CREDITS)


def test_nothing_is_verified_if_the_connection_says_so(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, send: Send, caplog: pytest.LogCaptureFixture
) -> None:
    """With one warning for each connection of a process, and none for each call."""
    monkeypatch.setattr(tls, "_warned_of", set())
    connect(monkeypatch, emulator.url, verify=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            assert send(CREDITS).balance == 100
    remarks = [record for record in caplog.records if "not verified" in record.getMessage()]
    assert len(remarks) == 1
    assert "'segmind_default'" in remarks[0].getMessage()


def test_an_untrusted_certificate_is_never_tried_again(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, send: Send, caplog: pytest.LogCaptureFixture
) -> None:
    connect(monkeypatch, emulator.url)
    with pytest.raises(UntrustedCertificateError, match=r"`verify` in the extra of the connection") as caught:
        send(CREDITS)
    assert f"127.0.0.1:{port_of(emulator.url)}" in str(caught.value)
    assert "may still be running" not in str(caught.value)
    with pytest.raises(UntrustedCertificateError) as caught:
        SegmindHook().submit(MODEL, PARAMETERS)
    assert "Attempt" not in caplog.text, "it was not tried again"
    assert emulator.ledger()["submits"] == 0
    assert isinstance(task_failure(caught.value, memory=Memory.CLEARS), AirflowFailException)


@pytest.mark.parametrize("wait", [waited, triggered], ids=lambda wait: wait.__name__)
def test_a_wait_ends_with_it(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, bundle: Path, wait: Any
) -> None:
    connect(monkeypatch, emulator.url, verify=str(bundle))
    request_id = SegmindHook().submit(MODEL, PARAMETERS).request_id
    connect(monkeypatch, emulator.url)
    now = time.time()
    with pytest.raises(UntrustedCertificateError, match="may still be running") as caught:
        wait(FollowedRequest(request_id, now, now + 3600, poll_interval=0.1))
    assert caught.value.request_id == request_id
    assert request_id in str(caught.value)


async def test_the_search_for_an_unresolved_submit_ends_with_it(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, emulator.url)
    now = time.time()
    submit = UnresolvedSubmit(MODEL, "f", sent_at=now, accepted_by=now, search_from=now, search_until=now + 3600)
    trigger = SegmindUnresolvedSubmitTrigger("segmind_default", submit.as_json())
    (event,) = [event.payload async for event in trigger.run()]
    assert event["error"]["type"] == "UntrustedCertificateError"


@pytest.mark.parametrize("proxied", [False, True], ids=["direct", "tunnel"])
def test_the_certificate_has_to_be_of_the_host(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, send: Send, bundle: Path, proxied: bool
) -> None:
    with (
        running_emulator(ssl_context=server_context(authority, "other.example")) as segmind,
        proxy_server(segmind.url) as proxy,
    ):
        proxies = {"proxies": {"https": proxy.url}} if proxied else {}
        connect(monkeypatch, segmind.url, verify=str(bundle), **proxies)
        with pytest.raises(UntrustedCertificateError, match=r"(?i)not valid for '127\.0\.0\.1'") as caught:
            send(CREDITS)
        assert f"127.0.0.1:{port_of(segmind.url)}" in str(caught.value)
        connect(monkeypatch, segmind.url, verify=False, **proxies)
        assert send(CREDITS).balance == 100


def test_an_untrusted_certificate_behind_a_proxy(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, send: Send
) -> None:
    with proxy_server(emulator.url) as proxy:
        connect(monkeypatch, "https://gateway.example", proxies={"https": proxy.url})
        with pytest.raises(UntrustedCertificateError, match=r"gateway\.example"):
            send(CREDITS)


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_proxy_that_speaks_tls_has_to_be_trusted_too(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, send: Send, bundle: Path, scheme: str
) -> None:
    context = server_context(authority, "127.0.0.1")
    with (
        running_emulator(ssl_context=context if scheme == "https" else None) as segmind,
        proxy_server(segmind.url, context) as proxy,
    ):
        proxies = {scheme: proxy.url.replace("//", "//user:s3cret@")}
        connect(monkeypatch, segmind.url, proxies=proxies)
        with pytest.raises(UntrustedCertificateError) as caught:
            send(CREDITS)
        assert f"127.0.0.1:{port_of(proxy.url)}" in str(caught.value), "it is the proxy's"
        assert "s3cret" not in str(caught.value)
        assert not proxy.heads
        with pytest.raises(UntrustedCertificateError):
            in_the_worker(calls.submit(MODEL, PARAMETERS))
        for verify in (str(bundle), False):
            connect(monkeypatch, segmind.url, proxies=proxies, verify=verify)
            assert send(CREDITS).balance == 100
        assert len(proxy.heads) == 2


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(("name", "password"), [("user", "s3cret"), ("us er", "p@ss/w:rd#é%"), ("token", "")])
def test_a_login_reaches_the_proxy(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, send: Send, scheme: str, name: str, password: str
) -> None:
    login = f"{quote(name, safe='')}:{quote(password, safe='')}@"
    encoded = base64.b64encode(f"{name}:{password}".encode("latin-1"))
    with running_emulator() as plain, proxy_server(plain.url if scheme == "http" else emulator.url) as proxy:
        target = plain.url if scheme == "http" else emulator.url
        connect(monkeypatch, target, verify=False, proxies={scheme: proxy.url.replace("//", f"//{login}")})
        assert send(CREDITS).balance == 100
    assert b"Proxy-Authorization: Basic " + encoded in proxy.heads[0]
    if scheme == "https":
        assert b"x-api-key" not in proxy.heads[0]


@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "403 Forbidden", "502 Bad Gateway"])
def test_a_refused_tunnel_means_that_nothing_was_sent(
    monkeypatch: pytest.MonkeyPatch, send: Send, status: str
) -> None:
    with raw_server(answer_of(b"no", status=status)) as proxy:
        connect(monkeypatch, "https://gateway.example", proxies={"https": proxy.url})
        for sending, call in ((send, CREDITS), (in_the_worker, calls.submit(MODEL, PARAMETERS))):
            with pytest.raises(UnreachableError, match=status[:3]) as caught:
                sending(call)
            assert type(caught.value) is UnreachableError


def test_a_refused_login_without_a_tunnel_means_the_same(monkeypatch: pytest.MonkeyPatch, send: Send) -> None:
    with raw_server(answer_of(b"no", status="407 Proxy Authentication Required")) as proxy:
        connect(monkeypatch, "http://gateway.example", proxies={"http": proxy.url})
        for sending, call in ((send, CREDITS), (in_the_worker, calls.submit(MODEL, PARAMETERS))):
            with pytest.raises(UnreachableError, match="407") as caught:
                sending(call)
            assert type(caught.value) is UnreachableError
            assert "proxies of the connection" in str(caught.value)


def test_a_407_of_segmind_itself_is_an_answer(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, send: Send
) -> None:
    with raw_server(answer_of(b"no", status="407 Proxy Authentication Required")) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(SegmindError) as caught:
            send(CREDITS)
    assert not isinstance(caught.value, UnreachableError)


REPEATING = ("no tunnel", "echo")
PASSWORDS = [
    "s3cret",
    "s3/cret",
    "s3@cret",
    "s3cret#",
    "s3 cret",
    "s3%40cret",
    "s3\\cret'\"",
    "s3:cret",
    "s3?cret",
]
# Hosts that write a login back get every password. With the other faults, most passwords are for `make test-long`.
LOGINS_AND_FAULTS = [
    pytest.param(
        password, fault, marks=() if fault in REPEATING or password in PASSWORDS[2::3] else (pytest.mark.long,)
    )
    for fault in (*REPEATING, "refused", "not TLS", "no port", "no host", "silence")
    for password in PASSWORDS
]


@pytest.mark.parametrize(("password", "fault"), LOGINS_AND_FAULTS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_error_shows_the_login_of_a_proxy(
    monkeypatch: pytest.MonkeyPatch, send: Send, password: str, scheme: str, fault: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    login = f"user:{password}"
    basic = base64.b64encode(login.encode()).decode()
    answers = {
        "no tunnel": answer_of(b"", status=f"407 not {login} nor {basic}"),
        "echo": f"HTTP/1.1 4x7 {login} {basic}\r\n\r\n".encode(),
        "silence": trickle(b"", b""),
    }
    with raw_server(answers.get(fault, b"")) as proxy:
        port = port_of(proxy.url)
        proxies = {"refused": f"127.0.0.1:{closed}", "no port": "127.0.0.1:99999", "no host": ""}
        proxy_scheme = "https" if fault == "not TLS" else "http"
        address = f"{proxy_scheme}://{login}@{proxies.get(fault, f'127.0.0.1:{port}')}"
        connect(
            monkeypatch,
            f"{scheme}://gateway.example",
            proxies={scheme: address},
            timeout=0.2 if fault in ("silence", "not TLS") else 30,
        )
        with pytest.raises(SegmindError) as caught:
            send(CREDITS)
    logged = "".join(traceback.format_exception(caught.value))
    for secret in (password, quote(password), quote(password, safe=""), repr(password)[1:-1], basic):
        assert secret not in logged


def test_a_call_that_left_was_not_refused_by_the_proxy(monkeypatch: pytest.MonkeyPatch, send: Send) -> None:
    """Garbage in place of an answer, without a tunnel: the proxy may have forwarded the call."""
    with raw_server(b"what?\r\n\r\n") as proxy:
        connect(monkeypatch, "http://gateway.example", proxies={"http": proxy.url})
        with pytest.raises(NoAnswerError):
            send(CREDITS)
