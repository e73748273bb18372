"""The API key and the passwords of proxies, however a server or a library writes them."""

from __future__ import annotations

import base64
import html
import json
import time
from typing import Any
from urllib.parse import unquote

import pytest

from airflow_provider_segmind.hooks.causes import Secrets
from airflow_provider_segmind.hooks.connection import SegmindConnection, read_connection

KEY = "SG_0123456789abcdef"
OTHER_KEYS = ('a"b\\c/d.e+f', "sk-Live_9%41&#65;x", "~!@#$^*()=|{}[];:',?<>")


def connection(key: str = KEY, **extra: Any) -> SegmindConnection:
    return read_connection("c", password=key, host=None, extra=extra)


def escaped(text: str, form: str, numbers: range | None = None) -> str:
    return "".join(
        form.format(ord(character)) if numbers is None or index in numbers else character
        for index, character in enumerate(text)
    )


@pytest.mark.parametrize("key", [KEY, *OTHER_KEYS])
@pytest.mark.parametrize("form", ["\\u{:04x}", "\\u{:04X}"])
@pytest.mark.parametrize("numbers", [None, range(1), range(2, 3), range(3, 9)])
def test_json_escapes_of_the_key(key: str, form: str, numbers: range | None) -> None:
    inner = "".join(
        form.format(ord(character)) if numbers is None or index in numbers else json.dumps(character)[1:-1]
        for index, character in enumerate(key)
    )
    body = f'{{"error": "bad key {inner}.", "n": [1, "\\\\ \\n \\u00e9"]}}'.encode()
    assert json.loads(body)["error"] == f"bad key {key}."
    assert json.loads(connection(key).redact(body)) == {"error": "bad key ***.", "n": [1, "\\ \n é"]}


@pytest.mark.parametrize("key", [KEY, *OTHER_KEYS])
def test_a_key_in_json_in_json(key: str) -> None:
    """The request history holds a request's body as text; the official client shows Python literals there."""
    body = json.dumps({"request_body": json.dumps({"key": key}), "literal": repr({"key": key})}).encode()
    redacted = json.loads(connection(key).redact(body))
    assert json.loads(redacted["request_body"]) == {"key": "***"}
    assert key not in redacted["literal"]
    twice = json.dumps({"a": escaped(f'"{KEY}"', "\\u{:04x}", range(1, 20))}).encode()
    assert json.loads(json.loads(connection().redact(twice))["a"]) == "***"


def test_escapes_of_python() -> None:
    body = escaped(f"key {KEY}", "\\x{:02x}").encode()
    assert connection().redact(body).endswith(b"***")


@pytest.mark.parametrize("key", [KEY, *OTHER_KEYS])
def test_percent_encoding_of_the_key(key: str) -> None:
    for form in ("%{:02x}", "%{:02X}", "%25{:02x}"):
        for numbers in (None, range(2), range(5, 6)):
            inner = escaped(key, form, numbers)
            redacted = connection(key).redact(f"https://x/?key={inner}&b=1".encode()).decode()
            assert redacted == "https://x/?key=***&b=1", unquote(inner)


def test_html_entities_of_the_key() -> None:
    for form in ("&#{};", "&#0{};", "&#x{:x};", "&#X{:04X};"):
        inner = escaped(KEY, form)
        assert html.unescape(inner) == KEY
        assert connection().redact(f"<p>{inner}</p>".encode()) == b"<p>***</p>"


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "user:"])
@pytest.mark.parametrize("after", ["", ":", "::", "xyz"])
def test_base64_of_the_key(before: str, after: str) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode((before + KEY + after).encode())
        redacted = connection().redact(b"Basic " + encoded)
        assert b"***" in redacted
        assert encoded[4:-4] not in redacted


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_other_unicodes(encoding: str) -> None:
    body = json.dumps({"error": f"bad {KEY}"}).encode(encoding)
    assert json.loads(body)["error"] == f"bad {KEY}"
    assert json.loads(connection().redact(body)) == {"error": "bad ***"}


def test_all_else_stays_as_it_is() -> None:
    body = json.dumps({"a": "\\u0053G_ \\ % %53 &#83; é\n", "b": "SG_0123456789abcde", "c": "\u2028"}).encode()
    assert connection().redact(body) == body
    assert connection().redact(bytes(range(256))) == bytes(range(256))


@pytest.mark.parametrize("piece", [b"\\", b"\\\\u005", b"%", b"%25", b"&#", b"&#0", b"SG_", b"\\u0053", b"S%47_"])
def test_no_body_takes_long(piece: bytes) -> None:
    body = piece * (4_000_000 // len(piece))
    redacted = connection()
    started = time.process_time()
    redacted.redact(body)
    assert time.process_time() - started < 30  # a quadratic search would take hours


def test_texts_hold_no_password_of_a_proxy() -> None:
    proxied = connection(proxies={"https": "http://user:pa%2Fss%40word@proxy.example:3128"})
    login = base64.b64encode(b"user:pa/ss@word").decode()
    for form in ("pa%2Fss%40word", "pa/ss@word", "pa/ss%40word", login):
        assert proxied.redact_text(f"407 for {form}!") == "407 for ***!"
    assert proxied.redact_text(f"key {KEY}, {escaped(KEY, '%{:02x}')}") == "key ***, ***"


@pytest.mark.parametrize("login", ["user:pa%2Fss%40word", "us%20er:pw", "token-of-a-proxy"])
def test_errors_hide_all_that_logs_hide(login: str) -> None:
    proxy = f"http://{login}@proxy.example:3128"
    proxied = connection(proxies={"https": proxy})
    secrets = Secrets(proxied, [proxy])
    assert {KEY, login} <= set(proxied.secrets)
    for secret in (*proxied.secrets, escaped(KEY, "\\u{:04x}"), escaped(KEY, "%{:02x}")):
        assert secrets.mask(f"407 for {secret}!") == "407 for ***!"


def test_nothing_shows_a_secret() -> None:
    proxied = connection(proxies={"https": "http://user:hunter2-hunter2@proxy.example"})
    for shown in (repr(proxied), str(proxied), f"{proxied}", repr([proxied])):
        assert KEY not in shown
        assert "hunter2" not in shown
    assert KEY in proxied.secrets
    assert "hunter2-hunter2" in proxied.secrets
