"""What an Airflow connection of the type ``segmind`` says, checked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests.utils

from airflow_provider_segmind import __version__
from airflow_provider_segmind.api.call import Call, Service
from airflow_provider_segmind.api.media_url import MediaRules
from airflow_provider_segmind.exceptions import InvalidConnectionError

DEFAULT_CONNECTION_ID = "segmind_default"
API_KEY_VARIABLE = "SEGMIND_API_KEY"
GATEWAY_URL = "https://api.segmind.com"
PLATFORM_URL = "https://api.spotprod.segmind.com"
STORAGE_URL = "https://workflows-api.segmind.com"
DEFAULT_TIMEOUT = 30.0
CONNECT_TIMEOUT = 10.0
"""Seconds to wait for a connection at most, so that a dead host is known before ``timeout`` is over."""

_PORT = re.compile(r":\d+$")
_HOST = re.compile(r"[A-Za-z0-9._:-]+")

USER_AGENT = f"airflow-provider-segmind/{__version__}"


@dataclass(frozen=True)
class SegmindConnection:
    """
    Where Segmind is and how to speak to it.

    :param api_key: Sent as ``x-api-key``; never shown.
    :param urls: The address of each service, without a slash at the end.
    :param timeout: Seconds for one HTTP call.
    :param requests_per_minute: What the key allows; None if not told.
    :param verify: False to accept any TLS certificate, or the path of a CA bundle or folder.
    :param allow_private_media: Whether outputs are fetched from addresses that are not of the public internet.
    :param proxies: Proxy URLs by scheme, as ``requests`` takes them; without one for a call, those of the
        environment are used.
    """

    api_key: str = field(repr=False)
    urls: Mapping[Service, str]
    timeout: float = DEFAULT_TIMEOUT
    requests_per_minute: float | None = None
    verify: bool | str = True
    allow_private_media: bool = False
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)

    @cached_property
    def media_rules(self) -> MediaRules:
        """From where outputs may be fetched: also from this machine, if Segmind itself is emulated there."""
        gateway = urlsplit(self.urls[Service.GATEWAY]).hostname or ""
        emulated = gateway == "localhost" or gateway.startswith("127.") or gateway == "::1"
        return MediaRules(loopback=emulated, private=self.allow_private_media)

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
        """Return the proxies to use for an address, by scheme."""
        return {**requests.utils.get_environ_proxies(url, no_proxy=None), **self.proxies}

    def proxy_for(self, url: str) -> str | None:
        """Return the one proxy to use for an address, if any."""
        return requests.utils.select_proxy(url, self.proxies_for(url))

    def redacted(self, body: bytes) -> bytes:
        """Return a body without the API key, should Segmind ever repeat it."""
        return body.replace(self.api_key.encode(), b"***")


def connection_from_key(api_key: str) -> SegmindConnection:
    """Return the connection that a bare API key stands for."""
    return read_connection(API_KEY_VARIABLE, password=api_key, host=None, extra={})


def read_connection(
    name: str,
    *,
    password: str | None,
    host: str | None,
    extra: Mapping[str, Any],
    port: int | None = None,
    schema: str | None = None,
) -> SegmindConnection:
    """
    Return what the fields of an Airflow connection say.

    :param name: The connection's id, for messages.
    :raises InvalidConnectionError: If a field is missing or cannot be used. It names the field.
    """
    if not password or not password.strip():
        raise _invalid(name, "password", "is empty; write the Segmind API key (SG_…) there")
    key = password.strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise _invalid(name, "password", "is no API key: it holds characters that cannot go into a header")
    return SegmindConnection(
        api_key=key,
        urls={
            Service.GATEWAY: _url(name, "host", _with_port(host, port, schema), GATEWAY_URL),
            Service.PLATFORM: _url(name, "platform_url", extra.get("platform_url"), PLATFORM_URL),
            Service.STORAGE: _url(name, "storage_url", extra.get("storage_url"), STORAGE_URL),
        },
        timeout=_positive(name, "timeout", extra.get("timeout"), "seconds") or DEFAULT_TIMEOUT,
        requests_per_minute=_positive(
            name, "requests_per_minute", extra.get("requests_per_minute"), "requests a minute"
        ),
        verify=_verify(name, extra.get("verify")),
        allow_private_media=_yes_or_no(name, "allow_private_media", extra.get("allow_private_media")),
        proxies=_proxies(name, extra.get("proxies")),
    )


def _invalid(name: str, field_name: str, problem: str) -> InvalidConnectionError:
    return InvalidConnectionError(f"{field_name} of the connection {name!r} {problem}")


def _with_port(host: str | None, port: int | None, schema: str | None) -> str | None:
    """Put together what a connection URI takes apart."""
    if host and "://" not in host:
        host = f"{schema or 'https'}://{host}"
    if host and port and not _PORT.search(host.rstrip("/")):
        host = f"{host.rstrip('/')}:{port}"
    return host


def _url(name: str, field_name: str, given: object, default: str) -> str:
    if given in (None, ""):
        return default
    url = str(given).strip()
    if "://" not in url:
        url = f"https://{url}"
    try:
        parts = urlsplit(url)
        usable = (
            parts.scheme in ("http", "https")
            and _HOST.fullmatch(parts.hostname or "") is not None
            and parts.port != 0
            and not (parts.query or parts.fragment or parts.username or parts.password)
        )
    except ValueError:
        usable = False
    if not usable:
        raise _invalid(name, field_name, f"must be an address like {default!r}, without a login or a query")
    return url.rstrip("/")


def _positive(name: str, field_name: str, given: object, unit: str) -> float | None:
    if given in (None, ""):
        return None
    try:
        number = float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = 0.0
    if isinstance(given, bool) or not 0 < number < float("inf"):
        raise _invalid(name, field_name, f"must be a positive number ({unit}), not {given!r}")
    return number


def _yes_or_no(name: str, field_name: str, given: object) -> bool:
    if given in (None, "", False):
        return False
    if given is True or (isinstance(given, str) and given.strip().lower() == "true"):
        return True
    if isinstance(given, str) and given.strip().lower() == "false":
        return False
    raise _invalid(name, field_name, f"must be true or false, not {given!r}")


def _verify(name: str, given: object) -> bool | str:
    """Return what to check certificates against, by the rules of ``requests`` for its environment variables."""
    words = {"true": True, "false": False, "": True}
    if isinstance(given, str):
        given = words.get(given.strip().lower(), given)
    if given is None or given is True:
        given = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
    if isinstance(given, bool) or (isinstance(given, str) and Path(given).exists()):
        return given
    raise _invalid(name, "verify", f"must be true, false or the path of a CA bundle, not {given!r}")


def _proxies(name: str, given: object) -> Mapping[str, str]:
    if given in (None, "", {}):
        return {}
    if isinstance(given, Mapping) and all(isinstance(part, str) for pair in given.items() for part in pair):
        return {scheme: url if "://" in url else f"http://{url}" for scheme, url in given.items()}
    raise _invalid(name, "proxies", 'must be an object like {"https": "http://proxy.example:3128"}')
