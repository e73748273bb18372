"""From Airflow's connections to Segmind's, on a worker and in the triggerer."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_segmind import exceptions
from airflow_provider_segmind.api.call import Service
from airflow_provider_segmind.exceptions import PASSING_TROUBLE, InvalidConnectionError, UnreachableError
from airflow_provider_segmind.hooks import lookup
from airflow_provider_segmind.hooks.connection import SegmindConnection
from tests.shown import everything_shown

pytestmark = pytest.mark.usefixtures("no_proxies")

KEY = "SG_0123456789abcdef"
LookUp = Callable[[str], SegmindConnection]


@pytest.fixture(params=["worker", "triggerer"])
def look_up(request: pytest.FixtureRequest) -> LookUp:
    if request.param == "worker":
        return lookup.look_up
    return lambda conn_id: asyncio.run(lookup.look_up_async(conn_id))


@pytest.fixture
def masked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What Airflow's log masker was given, beside what Airflow itself gives it."""
    seen: list[Any] = []
    mask_secret = lookup.mask_secret

    def noted(secret: Any) -> None:
        seen.append(secret)
        mask_secret(secret)

    monkeypatch.setattr(lookup, "mask_secret", noted)
    return seen


def define(monkeypatch: pytest.MonkeyPatch, definition: Any, conn_id: str = "c") -> None:
    text = definition if isinstance(definition, str) else json.dumps(definition)
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", text)


@pytest.mark.parametrize(
    "conn_id",
    [None, 5, KEY, f"segmind://:{KEY}@/", "segmind://u:hunter2/x@h", f'{{"password": "{KEY}"}}'],
    ids=repr,
)
def test_what_is_not_an_id_is_refused_and_not_repeated(conn_id: Any, look_up: LookUp) -> None:
    with pytest.raises(InvalidConnectionError, match="segmind_conn_id must be the id of a connection") as caught:
        look_up(conn_id)
    assert KEY not in everything_shown(caught.value)
    assert "hunter2" not in everything_shown(caught.value)


@pytest.mark.parametrize("conn_id", ["segmind_SG_prod", "a.b-c", "vault://segmind"])
def test_odd_ids_are_looked_up(conn_id: str, look_up: LookUp, monkeypatch: pytest.MonkeyPatch) -> None:
    define(monkeypatch, {"conn_type": "segmind", "password": KEY}, conn_id)
    assert look_up(conn_id).api_key == KEY


@pytest.mark.parametrize(
    ("definition", "found"),
    [
        ({"conn_type": "http", "host": "https://api.other.example"}, "'http'"),
        ({"conn_type": "aws"}, "'aws'"),
        ({"conn_type": "postgres", "host": "db.example", "schema": "public", "port": 5432}, "'postgres'"),
        ({"conn_type": "generic"}, "'generic'"),
        ({"conn_type": "segmind_eu"}, "'segmind_eu'"),
        ({"conn_type": "segmind "}, "another type"),
        ({"conn_type": "SG_fedcba9876543210"}, "another type"),
        ({"conn_type": ""}, "no type"),
        ({}, "no type"),
        ("https://:hunter2-hunter2@api.other.example", "'https'"),
        ("postgres://u:hunter2-hunter2@db.example/x", "'postgres'"),
        ("//:hunter2-hunter2@api.other.example", "no type"),
    ],
)
def test_a_connection_of_another_type_is_refused(
    definition: Any, found: str, look_up: LookUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its password is not a Segmind API key, and is not for its host to have as one."""
    if isinstance(definition, dict):
        definition = {"password": "hunter2-hunter2", **definition}
    define(monkeypatch, definition)
    with pytest.raises(InvalidConnectionError, match="'c' must be 'segmind'") as caught:
        look_up("c")
    assert not isinstance(caught.value, PASSING_TROUBLE)
    assert found in str(caught.value)
    assert "hunter2" not in everything_shown(caught.value)
    assert "fedcba" not in str(caught.value)


@pytest.mark.parametrize("conn_type", ["segmind", "Segmind", "SEGMIND"])
def test_case_does_not_matter(conn_type: str, look_up: LookUp, monkeypatch: pytest.MonkeyPatch) -> None:
    define(monkeypatch, {"conn_type": conn_type, "password": KEY})
    assert look_up("c").api_key == KEY


@pytest.mark.parametrize(
    ("uri", "gateway"),
    [
        (f"segmind://:{KEY}@", "https://api.segmind.com"),
        (f"segmind://:{KEY}@127.0.0.1:8088", "http://127.0.0.1:8088"),
        (f"segmind://:{KEY}@localhost:8088", "http://localhost:8088"),
        (f"segmind://:{KEY}@127.0.0.1:8088/http", "http://127.0.0.1:8088"),
        (f"segmind://:{KEY}@127.0.0.1:8088/https", "https://127.0.0.1:8088"),
        (f"segmind://:{KEY}@gateway.example", "https://gateway.example"),
        (f"segmind://:{KEY}@gateway.example:8443/https", "https://gateway.example:8443"),
        (f"segmind://http://:{KEY}@127.0.0.1:8088", "http://127.0.0.1:8088"),
        (f"segmind://https://:{KEY}@gateway.example:8443", "https://gateway.example:8443"),
        (f"segmind://:{KEY}@gateway.example/http?allow_insecure_http=true", "http://gateway.example"),
        (
            f"segmind://:{KEY}@gateway.example/http?__extra__=%7B%22allow_insecure_http%22%3A+true%7D",
            "http://gateway.example",
        ),
    ],
)
def test_uris(uri: str, gateway: str, look_up: LookUp, monkeypatch: pytest.MonkeyPatch) -> None:
    define(monkeypatch, uri)
    found = look_up("c")
    assert found.urls[Service.GATEWAY] == gateway
    assert found.api_key == KEY


@pytest.mark.parametrize(
    "uri",
    [
        f"segmind://:{KEY}@gateway.example:8088/http",
        f"segmind://http://:{KEY}@gateway.example:8088",
        f"segmind://:{KEY}@?platform_url=http%3A%2F%2Fplatform.example",
        f"segmind://:{KEY}@/?__extra__=%7B%22storage_url%22%3A%22http%3A%2F%2Fx.example%22%7D",
    ],
)
def test_a_uri_does_not_send_the_key_unencrypted(
    uri: str, look_up: LookUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    define(monkeypatch, uri)
    with pytest.raises(InvalidConnectionError, match="unencrypted"):
        look_up("c")


@pytest.mark.parametrize(
    "extra", ["hunter2-hunter2", "[1]", '["hunter2-hunter2"]', "3", '{"platform_url": ', "'{}'"]
)
def test_an_extra_that_cannot_be_read_is_not_ignored(
    extra: str, look_up: LookUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The addresses in it would be lost, and the key sent to the public Segmind."""
    define(monkeypatch, {"conn_type": "segmind", "password": KEY, "extra": extra})
    with pytest.raises(InvalidConnectionError, match=r"extra.*'c'") as caught:
        look_up("c")
    assert "hunter2" not in everything_shown(caught.value)


@pytest.mark.parametrize(
    "definition", ["{", f'{{"conn_type": "segmind", "password": "{KEY}"', "a://b://c://d", "[1]"]
)
def test_a_definition_that_cannot_be_read_does_not_make_way_for_the_environment(
    definition: str, look_up: LookUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    define(monkeypatch, definition, "segmind_default")
    monkeypatch.setenv("SEGMIND_API_KEY", KEY)
    with pytest.raises(InvalidConnectionError, match=r"(?i)segmind_default"):
        look_up("segmind_default")


def test_the_environment_stands_in_for_the_default_only(look_up: LookUp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGMIND_API_KEY", f" {KEY}\n")
    assert look_up("segmind_default").api_key == KEY
    with pytest.raises(
        (InvalidConnectionError, UnreachableError), match="there is no connection 'other'"
    ) as caught:
        look_up("other")
    assert type(caught.value) in vars(exceptions).values(), "its name is the reason in a metric"


@pytest.mark.parametrize("source", ["extra", "environment"])
@pytest.mark.parametrize("written", ["pa%2Fss%40wo-rd", "p%61ss%20wo-rd"])
def test_every_secret_is_masked(
    source: str, written: str, look_up: LookUp, masked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from urllib.parse import quote, unquote

    proxy = f"http://someone:{written}@proxy.example:3128"
    extra = {"proxies": {"https": proxy}} if source == "extra" else {}
    if source == "environment":
        monkeypatch.setenv("HTTPS_PROXY", proxy)
    define(monkeypatch, {"conn_type": "segmind", "password": KEY, "extra": extra})
    look_up("c")
    plain = unquote(written)
    login = base64.b64encode(f"someone:{plain}".encode()).decode()
    assert {KEY, written, plain, quote(plain, safe=""), login} <= set(masked)


def test_also_of_proxies_that_are_not_used(
    look_up: LookUp, masked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any library may name them in an error."""
    monkeypatch.setenv("NO_PROXY", "segmind.com")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:pa/ss@wo-rd@proxy.example")
    monkeypatch.setenv("HTTP_PROXY", "user:hunter2-hunter2@proxy.example")
    monkeypatch.setenv("SEGMIND_API_KEY", KEY)
    look_up("segmind_default")
    assert {KEY, "pa/ss@wo-rd", "pa%2Fss%40wo-rd", "hunter2-hunter2"} <= set(masked)


def test_what_is_masked_does_not_reach_a_log(look_up: LookUp, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "SG_0f1e2d3c4b5a6978"
    proxies = {"https": "http://someone:pa%2Fss-wo-rd@proxy.example"}
    define(monkeypatch, {"conn_type": "segmind", "password": key, "extra": {"proxies": proxies}})
    look_up("c")
    redact = _airflow_redact()
    assert "***" in redact(f"key {key}")
    for secret in (key, "pa/ss-wo-rd", "pa%2Fss-wo-rd"):
        assert secret not in redact(f"this is {secret}.")


def _airflow_redact() -> Callable[[str], str]:
    from importlib import import_module

    for module in (
        "airflow.sdk._shared.secrets_masker",
        "airflow.sdk.execution_time.secrets_masker",
        "airflow.utils.log.secrets_masker",
    ):
        try:
            redact: Callable[[str], str] = import_module(module).redact
        except ImportError:
            continue
        return redact
    raise AssertionError("this Airflow masks nothing")


def test_an_unknown_key_is_warned_of_once(
    look_up: LookUp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lookup, "_warned", {})
    extra = {"request_per_minute": "hunter2-hunter2", "time_out": 5}
    define(monkeypatch, {"conn_type": "segmind", "password": KEY, "extra": extra})
    define(monkeypatch, {"conn_type": "segmind", "password": KEY, "extra": extra}, "other")
    with caplog.at_level(logging.WARNING):
        for conn_id in ("c", "c", "other", "c"):
            look_up(conn_id)
    warnings = [record.getMessage() for record in caplog.records if record.name == lookup.__name__]
    assert [each.split("'")[1] for each in warnings] == ["c", "other"]
    for each in warnings:
        assert "'request_per_minute'; did you mean 'requests_per_minute'?" in each
        assert "'time_out'; did you mean 'timeout'?" in each
        assert "\n" not in each
        assert "hunter2" not in each


def test_it_is_warned_of_again_when_it_has_changed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lookup, "_warned", {})
    with caplog.at_level(logging.WARNING):
        for key in ("time_out", "time_out", "proxy"):
            define(monkeypatch, {"conn_type": "segmind", "password": KEY, "extra": {key: 5}})
            lookup.look_up("c")
    assert caplog.text.count("unknown key") == 2


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(f"no backend at vault://user:hunter2-hunter2@vault\r\n\x1b[31m {KEY}"),
        OSError("hunter3 " * 1000),
        KeyError(f"segmind://:{KEY}@x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_look_up_that_fails_may_pass_and_shows_no_secret(
    error: Exception, look_up: LookUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(conn_id: str) -> Any:
        raise error

    async def fail_async(conn_id: str) -> Any:
        raise error

    monkeypatch.setattr(lookup.BaseHook, "get_connection", fail)
    monkeypatch.setattr(lookup, "get_async_connection", fail_async)
    with pytest.raises(UnreachableError, match=f"'c': {type(error).__name__}") as caught:
        look_up("c")
    shown = everything_shown(caught.value)
    assert not any(secret in shown for secret in ("hunter2", KEY, "\n", "\x1b"))
    assert len(str(caught.value)) < 700
