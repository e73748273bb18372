"""What a connection says, and what is wrong with one that cannot be used."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_segmind import __version__
from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.call import Service
from airflow_provider_segmind.exceptions import InvalidConnectionError
from airflow_provider_segmind.hooks.connection import SegmindConnection, connection_from_key, read_connection

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
        ({"host": "127.0.0.1:8088"}, "https://127.0.0.1:8088"),
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


@pytest.mark.parametrize(("given", "verify"), [(False, False), ("false", False), ("True", True), (None, True)])
def test_verify(given: Any, verify: bool) -> None:
    assert read(extra={"verify": given}).verify is verify


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"password": None}, "password"),
        ({"password": "  "}, "password"),
        ({"password": "SG_\n\x00"}, "password"),
        ({"password": "SG_schlüssel"}, "password"),
        ({"host": "ftp://x"}, "host"),
        ({"host": "https://user:secret@x"}, "host"),
        ({"host": "https://x/?a=b"}, "host"),
        ({"host": "http://[bad"}, "host"),
        ({"extra": {"platform_url": "https://"}}, "platform_url"),
        ({"extra": {"storage_url": ["x"]}}, "storage_url"),
        ({"extra": {"timeout": 0}}, "timeout"),
        ({"extra": {"timeout": "soon"}}, "timeout"),
        ({"extra": {"timeout": True}}, "timeout"),
        ({"extra": {"requests_per_minute": -1}}, "requests_per_minute"),
        ({"extra": {"requests_per_minute": "inf"}}, "requests_per_minute"),
        ({"extra": {"verify": 3}}, "verify"),
        ({"extra": {"verify": "/no/such/ca.pem"}}, "verify"),
        ({"host": "https://:secret@x"}, "host"),
        ({"host": "https://x:99999"}, "host"),
        ({"host": "http://[bad", "port": 8088}, "host"),
        ({"extra": {"proxies": "http://proxy"}}, "proxies"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidConnectionError, match=f"{name} of the connection 'segmind_eu'"):
        read(**fields)


def test_the_key_is_sent_where_it_is_needed_and_shown_nowhere() -> None:
    connection = read()
    headers = connection.headers(calls.status("r1"))
    assert headers["x-api-key"] == KEY
    assert headers["User-Agent"] == f"airflow-provider-segmind/{__version__}"
    assert "X-Initiator" not in headers
    assert "x-api-key" not in connection.headers(calls.models())
    assert KEY not in repr(connection)
    assert connection.redacted(f"wrong key {KEY}".encode()) == b"wrong key ***"
