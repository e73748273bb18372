"""What a connection says, and what is wrong with one that cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import certifi
import pytest

from airflow_provider_segmind import __version__
from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.call import Service
from airflow_provider_segmind.exceptions import InvalidConnectionError
from airflow_provider_segmind.hooks.connection import SegmindConnection, connection_from_key, read_connection
from tests.shown import everything_shown

pytestmark = pytest.mark.usefixtures("no_proxies")

KEY = "SG_0123456789abcdef"


def read(**fields: Any) -> SegmindConnection:
    return read_connection("segmind_eu", **{"password": KEY, "host": None, "extra": {}, **fields})


def test_a_key_is_enough() -> None:
    connection = connection_from_key(KEY)
    assert connection.url(calls.status("r1")) == "https://api.segmind.com/v2/requests/r1/status"
    assert connection.url(calls.models()) == ("https://api.spotprod.segmind.com/inference-model-information/list")
    assert connection.url(calls.upload(["data:,"])) == "https://workflows-api.segmind.com/upload-asset"
    assert (connection.timeout, connection.verify, connection.requests_per_minute) == (30, True, None)


@pytest.mark.parametrize(
    ("fields", "gateway"),
    [
        ({"host": ""}, "https://api.segmind.com"),
        ({"host": "gateway.example"}, "https://gateway.example"),
        ({"host": "gateway.example/"}, "https://gateway.example"),
        ({"host": "127.0.0.1:8088"}, "http://127.0.0.1:8088"),
        ({"host": "127.0.0.1", "port": 8088}, "http://127.0.0.1:8088"),
        ({"host": "127.0.0.1", "port": 8088, "schema": "https"}, "https://127.0.0.1:8088"),
        ({"host": "localhost."}, "http://localhost"),
        ({"host": "127.8.9.10"}, "http://127.8.9.10"),
        ({"host": "gateway.example", "port": "8443"}, "https://gateway.example:8443"),
        ({"host": "gateway.example:8443", "port": 8443}, "https://gateway.example:8443"),
        ({"host": "HTTPS://Gateway.Example.//"}, "https://gateway.example"),
        ({"host": "https://gateway.example", "schema": "HTTPS"}, "https://gateway.example"),
        ({"host": "[::1]"}, "http://[::1]"),
        ({"host": "::1"}, "http://[::1]"),
        ({"host": "::1", "port": 8088}, "http://[::1]:8088"),
        ({"host": "[::1]:8088"}, "http://[::1]:8088"),
        ({"host": "2001:DB8::1"}, "https://[2001:db8::1]"),
        ({"host": "https://[fe80:0::1]:443/"}, "https://[fe80::1]:443"),
        ({"host": "xn--bcher-kva.example"}, "https://xn--bcher-kva.example"),
        ({"host": "segmind_emulator:8088"}, "https://segmind_emulator:8088"),
        ({"host": "https://proxy.example/segmind/v1.0//"}, "https://proxy.example/segmind/v1.0"),
        ({"host": "http://127.0.0.1:8088"}, "http://127.0.0.1:8088"),
        ({"host": "https://proxy.example/segmind/"}, "https://proxy.example/segmind"),
        ({"host": "127.0.0.1", "port": 8088, "schema": "http"}, "http://127.0.0.1:8088"),
        ({"host": "http://127.0.0.1", "port": 8088}, "http://127.0.0.1:8088"),
    ],
)
def test_the_host(fields: dict[str, Any], gateway: str) -> None:
    assert read(**fields).urls[Service.GATEWAY] == gateway


def test_extra() -> None:
    connection = read(
        extra={
            "platform_url": "platform.example",
            "storage_url": "http://127.0.0.1:1/",
            "requests_per_minute": "60",
            "timeout": 5,
            "verify": __file__,
            "proxies": {"https": "http://proxy:3128"},
        }
    )
    assert connection.urls[Service.PLATFORM] == "https://platform.example"
    assert connection.urls[Service.STORAGE] == "http://127.0.0.1:1"
    assert (connection.requests_per_minute, connection.timeout) == (60.0, 5.0)
    assert (connection.verify, connection.proxies) == (__file__, {"https": "http://proxy:3128"})


@pytest.mark.parametrize(
    ("fields", "platform", "storage"),
    [
        ({}, "https://api.spotprod.segmind.com", "https://workflows-api.segmind.com"),
        ({"host": "API.segmind.com"}, "https://api.spotprod.segmind.com", "https://workflows-api.segmind.com"),
        ({"host": "https://api.segmind.com:443/"}, None, "https://workflows-api.segmind.com"),
        ({"host": "127.0.0.1", "port": 8088}, "http://127.0.0.1:8088", "http://127.0.0.1:8088"),
        ({"host": "proxy.example/segmind/"}, "https://proxy.example/segmind", "https://proxy.example/segmind"),
        (
            {"host": "proxy.example", "extra": {"platform_url": "history.example"}},
            "https://history.example",
            "https://proxy.example",
        ),
        (
            {
                "host": "proxy.example",
                "extra": {"platform_url": "", "storage_url": "https://workflows-api.segmind.com"},
            },
            "https://proxy.example",
            "https://workflows-api.segmind.com",
        ),
        ({"extra": {"storage_url": "store.example"}}, "https://api.spotprod.segmind.com", "https://store.example"),
    ],
)
def test_nothing_goes_to_the_public_segmind_beside_another_host(
    fields: dict[str, Any], platform: str | None, storage: str
) -> None:
    urls = read(**fields).urls
    assert urls[Service.PLATFORM] == (platform or "https://api.spotprod.segmind.com")
    assert urls[Service.STORAGE] == storage


def test_a_host_over_plain_http_is_named_once_for_all_three() -> None:
    with pytest.raises(InvalidConnectionError, match=r": host of the connection .*unencrypted"):
        read(host="http://gateway.example")


def test_an_expected_duration_is_for_an_emulator() -> None:
    assert read(host="127.0.0.1:8088", extra={"expected_duration": "0.3"}).expected_duration == 0.3
    assert read(host="127.0.0.1:8088").expected_duration is None
    for host in (None, "https://api.segmind.com"):
        with pytest.raises(InvalidConnectionError, match=r"expected_duration of the connection .*in the task"):
            read(host=host, extra={"expected_duration": 60})
    with pytest.raises(InvalidConnectionError, match=r"expected_duration .* from 0\.001 to 86,400"):
        read(host="127.0.0.1:8088", extra={"expected_duration": 0})


def test_proxies_may_be_the_text_that_a_form_stores() -> None:
    written = '{"https": "http://proxy:3128"}'
    assert read(extra={"proxies": written}).proxies == {"https": "http://proxy:3128"}
    assert read(extra={"proxies": "{}"}).proxies == {}
    for wrong in ("http://u:hunter2-hunter2@proxy:3128", '{"https": hunter2-hunter2}', '["hunter2-hunter2"]'):
        with pytest.raises(InvalidConnectionError, match=r"proxies of the connection .*an object like") as caught:
            read(extra={"proxies": wrong})
        assert "hunter2" not in everything_shown(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        *(
            f"gateway.example{strange}"
            for strange in ("\r", "\n", "\t", " ", "\0", "\x1f", "\x7f", "\\", "\x85", "\u2028")
        ),
        *(
            f"https://gate{strange}way.example"
            for strange in ("\r\n", "\t", " ", "\\", "\x00", "\u200b", "ü", '"', "<")
        ),
        *("https://bücher.example", "https://gateway.example\uff0fx", "https://\uff47ateway.example"),
        *("https://user@x", "https://user:pw@x", "https://@x", "https://x/@y", "user:pw@x"),
        *("https://x/?a=b", "https://x/?", "https://x?", "https://x#", "https://x/#a"),
        *(
            "ftp://x",
            "ftp://127.0.0.1",
            "segmind://x",
            "https://https://x",
            "javascript:alert(1)",
            "https:/x",
            "//x",
        ),
        *(
            "https://",
            "https:///x",
            "https://:443",
            ":443",
            "https://.",
            "https://x..y",
            "https://.x",
            "https://-x-",
            "  ",
        ),
        *(
            "https://x:",
            "https://x:0",
            "https://x:65536",
            "https://x:-1",
            "https://x:80a",
            "https://x:+80",
            "x:1:2",
        ),
        *("http://[bad", "https://[::1", "https://[::1]x", "https://[::1]:", "https://[]", "https://::1]"),
        *("https://[fe80::1%25eth0]", "fe80::1%eth0", "https://[127.0.0.1]", "https://[v1.a]"),
        *(
            "https://1",
            "https://127.1",
            "https://2130706433",
            "https://0x7f.1",
            "https://0177.0.0.1",
            "https://1.2.3.256",
        ),
        *(
            "https://x/a b",
            "https://x//y",
            "https://x/../y",
            "https://x/./y",
            "https://x/..",
            "https://x/%2e%2e/y",
        ),
        *("a" * 64, ".".join(["a" * 60] * 5), "https://x/" + "y" * 3000),
        *(3, 3.5, True, ["x"], {"x": 1}, b"x"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("field", ["host", "platform_url", "storage_url"])
def test_an_address_that_could_be_misread_is_refused(field: str, given: Any) -> None:
    fields = {"host": given} if field == "host" else {"extra": {field: given}}
    with pytest.raises(InvalidConnectionError, match=f"{field} of the connection 'segmind_eu'") as caught:
        read(**fields)
    assert len(str(given)) <= 8 or str(given) not in str(caught.value)


@pytest.mark.parametrize("port", [0, -1, 65536, "0", "http", "80 ", " ", True, 80.0, [80], 99999999999999999999])
def test_a_port_that_cannot_be_one_is_refused(port: Any) -> None:
    with pytest.raises(InvalidConnectionError, match="port of the connection 'segmind_eu'"):
        read(host="gateway.example", port=port)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"host": "gateway.example:8443", "port": 8444}, "port"),
        ({"host": "https://gateway.example", "schema": "http"}, "schema"),
        ({"host": "http://127.0.0.1", "schema": "https"}, "schema"),
        ({"host": "gateway.example", "schema": "ftp"}, "schema"),
        ({"host": "gateway.example", "schema": 5}, "schema"),
        ({"host": None, "port": 8088}, "host"),
        ({"host": "", "schema": "http"}, "host"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidConnectionError, match=f"{name} of the connection 'segmind_eu'"):
        read(**fields)


ELSEWHERE = [
    *("http://gateway.example", "HTTP://gateway.example:80", "http://10.0.0.8", "http://0.0.0.0", "http://[::]"),
    *(
        "http://127.evil.test",
        "http://127.0.0.1.evil.test",
        "http://localhost.evil.test",
        "http://a.localhost",
        "http://[2001:db8::1]:80",
    ),
]


@pytest.mark.parametrize("url", ELSEWHERE)
@pytest.mark.parametrize("field", ["host", "platform_url", "storage_url"])
def test_the_key_goes_nowhere_else_unencrypted(field: str, url: str) -> None:
    extra = {} if field == "host" else {field: url}
    host = url if field == "host" else None
    with pytest.raises(
        InvalidConnectionError, match=f"{field} of the connection.*unencrypted.*allow_insecure_http"
    ):
        read(host=host, extra=extra)
    for permission in (True, "true"):
        allowed = read(host=host, extra={**extra, "allow_insecure_http": permission})
        assert url.lower().removesuffix(":80") in (
            *allowed.urls.values(),
            *(u[:-3] for u in allowed.urls.values()),
        )


def test_nor_by_the_schema_of_a_uri() -> None:
    with pytest.raises(InvalidConnectionError, match=r"host of the connection.*unencrypted"):
        read(host="gateway.example", port=8088, schema="http")


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        *((url, True) for url in ("http://127.0.0.1:1", "http://127.9.9.9", "localhost", "[::1]")),
        *((url, False) for url in ("https://127.evil.test", "https://localhost.evil.test", "https://10.0.0.8")),
    ],
)
def test_outputs_of_this_machine_are_fetched_if_segmind_is_on_it(url: str, loopback: bool) -> None:
    assert read(host=url).media_rules.loopback is loopback


@pytest.mark.parametrize("extra", [None, "", "  ", "{}", "null", {}])
def test_an_extra_may_be_empty(extra: Any) -> None:
    assert read(extra=extra).urls == connection_from_key(KEY).urls


def test_an_extra_may_be_json() -> None:
    assert (
        read(extra='{"platform_url": "https://platform.example"}').urls[Service.PLATFORM]
        == "https://platform.example"
    )


@pytest.mark.parametrize(
    "extra",
    [
        *("[]", "[1]", "3", "true", '"hunter2-hunter2"', "hunter2-hunter2", "{", '{"timeout": hunter2-hunter2}'),
        *("{'timeout': 5}", '{"a": 1} x', "[" * 100_000, "9" * 5000, '{"timeout": 5,}', "\x00", "NaN"),
        *([], [1], ["hunter2-hunter2"], 3, True, False, 0, 1.5),
    ],
    ids=lambda extra: repr(extra)[:30],
)
def test_an_extra_that_is_not_an_object_is_not_ignored(extra: Any) -> None:
    with pytest.raises(
        InvalidConnectionError, match=r"extra of the connection 'segmind_eu'.*JSON object"
    ) as caught:
        read(extra=extra)
    assert "hunter2" not in everything_shown(caught.value)


NOT_NUMBERS = [
    *(
        0,
        -1,
        True,
        False,
        "0",
        "-5",
        "soon",
        "1_000",
        "\uff16\uff10",
        "1e400",
        "nan",
        "inf",
        "-inf",
        "1,5",
        "0x10",
    ),
    *(float("nan"), float("inf"), 10**400, 1e9, 1_000_000, "9" * 5000, [60], {"a": 1}, {}, []),
]


@pytest.mark.parametrize("given", NOT_NUMBERS, ids=lambda given: repr(given)[:30])
@pytest.mark.parametrize("field", ["timeout", "requests_per_minute"])
def test_a_number_has_a_range(field: str, given: Any) -> None:
    with pytest.raises(
        InvalidConnectionError, match=f"{field} of the connection 'segmind_eu' must be a number from"
    ):
        read(extra={field: given})


@pytest.mark.parametrize(
    ("field", "given", "number"),
    [
        *(("timeout", *pair) for pair in ((" 60 ", 60), (1, 1), (3600, 3600), ("2.5", 2.5), (None, 30), ("", 30))),
        *(("requests_per_minute", *pair) for pair in (("", None), (0.5, 0.5), ("100000", 100_000))),
    ],
)
def test_numbers(field: str, given: Any, number: float | None) -> None:
    assert getattr(read(extra={field: given}), field) == number


@pytest.mark.parametrize("field", ["allow_private_media", "allow_insecure_http"])
@pytest.mark.parametrize("given", [0, 1, "on", "2", [], {}, "hunter2-hunter2", float("nan")])
def test_true_or_false(field: str, given: Any) -> None:
    with pytest.raises(InvalidConnectionError, match=f"{field} of the connection.*true or false") as caught:
        read(extra={field: given})
    assert "hunter2" not in everything_shown(caught.value)


@pytest.mark.parametrize(("given", "allowed"), [(" Yes", True), ("1", True), ("no", False), ("0", False)])
def test_a_text_may_say_true_or_false(given: str, allowed: bool) -> None:
    assert read(extra={"allow_private_media": given}).allow_private_media is allowed


@pytest.mark.parametrize(
    ("given", "verify"),
    [(False, False), (" false ", False), ("True", True), (None, True), ("", True), (True, True)],
)
def test_verify(given: Any, verify: bool) -> None:
    assert read(extra={"verify": given}).verify is verify


def test_certificates_are_files_or_hashed_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text(certifi.contents())
    assert read(extra={"verify": f" {bundle} "}).verify == str(bundle)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read(extra={"verify": "~/ca.pem"}).verify == str(bundle)
    for variable in ("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(variable, str(bundle))
        assert read().verify == str(bundle)
        monkeypatch.setenv(variable, str(tmp_path / "none.pem"))
        with pytest.raises(InvalidConnectionError, match=f"verify of the connection 'segmind_eu'.*{variable}"):
            read()
        assert read(extra={"verify": False}).verify is False
    (tmp_path / "12ab34cd.0").symlink_to(bundle)
    assert read(extra={"verify": str(tmp_path)}).verify == str(tmp_path)


@pytest.mark.parametrize(
    "given", ["ca.pem", "./ca.pem", "~/none.pem", "/no/such/ca.pem", "folder", "empty.pem", "\0"]
)
def test_what_holds_no_certificates_is_refused(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ca.pem").write_text(certifi.contents())
    (tmp_path / "empty.pem").touch()
    (tmp_path / "folder").mkdir()
    if given in ("folder", "empty.pem"):
        given = str(tmp_path / given)
    with pytest.raises(InvalidConnectionError, match="verify of the connection 'segmind_eu'"):
        read(extra={"verify": given})


@pytest.mark.parametrize("given", [3, [], {}, "hunter2-hunter2", 1.5])
def test_verify_is_nothing_else(given: Any) -> None:
    with pytest.raises(InvalidConnectionError, match="verify of the connection 'segmind_eu'") as caught:
        read(extra={"verify": given})
    assert "hunter2" not in everything_shown(caught.value)


@pytest.mark.parametrize("given", [f" {KEY}", f"{KEY}\n", f"\t{KEY}\r\n"])
def test_space_around_the_key_is_left_out(given: str) -> None:
    assert read(password=given).api_key == KEY


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        *((given, "empty") for given in (None, "", "  ", "\n")),
        *((given, "quotes") for given in (f'"{KEY}"', f"'{KEY}'", f"`{KEY}`", f'"{KEY}')),
        *((given, "Bearer") for given in (f"Bearer {KEY}", f"bearer {KEY}", f"Bearer:{KEY}")),
        *(
            (given, "header")
            for given in (f"{KEY}\n{KEY}", f"SG_\x00{KEY}", f"x-api-key: {KEY}", f"{KEY}ü", f"SG_\u0430{KEY}")
        ),
        (KEY * 1000, "19000 characters"),
        (12345678, "text"),
        ([KEY], "text"),
    ],
    ids=lambda given: repr(given)[:30],
)
def test_what_cannot_be_a_key_is_refused(given: Any, problem: str) -> None:
    with pytest.raises(
        InvalidConnectionError, match=f"password of the connection 'segmind_eu'.*{problem}"
    ) as caught:
        read(password=given)
    assert KEY not in everything_shown(caught.value)
    assert "12345678" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("time_out", "timeout"),
        ("Timeout", "timeout"),
        ("platform-url", "platform_url"),
        ("plattform_url", "platform_url"),
        ("extra__segmind__verify", "verify"),
        ("proxy", "proxies"),
        ("request_per_minute", "requests_per_minute"),
    ],
)
def test_an_unknown_key_is_remarked_on(key: str, nearest: str) -> None:
    (remark,) = read(extra={key: 5, "timeout": 7}).remarks
    assert repr(key) in remark
    assert f"did you mean {nearest!r}" in remark


def test_a_remark_shows_no_secret() -> None:
    remarks = read(extra={KEY: "", "hunter2 \n hunter2": "", "qqq": "hunter2"}).remarks
    assert len(remarks) == 3
    assert not any(secret in remark for remark in remarks for secret in (KEY, "hunter2", "\n"))
    assert "known keys are allow_insecure_http" in remarks[2]
    assert read(extra={"timeout": 5}).remarks == ()
    assert "SG_" not in str(read(extra={f"key_{KEY}": "", f"extra__segmind__{KEY.lower()}": ""}).remarks)


def test_remarks_are_few_and_short() -> None:
    remarks = read(extra={f"unknown_{'x' * (each % 60)}_{each}": each for each in range(1000)}).remarks
    assert len(remarks) == 6
    assert remarks[-1] == "It has 995 more unknown keys"
    assert max(map(len, remarks)) < 400


def test_the_key_is_sent_where_it_is_needed_and_shown_nowhere() -> None:
    connection = read()
    headers = connection.headers(calls.status("r1"))
    assert headers["x-api-key"] == KEY
    assert headers["User-Agent"] == f"airflow-provider-segmind/{__version__}"
    assert "X-Initiator" not in headers
    assert "x-api-key" not in connection.headers(calls.models())
    assert KEY not in repr(connection)
    assert connection.redact(f"wrong key {KEY}".encode()) == b"wrong key ***"
