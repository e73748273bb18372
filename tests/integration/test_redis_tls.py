"""A Redis behind TLS, or with accounts: what works, and what is said of what does not, without the password."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import trustme

from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.exceptions import RateLimitedError
from airflow_provider_segmind.hooks import redis_ledger, worker_turns
from airflow_provider_segmind.hooks.segmind import SegmindHook
from tests.integration.test_shared_limit import MODEL, ask_in_triggerer, connect
from tests.redis_server import RedisServer, ServerTls

pytest.importorskip("throttled", reason="the extra [redis] is not installed")

SECRET = "corr/ect hörse"
PAGE = Path(__file__).parents[2] / "docs" / "rate-limits.md"


class Certificates:
    """Files of an authority, of one that nobody trusts, and of what they issued."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority, self._stranger = trustme.CA(), trustme.CA()
        self.authority, self.stranger = folder / "ca.pem", folder / "stranger.pem"
        self._authority.cert_pem.write_to_path(self.authority)
        self._stranger.cert_pem.write_to_path(self.stranger)
        self._write("good", self._authority.issue_cert("127.0.0.1"))
        self._write("of another host", self._authority.issue_cert("redis.example"))
        ended = datetime(2021, 1, 1)
        old = self._authority.issue_cert("127.0.0.1", not_before=datetime(2020, 1, 1), not_after=ended)
        self._write("expired", old)
        self._write("client", self._authority.issue_cert("client"))
        self._write("client of a stranger", self._stranger.issue_cert("client"))

    def files_of(self, name: str) -> tuple[Path, Path]:
        """Return the paths of a certificate and of its key."""
        return self._folder / f"{name}.pem", self._folder / f"{name}.key"

    def _write(self, name: str, issued: trustme.LeafCert) -> None:
        certificate, key = self.files_of(name)
        certificate.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(key)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


StartRedis = Callable[..., RedisServer]


@pytest.fixture
def start_redis(tmp_path: Path, certificates: Certificates) -> Iterator[StartRedis]:
    """Return what starts a Redis with the options of a server, behind TLS if a certificate is named."""
    started = []

    def start(*options: str, certificate: str | None = None, asks_clients: bool = False) -> RedisServer:
        tls = None
        if certificate is not None:
            tls = ServerTls(*certificates.files_of(certificate), certificates.authority, asks_clients)
        running = RedisServer(tmp_path, *options, tls=tls)
        running.start()
        started.append(running)
        return running

    yield start
    for each in started:
        each.kill()


def define(monkeypatch: pytest.MonkeyPatch, port: int, conn_type: str = "rediss", **more: Any) -> None:
    """Define the connection to Redis. What is not a field of a connection goes into its extra."""
    own = {name: more.pop(name) for name in ("login", "password", "schema") if name in more}
    definition = {"conn_type": conn_type, "host": "127.0.0.1", "port": port, "password": SECRET, **own}
    monkeypatch.setenv("AIRFLOW_CONN_LIMITS", json.dumps({**definition, "extra": more}))


def names_in(server: RedisServer, **options: Any) -> set[str]:
    """Return the names of everything in a Redis, without the hash of the key and without seconds."""
    from redis import Redis

    tls = {"ssl": True, "ssl_cert_reqs": "none", "ssl_check_hostname": False} if options.pop("tls", True) else {}
    with Redis(port=server.port, decode_responses=True, **tls, **options) as client:
        return {re.sub(r"[0-9a-f]{32}", "HASH", name).partition(":sent:")[0] for name in client.keys("*")}


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    own = (each for each in caplog.records if each.name.startswith("airflow_provider_segmind"))
    return [each.getMessage() for each in own if each.levelno >= logging.WARNING]


def shows_no_secret(*texts: str) -> bool:
    shown = [each for text in texts for each in (SECRET, quote(SECRET, safe=""), "wro/ng") if each in text]
    return not shown and not any("\n" in text for text in texts)


@dataclass(frozen=True)
class Case:
    """
    A Redis and a connection to it.

    :param certificate: Of the server; None if it speaks no TLS.
    :param extra: Of the connection. ``{…}`` in a path is a name in ``Certificates``.
    :param said: What is wrong and what to do; None if it works.
    """

    certificate: str | None = "good"
    asks_clients: bool = False
    has_password: bool = True
    conn_type: str = "rediss"
    password: str | None = SECRET
    extra: dict[str, Any] = field(default_factory=lambda: {"ssl_ca_certs": "{authority}"})
    said: tuple[str, str] | None = None

    def start(self, start_redis: StartRedis) -> RedisServer:
        options = ("--requirepass", SECRET) if self.has_password else ()
        return start_redis(*options, certificate=self.certificate, asks_clients=self.asks_clients)

    def define(self, monkeypatch: pytest.MonkeyPatch, port: int, certificates: Certificates) -> None:
        paths = {"{authority}": certificates.authority, "{stranger}": certificates.stranger}
        for name in ("client", "client of a stranger", "good"):
            paths |= dict(zip((f"{{{name}.pem}}", f"{{{name}.key}}"), certificates.files_of(name), strict=True))
        extra = {
            key: str(paths.get(value, value)) if isinstance(value, str) else value
            for key, value in self.extra.items()
        }
        define(monkeypatch, port, self.conn_type, password=self.password, **extra)


TRUSTED = {"ssl_ca_certs": "{authority}"}
CLIENT = {**TRUSTED, "ssl_certfile": "{client.pem}", "ssl_keyfile": "{client.key}"}
UNTRUSTED = ("its certificate is not trusted: ", "set ssl_ca_certs in the extra")
NO_CERTIFICATES = ("ssl_ca_certs is no readable file with certificates", "correct it in the extra")
NO_CLIENT = ("ssl_certfile and ssl_keyfile are no readable files", "correct them in the extra")
REJECTED = ("it rejects the login or the password", "correct them in the connection 'limits'")

CASES = {
    "a trusted authority": Case(),
    "the same by the extra": Case(conn_type="redis", extra={"ssl": True, **TRUSTED}),
    "no password": Case(has_password=False, password=None),
    "an unknown authority": Case(extra={}, said=UNTRUSTED),
    "another authority": Case(extra={"ssl_ca_certs": "{stranger}"}, said=UNTRUSTED),
    "optional is required": Case(extra={"ssl_cert_reqs": "optional"}, said=UNTRUSTED),
    "nothing is verified": Case("expired", extra={"ssl_cert_reqs": "none"}),
    "nothing is verified but the host": Case(
        "expired", extra={"ssl_cert_reqs": "none", "ssl_check_hostname": True}
    ),
    "another host": Case("of another host", said=("its certificate is for another host: ", "ssl_check_hostname")),
    "another host, unchecked": Case("of another host", extra={**TRUSTED, "ssl_check_hostname": "false"}),
    "expired": Case("expired", said=("its certificate is not valid now: certificate has expired", "renew it")),
    "a missing file": Case(extra={"ssl_ca_certs": "/nowhere/ca.pem"}, said=NO_CERTIFICATES),
    "a file without certificates": Case(extra={"ssl_ca_certs": "{client.key}"}, said=NO_CERTIFICATES),
    "a client certificate": Case(asks_clients=True, extra=CLIENT),
    "no client certificate": Case(
        asks_clients=True, said=("client certificate", "set ssl_certfile and ssl_keyfile")
    ),
    "a stranger's client certificate": Case(
        asks_clients=True,
        extra={
            **TRUSTED,
            "ssl_certfile": "{client of a stranger.pem}",
            "ssl_keyfile": "{client of a stranger.key}",
        },
        said=("accept the client certificate in ssl_certfile", "use one that it trusts"),
    ),
    "another key": Case(extra={**CLIENT, "ssl_keyfile": "{good.key}"}, said=NO_CLIENT),
    "no client file": Case(extra={**CLIENT, "ssl_certfile": "/nowhere/client.pem"}, said=NO_CLIENT),
    "a wrong password": Case(password="wro/ng", said=REJECTED),
    "a missing password": Case(password=None, said=("it wants a password", "enter it in the connection 'limits'")),
    "no TLS to a TLS port": Case(
        conn_type="redis",
        extra={},
        said=("it closed the connection", "if it speaks TLS on this port, use conn_type"),
    ),
    "TLS to a port without": Case(None, said=("no answer within", "if it speaks no TLS on this port")),
    "no TLS at all": Case(None, conn_type="redis", extra={}),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_redis_behind_tls(
    case: Case,
    emulator: RunningEmulator,
    monkeypatch: pytest.MonkeyPatch,
    start_redis: StartRedis,
    certificates: Certificates,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever is wrong with it is said by a worker, by a triggerer and by the form, and fails nothing."""
    if case.certificate is None:
        monkeypatch.setattr(redis_ledger, "LONGEST_ANSWER", 0.5)
    server = case.start(start_redis)
    case.define(monkeypatch, server.port, certificates)
    connect(emulator, monkeypatch, rate_limit_conn_id="limits", requests_per_minute=6000)

    request_id = SegmindHook().submit(MODEL, {"prompt": "a fox"}).request_id
    asyncio.run(ask_in_triggerer(request_id))
    said = warnings(caplog)
    works, message = SegmindHook().test_connection()

    assert shows_no_secret(message, *said)
    assert SECRET not in caplog.text
    if case.said is None:
        assert said == []
        assert works, message
        assert "Redis shares its rate limit" in message
        cares = {
            "ssl_certfile": certificates.files_of("client")[0],
            "ssl_keyfile": certificates.files_of("client")[1],
        }
        client = {name: str(path) for name, path in cares.items()} if case.asks_clients else {}
        names = names_in(server, tls=case.certificate is not None, password=case.password, **client)
        assert {"airflow-segmind:HASH", "throttled:v1:gcra:airflow-segmind:HASH"} <= names
    else:
        where = f"the Redis of the connection 'limits' (127.0.0.1:{server.port}) cannot be used: "
        assert len(said) == 2, "one of the worker, one of the triggerer"
        for each in (*said, message):
            assert where in each
            for words in case.said:
                assert words in each
        assert not works
        assert "rate_limit_conn_id: the Redis" in message
        assert "Segmind cannot be reached" not in message
        assert "runbook.md#redis-is-down" in message


@pytest.mark.parametrize(
    "name", ["an unknown authority", "another host", "no client certificate", "no TLS to a TLS port"]
)
def test_the_machine_shares_its_file_meanwhile(
    name: str,
    emulator: RunningEmulator,
    monkeypatch: pytest.MonkeyPatch,
    start_redis: StartRedis,
    certificates: Certificates,
) -> None:
    CASES[name].define(monkeypatch, CASES[name].start(start_redis).port, certificates)
    connect(emulator, monkeypatch, rate_limit_conn_id="limits", requests_per_minute=1)
    SegmindHook().submit(MODEL, {"prompt": "a fox"})
    monkeypatch.setattr(worker_turns, "_loop", None)  # as in another process
    with pytest.raises(RateLimitedError, match="queued"):
        SegmindHook().wait_to_submit()


def test_a_bundle_that_is_corrected_is_read_again(
    emulator: RunningEmulator,
    monkeypatch: pytest.MonkeyPatch,
    start_redis: StartRedis,
    certificates: Certificates,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(redis_ledger, "RETRY_AFTER", 0.0)
    caplog.set_level(logging.INFO, "airflow_provider_segmind")
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(certificates.stranger.read_bytes())
    define(monkeypatch, start_redis(certificate="good").port, password=None, ssl_ca_certs=str(bundle))
    connect(emulator, monkeypatch, rate_limit_conn_id="limits")
    hook = SegmindHook()
    request_id = hook.submit(MODEL, {"prompt": "a fox"}).request_id
    bundle.write_bytes(certificates.authority.read_bytes())
    hook.get_status(request_id)
    assert len(warnings(caplog)) == 1
    assert caplog.text.count("works again") == 1


def documented_account() -> list[str]:
    """Return the rules of the account that the documentation has a command for."""
    (rules,) = re.findall(r"^ACL SETUSER segmind (.*)$", PAGE.read_text(), re.MULTILINE)
    return str(rules).replace("PASSWORD", SECRET).split(" ")


def account_options(rules: list[str]) -> list[str]:
    """Return the options of a Redis with this account alone, but for one without a password that may do all."""
    text = " ".join(rules)
    before, after = text.split(f">{SECRET}")
    return ["--user", "segmind", *before.split(), f">{SECRET}", *after.split()]


def test_the_documented_account_may_do_all_that_is_needed(
    emulator: RunningEmulator,
    monkeypatch: pytest.MonkeyPatch,
    start_redis: StartRedis,
    certificates: Certificates,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = start_redis(*account_options(documented_account()), certificate="good")
    define(monkeypatch, server.port, login="segmind", schema="3", ssl_ca_certs=str(certificates.authority))
    connect(emulator, monkeypatch, rate_limit_conn_id="limits", requests_per_minute=6000)
    hook = SegmindHook()
    request_id = hook.submit(MODEL, {"prompt": "a fox"}).request_id
    emulator.faults({"on": "submit", "status": 429, "reset_in": 1, "count": 1})
    with pytest.raises(RateLimitedError):
        hook.submit(MODEL, {"prompt": "a fox"})
    asyncio.run(ask_in_triggerer(request_id))
    works, message = hook.test_connection()
    assert works, message
    assert warnings(caplog) == []
    names = names_in(server, db=3)
    assert {
        "airflow-segmind:HASH",
        "airflow-segmind:HASH:state",
        "throttled:v1:gcra:airflow-segmind:HASH",
    } <= names


OF_THE_SCRIPT = ("+time", "+get", "+set")
"""Redis does not say which command a script may not run."""

NEEDED = [rule for rule in documented_account() if rule.startswith(("+", "~"))]


@pytest.mark.parametrize("missing", NEEDED)
def test_each_documented_permission_is_needed(
    missing: str,
    emulator: RunningEmulator,
    monkeypatch: pytest.MonkeyPatch,
    start_redis: StartRedis,
    certificates: Certificates,
) -> None:
    """The form says so, before a 429 finds out."""
    rules = [rule for rule in documented_account() if rule != missing]
    server = start_redis(*account_options(rules), certificate="good")
    define(monkeypatch, server.port, login="segmind", schema="3", ssl_ca_certs=str(certificates.authority))
    connect(emulator, monkeypatch, rate_limit_conn_id="limits")
    works, message = SegmindHook().test_connection()
    assert not works
    assert "its user lacks a permission: " in message
    assert "docs/rate-limits.md#with-redis" in message
    if missing.startswith("+") and missing not in OF_THE_SCRIPT:
        assert missing.removeprefix("+") in message.lower()
    assert shows_no_secret(message)
