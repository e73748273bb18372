"""Which proxy a call goes through, and which ones are refused before anything is paid for."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_segmind.exceptions import InvalidConnectionError
from airflow_provider_segmind.hooks.connection import SegmindConnection, connection_from_key, read_connection
from tests.shown import everything_shown

pytestmark = pytest.mark.usefixtures("no_proxies")

KEY = "SG_0123456789abcdef"
GATEWAY = "https://api.segmind.com/v2/x"
SOCKS = [
    f"{scheme}://user:hunter2-hunter2@proxy.example:1080" for scheme in ("socks5", "socks5h", "socks4", "SOCKS4a")
]
NOT_PROXIES = [
    *("ftp://proxy.example", "quic://proxy.example:1", "http+unix://proxy.example"),
    *("http://user:pa/ss-hunter2@proxy.example", "http://user:pa@ss-hunter2@proxy.example"),
    *("http://user:pa?ss-hunter2@proxy.example", "http://user:pa#ss-hunter2@proxy.example"),
    *("http://user:pa ss-hunter2@proxy.example", "http://user:pa%ss-hunter2@proxy.example"),
    *("http://user:pa\\ss-hunter2@proxy.example", "http://user:pä-hunter2@proxy.example"),
    *("http://user:pa[ss-hunter2@proxy.example", "http://user:hunter2%E2%82%AC@proxy.example"),
    *("http://:hunter2@proxy.example", "http://@proxy.example", "user:pa/ss-hunter2@proxy.example:3128"),
    *("http://proxy.example\r\n", "http://pro\txy.example", "http://", "http://:3128", "http://proxy.example:0"),
    *("http://proxy.example:99999", "http://proxy.example:hunter2", "http://[::1", "http://proxy.example/path"),
    *("http://proxy.example?a", "http://proxy.example#a", "http://127.1:80", "//proxy.example", " "),
]


def read(proxies: Any = None, **fields: Any) -> SegmindConnection:
    return read_connection("c", **{"password": KEY, "host": None, "extra": {"proxies": proxies}, **fields})


@pytest.mark.parametrize(
    ("proxies", "proxy"),
    [
        ({"https": "http://proxy.example:3128"}, "http://proxy.example:3128"),
        ({"https": "proxy.example:3128"}, "http://proxy.example:3128"),
        ({"https": "user:pw@proxy.example"}, "http://user:pw@proxy.example"),
        ({"https": "HTTPS://Proxy.Example/"}, "https://proxy.example"),
        ({"all": "http://[::1]:3128"}, "http://[::1]:3128"),
        ({"HTTPS": "http://u:p%2F%40:x@proxy.example"}, "http://u:p%2F%40:x@proxy.example"),
        ({"https://api.segmind.com": "http://a", "https": "http://b"}, "http://a"),
        ({"https://other.example": "http://a"}, None),
        ({"http": "http://a"}, None),
        ({"https": ""}, None),
        ({"https": None}, None),
        ({}, None),
        ("", None),
        (None, None),
    ],
)
def test_the_proxies_of_a_connection(proxies: Any, proxy: str | None) -> None:
    connection = read(proxies)
    assert connection.proxy_for(GATEWAY) == proxy
    assert connection.proxies_for(GATEWAY) == ({"https": proxy} if proxy else {})


@pytest.mark.parametrize("own", [{"https": "http://own.example"}, {"all": "http://own.example"}])
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_they_go_before_those_of_the_environment(
    own: dict[str, str], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "environment.example:3128")
    assert read().proxy_for(GATEWAY) == "http://environment.example:3128"
    assert read(own).proxy_for(GATEWAY) == "http://own.example"
    assert read({"https": ""}).proxy_for(GATEWAY) is None
    monkeypatch.setenv("NO_PROXY", "segmind.com")
    assert read().proxy_for(GATEWAY) is None


@pytest.mark.parametrize("proxy", [*SOCKS, *NOT_PROXIES, 3, ["http://x"], {"a": "b"}, True], ids=repr)
@pytest.mark.parametrize("key", ["https", "http", "all", "https://api.segmind.com"])
def test_a_proxy_that_one_side_could_not_use_is_refused(key: str, proxy: Any) -> None:
    with pytest.raises(InvalidConnectionError, match="proxies of the connection 'c'") as caught:
        read({key: proxy})
    assert "hunter2" not in everything_shown(caught.value)
    if proxy in SOCKS:
        assert "SOCKS" in str(caught.value)


@pytest.mark.parametrize(
    "proxies", ["http://proxy", ["http://proxy"], 3, True, {"ftp": "http://x"}, {"no_proxy": "x"}]
)
def test_what_is_not_proxies_by_scheme_is_refused(proxies: Any) -> None:
    with pytest.raises(InvalidConnectionError, match="proxies of the connection 'c'"):
        read(proxies)


@pytest.mark.parametrize(
    "key", ["socks5", "no", "", "https:", "https://", "https://user:pw@x", "https://a/b", "x y"]
)
def test_a_key_that_matches_no_call_is_refused(key: str) -> None:
    with pytest.raises(InvalidConnectionError, match="proxies of the connection 'c' has a key"):
        read({key: "http://proxy.example"})


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("proxy", [*SOCKS, NOT_PROXIES[0], NOT_PROXIES[3], NOT_PROXIES[4]])
def test_the_same_of_the_environment(variable: str, proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, proxy)
    for refused in (read, lambda: connection_from_key(KEY)):
        with pytest.raises(InvalidConnectionError, match=r"proxies of the connection.*NO_PROXY") as caught:
            refused()
        assert "hunter2" not in everything_shown(caught.value)
    assert read({"https": "http://proxy.example"}).proxy_for(GATEWAY) == "http://proxy.example"
    monkeypatch.setenv("NO_PROXY", "api.segmind.com")
    with pytest.raises(InvalidConnectionError, match="spotprod"):
        read()
    monkeypatch.setenv("NO_PROXY", "segmind.com")
    assert read().proxy_for(GATEWAY) is None


def test_a_proxy_for_other_addresses_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "socks5://proxy.example")
    monkeypatch.setenv("FTP_PROXY", "socks5://proxy.example")
    assert read().proxy_for(GATEWAY) is None


def test_what_is_for_this_machine_is_not_sent_unencrypted_to_a_proxy_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    with pytest.raises(InvalidConnectionError, match=r"unencrypted.*NO_PROXY"):
        read(host="http://127.0.0.1:8088")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert read(host="http://127.0.0.1:8088").proxy_for("http://127.0.0.1:8088/v2/x") is None
    with pytest.raises(InvalidConnectionError, match="unencrypted"):
        read({"http": "http://proxy.example"}, host="http://127.0.0.1:8088")
    local = read({"http": "http://127.0.0.1:3128"}, host="http://127.0.0.1:8088")
    assert local.proxy_for("http://127.0.0.1:8088/v2/x") == "http://127.0.0.1:3128"


def test_a_media_host_does_not_fail_for_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong with its proxy is for the download to say: the video is paid for by then."""
    monkeypatch.setenv("NO_PROXY", "segmind.com")
    monkeypatch.setenv("HTTPS_PROXY", "socks5://proxy.example")
    assert read().proxies_for("https://media.example/a.mp4") == {"https": "socks5://proxy.example"}
