"""What an Airflow connection of the type ``segmind`` says, checked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from airflow_provider_segmind import __version__
from airflow_provider_segmind.api.call import Call, Service
from airflow_provider_segmind.api.expectation import LONGEST_DURATION, SHORTEST_DURATION
from airflow_provider_segmind.api.hosts import is_loopback_host
from airflow_provider_segmind.hooks.addresses import is_public, read_services
from airflow_provider_segmind.hooks.fields import (
    describe,
    invalid,
    read_extra,
    read_flag_field,
    read_number_field,
    unknown_keys,
)
from airflow_provider_segmind.hooks.names import (
    API_KEY_VARIABLE,
    DEFAULT_CALL_TIMEOUT,
    RATE_RANGE,
    TIMEOUT_RANGE,
)
from airflow_provider_segmind.hooks.proxies import (
    check_proxies,
    environment_login_secrets,
    login_secrets,
    proxy_for,
    read_proxies,
)
from airflow_provider_segmind.hooks.redaction import Redactor, base64_forms

if TYPE_CHECKING:
    from airflow_provider_segmind.api.media_url import MediaRules

DURATION_RANGE = (SHORTEST_DURATION, LONGEST_DURATION)
"""Seconds for one request to a model."""

_CONNECTION_ID = re.compile(r"[\w.-]{1,200}")
LONGEST_KEY = 1024
EXTRA_KEYS = (
    "allow_insecure_http",
    "allow_private_media",
    "expected_duration",
    "platform_url",
    "proxies",
    "rate_limit_conn_id",
    "requests_per_minute",
    "storage_url",
    "timeout",
    "verify",
)

_OF_AN_EMULATOR = (
    "is for an emulator, whose requests all take about as long; Segmind's models differ: remove it, and set "
    "expected_duration in the task"
)

USER_AGENT = f"airflow-provider-segmind/{__version__}"


@dataclass(frozen=True)
class SegmindConnection:
    """
    Where Segmind is and how to speak to it.

    :param api_key: Sent as ``x-api-key``; never shown.
    :param urls: The address of each service, without a slash at the end.
    :param timeout: Seconds for one HTTP call.
    :param requests_per_minute: What the key allows; None if the connection does not say.
    :param rate_limit_conn_id: An Airflow connection to the Redis in which all machines share the key's rate limit;
        None if there is none.
    :param expected_duration: Seconds that a request usually takes, whatever its model: an emulator's are alike.
    :param verify: False to accept any TLS certificate, or the path of a CA bundle or folder.
    :param allow_private_media: Whether outputs are fetched from addresses that are not of the public internet.
    :param proxies: Proxy URLs by scheme, as ``requests`` takes them; without one for a call, those of the
        environment are used. An empty one stands for no proxy.
    :param remarks: What is odd about the connection but does no harm, such as unknown keys of its extra.
    """

    api_key: str = field(repr=False)
    urls: Mapping[Service, str]
    timeout: float = DEFAULT_CALL_TIMEOUT
    requests_per_minute: float | None = None
    rate_limit_conn_id: str | None = None
    expected_duration: float | None = None
    verify: bool | str = True
    allow_private_media: bool = False
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    remarks: tuple[str, ...] = field(default=(), repr=False)

    @cached_property
    def media_rules(self) -> MediaRules:
        """From where outputs may be fetched: also from this machine, if Segmind itself is emulated there."""
        from airflow_provider_segmind.api.media_url import MediaRules  # only what fetches outputs

        gateway = urlsplit(self.urls[Service.GATEWAY]).hostname or ""
        return MediaRules(loopback=is_loopback_host(gateway), private=self.allow_private_media)

    def url(self, call: Call[Any]) -> str:
        """Return the address to send a call to."""
        query = f"?{urlencode(call.query)}" if call.query else ""
        return f"{self.urls[call.service]}{call.path}{query}"

    def headers(self, call: Call[Any]) -> dict[str, str]:
        """Return the headers to send with a call."""
        headers = {"User-Agent": USER_AGENT, "Accept": "application/json, */*;q=0.5"}
        if call.needs_key:
            headers["x-api-key"] = self.api_key
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        return headers

    def timeout_of(self, call: Call[Any]) -> float:
        """Return the seconds that a call may take."""
        return self.timeout if call.timeout is None else call.timeout

    def proxies_for(self, url: str) -> dict[str, str]:
        """Return the proxy to use for an address, by its scheme, as ``requests`` takes it."""
        proxy = self.proxy_for(url)
        return {urlsplit(url).scheme: proxy} if proxy else {}

    def proxy_for(self, url: str) -> str | None:
        """Return the one proxy to use for an address, if any."""
        return proxy_for(self.proxies, url)

    @property
    def secrets(self) -> tuple[str, ...]:
        """
        What may appear in no log: the API key and the logins of proxies, also of the environment's, as they are
        and as they may be encoded.
        """
        key = (self.api_key, quote(self.api_key, safe=""), *base64_forms(self.api_key))
        proxies = (*login_secrets(self.proxies.values()), *environment_login_secrets())
        return tuple(dict.fromkeys(filter(None, (*key, *proxies))))

    def redact(self, body: bytes) -> bytes:
        """Return a body without the API key, should Segmind ever repeat it, however it is escaped."""
        return self._redactor.redact_body(body)

    def redact_text(self, text: str) -> str:
        """Return a text, such as a header or an error's message, without the connection's secrets."""
        return self._redactor.redact_text(text)

    @cached_property
    def _redactor(self) -> Redactor:
        return Redactor(self.api_key, self.secrets)


def connection_from_key(api_key: str) -> SegmindConnection:
    """Return the connection that a bare API key stands for."""
    return read_connection(API_KEY_VARIABLE, password=api_key, host=None, extra={})


def read_connection(
    name: str,
    *,
    password: str | None,
    host: str | None,
    extra: Mapping[str, Any] | str | None,
    port: int | None = None,
    schema: str | None = None,
) -> SegmindConnection:
    """
    Return what the fields of an Airflow connection say.

    :param name: The connection's id, for messages.
    :param extra: An object, or the JSON text of one.
    :raises InvalidConnectionError: If a field is missing or cannot be used, or the environment's proxy cannot. It
        names the field, and repeats no value.
    """
    key = _read_key(name, password)
    fields = read_extra(name, extra)
    insecure = read_flag_field(name, "allow_insecure_http", fields.get("allow_insecure_http"))
    requests_per_minute = read_number_field(
        name, "requests_per_minute", fields.get("requests_per_minute"), *RATE_RANGE, "requests a minute"
    )
    timeout = read_number_field(name, "timeout", fields.get("timeout"), *TIMEOUT_RANGE, "seconds")
    expected_duration = read_number_field(
        name, "expected_duration", fields.get("expected_duration"), *DURATION_RANGE, "seconds"
    )
    allow_private_media = read_flag_field(name, "allow_private_media", fields.get("allow_private_media"))
    remarks = unknown_keys(name, fields, EXTRA_KEYS)
    urls = read_services(
        name, host, port, schema, fields.get("platform_url"), fields.get("storage_url"), insecure=insecure
    )
    if expected_duration is not None and is_public(urls[Service.GATEWAY]):
        raise invalid(name, "expected_duration", _OF_AN_EMULATOR)
    proxies = read_proxies(name, fields.get("proxies"))
    check_proxies(name, proxies, urls.values(), insecure=insecure)
    return SegmindConnection(
        api_key=key,
        urls=urls,
        timeout=timeout or DEFAULT_CALL_TIMEOUT,
        requests_per_minute=requests_per_minute,
        rate_limit_conn_id=_read_id(name, fields.get("rate_limit_conn_id")),
        expected_duration=expected_duration,
        verify=_read_verify(name, fields.get("verify")),
        allow_private_media=allow_private_media,
        proxies=proxies,
        remarks=remarks,
    )


def _read_key(name: str, password: object) -> str:
    key = password.strip() if isinstance(password, str) else ""
    if password is not None and not isinstance(password, str):
        problem = f"must be the Segmind API key as text, but is {describe(password)}"
    elif not key:
        problem = "is empty; enter the Segmind API key (SG_…)"
    elif len(key) > LONGEST_KEY:
        problem = f"has {len(key)} characters; a Segmind API key has about 19"
    elif key[0] in "\"'`" or key[-1] in "\"'`":
        problem = "is in quotes; enter the API key without them"
    elif re.match(r"(?i)bearer\b", key):
        problem = "starts with 'Bearer'; enter only the API key (SG_…)"
    elif not key.isascii() or not key.isprintable() or " " in key:
        problem = "is not an API key: it contains characters that a header cannot hold, such as a space"
    else:
        return key
    raise invalid(name, "password", problem)


def _read_id(name: str, given: object) -> str | None:
    """Return the id of another connection; None if there is none."""
    if given is None or given == "":
        return None
    if isinstance(given, str) and _CONNECTION_ID.fullmatch(given.strip()) and "SG_" not in given.upper():
        return given.strip()
    wanted = "must be the id of an Airflow connection of the type 'redis', not its URI"
    raise invalid(name, "rate_limit_conn_id", f"{wanted}, but is {describe(given)}")


def _read_verify(name: str, given: object) -> bool | str:
    """Return what to check certificates against, by the rules of ``requests`` for its environment variables."""
    words: dict[str, bool | None] = {"true": None, "false": False, "": None}
    if isinstance(given, str):
        given = words.get(given.strip().lower(), given.strip())
    if given is False:
        return False
    if isinstance(given, str):
        return _check_bundle(name, given)
    if given is not None and given is not True:
        raise invalid(name, "verify", f"must be true, false or the path of a CA bundle, but is {describe(given)}")
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if path := os.environ.get(variable):
            return _check_bundle(name, str(Path(path).absolute()), f"comes from {variable} and ")
    return True


def _check_bundle(name: str, given: str, origin: str = "") -> str:
    """
    Return the path of certificates, if there is something that can hold some.

    It has to be absolute, because a worker and the triggerer do not run in the same folder.
    """
    problem = ""
    try:
        path = Path(given).expanduser()
        if not path.is_absolute():
            problem = "is a relative path"
        elif path.is_dir():
            if not any(re.fullmatch(r"[0-9a-f]{8}\.[0-9]+", each.name) for each in path.iterdir()):
                problem = "is a folder without hashed certificates; run `openssl rehash` on it"
        elif not path.is_file():
            problem = "is neither true nor false, nor the path of a file on this machine"
        elif not path.stat().st_size:
            problem = "is an empty file"
    except (OSError, RuntimeError, ValueError) as error:
        problem = f"is a path that cannot be read ({type(error).__name__})"
    if problem:
        raise invalid(name, "verify", f"{origin}{problem}; write the absolute path of a CA bundle (PEM)")
    return str(path)
