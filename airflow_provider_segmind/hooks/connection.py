"""What an Airflow connection of the type ``segmind`` says, checked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from airflow_provider_segmind import __version__
from airflow_provider_segmind.api.call import Call, Service
from airflow_provider_segmind.api.media_url import MediaRules, is_loopback_host
from airflow_provider_segmind.hooks.addresses import (
    Address,
    AddressError,
    is_this_machine,
    read_address,
    read_port,
    with_port,
)
from airflow_provider_segmind.hooks.fields import (
    described,
    invalid,
    read_extra,
    read_number,
    read_yes_or_no,
    unknown_keys,
)
from airflow_provider_segmind.hooks.proxies import (
    check_proxies,
    environment_login_secrets,
    login_secrets,
    proxy_for,
    read_proxies,
)
from airflow_provider_segmind.hooks.redaction import Redactor, base64_forms

CONNECTION_TYPE = "segmind"
DEFAULT_CONNECTION_ID = "segmind_default"
API_KEY_VARIABLE = "SEGMIND_API_KEY"
GATEWAY_URL = "https://api.segmind.com"
PLATFORM_URL = "https://api.spotprod.segmind.com"
STORAGE_URL = "https://workflows-api.segmind.com"
DEFAULT_TIMEOUT = 30.0
CONNECT_TIMEOUT = 10.0
"""Seconds to wait for a connection at most, so that a dead host is known before ``timeout`` is over."""

TIMEOUT_RANGE = (0.1, 3600.0)
"""Seconds for one HTTP call."""

RATE_RANGE = (0.1, 100_000.0)
"""Requests a minute."""

LONGEST_KEY = 1024
EXTRA_KEYS = (
    "allow_insecure_http",
    "allow_private_media",
    "platform_url",
    "proxies",
    "requests_per_minute",
    "storage_url",
    "timeout",
    "verify",
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
    :param verify: False to accept any TLS certificate, or the path of a CA bundle or folder.
    :param allow_private_media: Whether outputs are fetched from addresses that are not of the public internet.
    :param proxies: Proxy URLs by scheme, as ``requests`` takes them; without one for a call, those of the
        environment are used. An empty one stands for no proxy.
    :param remarks: What is odd about the connection but does no harm, such as unknown keys of its extra.
    """

    api_key: str = field(repr=False)
    urls: Mapping[Service, str]
    timeout: float = DEFAULT_TIMEOUT
    requests_per_minute: float | None = None
    verify: bool | str = True
    allow_private_media: bool = False
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    remarks: tuple[str, ...] = field(default=(), repr=False)

    @cached_property
    def media_rules(self) -> MediaRules:
        """From where outputs may be fetched: also from this machine, if Segmind itself is emulated there."""
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

    def patience(self, call: Call[Any]) -> float:
        """Return the seconds that a call may take."""
        return self.timeout if call.patience is None else call.patience

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

    def redacted(self, body: bytes) -> bytes:
        """Return a body without the API key, should Segmind ever repeat it, however it is escaped."""
        return self._redactor.redact_body(body)

    def redacted_text(self, text: str) -> str:
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
    insecure = read_yes_or_no(name, "allow_insecure_http", fields.get("allow_insecure_http"))
    services = {
        Service.GATEWAY: _read_gateway(name, host, port, schema),
        Service.PLATFORM: _read_service(name, "platform_url", fields.get("platform_url"), PLATFORM_URL),
        Service.STORAGE: _read_service(name, "storage_url", fields.get("storage_url"), STORAGE_URL),
    }
    for service, address in services.items():
        _check_encrypted(name, _FIELDS[service], address, insecure=insecure)
    urls = {service: str(address) for service, address in services.items()}
    proxies = read_proxies(name, fields.get("proxies"))
    check_proxies(name, proxies, urls.values(), insecure=insecure)
    return SegmindConnection(
        api_key=key,
        urls=urls,
        timeout=read_number(name, "timeout", fields.get("timeout"), *TIMEOUT_RANGE, "seconds") or DEFAULT_TIMEOUT,
        requests_per_minute=read_number(
            name, "requests_per_minute", fields.get("requests_per_minute"), *RATE_RANGE, "requests a minute"
        ),
        verify=_read_verify(name, fields.get("verify")),
        allow_private_media=read_yes_or_no(name, "allow_private_media", fields.get("allow_private_media")),
        proxies=proxies,
        remarks=unknown_keys(name, fields, EXTRA_KEYS),
    )


_FIELDS = {Service.GATEWAY: "host", Service.PLATFORM: "platform_url", Service.STORAGE: "storage_url"}


def _read_key(name: str, password: object) -> str:
    key = password.strip() if isinstance(password, str) else ""
    if password is not None and not isinstance(password, str):
        problem = f"must be the Segmind API key as text, but is {described(password)}"
    elif not key:
        problem = "is empty; write the Segmind API key (SG_…) there"
    elif len(key) > LONGEST_KEY:
        problem = f"has {len(key)} characters; a Segmind API key has about 19"
    elif key[0] in "\"'`" or key[-1] in "\"'`":
        problem = "is in quotes; write the API key without them"
    elif re.match(r"(?i)bearer\b", key):
        problem = "begins with 'Bearer'; write the API key (SG_…) alone"
    elif not key.isascii() or not key.isprintable() or " " in key:
        problem = "is not an API key: it holds characters that cannot go into a header, such as a space"
    else:
        return key
    raise invalid(name, "password", problem)


def _read_gateway(name: str, host: object, port: object, schema: object) -> Address:
    """Put together what a connection URI takes apart; each field may also be set on its own."""
    scheme = schema.strip().lower() if isinstance(schema, str) else schema or ""
    if scheme not in ("", "http", "https"):
        raise invalid(name, "schema", "must be http, https or empty")
    if host in (None, ""):
        if port in (None, "") and scheme != "http":
            return read_address(GATEWAY_URL)
        raise invalid(name, "host", "is empty, but its port or schema is set; write the host, or empty them")
    address = _parsed(name, "host", host, GATEWAY_URL)
    if scheme and address.scheme not in ("", scheme):
        raise invalid(name, "schema", "is not the one that host begins with; write it in one place")
    problem = ""
    try:
        address = with_port(address, read_port(port))
    except AddressError as error:
        problem = str(error)
    if problem:
        raise invalid(name, "port", problem)
    return _with_scheme(replace(address, scheme=address.scheme or str(scheme)))


def _read_service(name: str, field_name: str, given: object, default: str) -> Address:
    return _with_scheme(_parsed(name, field_name, default if given in (None, "") else given, default))


def _parsed(name: str, field_name: str, given: object, default: str) -> Address:
    problem = f"is {described(given)}"
    if isinstance(given, str):
        try:
            return read_address(given)
        except AddressError as error:
            problem = str(error)
    raise invalid(name, field_name, f"{problem}; write an address like {default!r}")


def _with_scheme(address: Address) -> Address:
    """Return an address that says how to speak to it: an emulator on this machine has no certificate."""
    if address.scheme:
        return address
    return replace(address, scheme="http" if is_this_machine(address.host) else "https")


def _check_encrypted(name: str, field_name: str, address: Address, *, insecure: bool) -> None:
    if address.scheme == "https" or insecure or is_this_machine(address.host):
        return
    raise invalid(
        name,
        field_name,
        "is a plain http address, which would send the API key unencrypted; write https://, or say "
        '"allow_insecure_http": true in the extra of the connection',
    )


def _read_verify(name: str, given: object) -> bool | str:
    """Return what to check certificates against, by the rules of ``requests`` for its environment variables."""
    words: dict[str, bool | None] = {"true": None, "false": False, "": None}
    if isinstance(given, str):
        given = words.get(given.strip().lower(), given.strip())
    if given is False:
        return False
    if isinstance(given, str):
        return _checked_bundle(name, given)
    if given is not None and given is not True:
        raise invalid(name, "verify", f"must be true, false or the path of a CA bundle, but is {described(given)}")
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if path := os.environ.get(variable):
            return _checked_bundle(name, str(Path(path).absolute()), f"comes from {variable} and ")
    return True


def _checked_bundle(name: str, given: str, origin: str = "") -> str:
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
            problem = "is neither true nor false, and no file of this machine has that path"
        elif not path.stat().st_size:
            problem = "is an empty file"
    except (OSError, RuntimeError, ValueError) as error:
        problem = f"is a path that cannot be read ({type(error).__name__})"
    if problem:
        raise invalid(name, "verify", f"{origin}{problem}; write the absolute path of a CA bundle (PEM)")
    return str(path)
