"""Which proxy a call goes through: the connection's, or else the environment's, by the rules of ``requests``."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, unquote, urlsplit
from urllib.request import getproxies

import requests.utils

from airflow_provider_segmind.hooks.addresses import AddressError, is_this_machine, read_proxy
from airflow_provider_segmind.hooks.fields import describe, invalid

_KEY = re.compile(r"(https?|all)(://[a-z0-9._:-]+)?")
_REMEDY = "; set `proxies` in its extra, or NO_PROXY in the environment"


def read_proxies(name: str, given: object) -> dict[str, str]:
    """
    Return the proxies of a connection by ``http``, ``https``, ``all`` or ``https://host``.

    :param given: The field of the extra: an object, or the JSON text of one, as a form may store it. An empty
        value in it means no proxy, whatever the environment says.
    :raises InvalidConnectionError: If one cannot be used both by a worker and by the triggerer.
    """
    if isinstance(given, str):
        given = _parse_object(given)
    if given in (None, "", {}):
        return {}
    if not isinstance(given, Mapping):
        example = 'must be an object like {"https": "http://proxy.example:3128"}'
        raise invalid(name, "proxies", f"{example}, but is {describe(given)}")
    return {_check_key(name, key): _check_proxy(name, proxy) for key, proxy in given.items()}


def _parse_object(text: str) -> object:
    """Return the object that a text is the JSON of; any other text as it is."""
    try:
        read = json.loads(text) if text.lstrip().startswith("{") else text
    except (ValueError, RecursionError):
        return text
    return read


def _check_key(name: str, given: object) -> str:
    key = str(given).strip().lower()
    if _KEY.fullmatch(key):
        return key
    raise invalid(
        name,
        "proxies",
        "has a key other than http, https, all and https://HOST; list hosts without a proxy in NO_PROXY",
    )


def _check_proxy(name: str, given: object) -> str:
    if given in (None, ""):
        return ""
    problem = f"must be URLs of proxies, but one is {describe(given)}"
    if isinstance(given, str):
        try:
            return str(read_proxy(given))
        except AddressError as error:
            problem = f"cannot be used: one {error}; write it like http://proxy.example:3128"
    raise invalid(name, "proxies", problem)


def own_proxy(proxies: Mapping[str, str], url: str) -> str | None:
    """Return the connection's proxy for an address; empty for none, and None if it does not say."""
    proxy: str | None = requests.utils.select_proxy(url, proxies)
    return proxy


def environment_proxy(url: str) -> str | None:
    """Return the environment's proxy for an address, as it is written there."""
    proxy: str | None = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url, no_proxy=None))
    return proxy or None


def proxy_for(proxies: Mapping[str, str], url: str) -> str | None:
    """Return the proxy for an address, with its scheme, or None."""
    own = own_proxy(proxies, url)
    if own is not None:
        return own or None
    found = environment_proxy(url)
    try:
        return str(read_proxy(found)) if found else None
    except AddressError:
        return found  # of a media host: those of Segmind's services were checked with the connection


def check_proxies(name: str, proxies: Mapping[str, str], urls: Iterable[str], *, insecure: bool) -> None:
    """
    Check that each address can be reached from a worker and from the triggerer, and only as safely as meant.

    :param insecure: Whether the API key may travel unencrypted.
    :raises InvalidConnectionError: If the environment names a proxy that only one of them could use: a worker
        would submit through it, and pay, for a result that the triggerer could never fetch.
    """
    for url in urls:
        problem = ""
        try:
            proxy = proxy_for(proxies, url)
            found = read_proxy(proxy) if proxy else None
        except AddressError as error:
            problem = f"has no proxy for {url}, and the environment's {error}{_REMEDY}"
        if problem:
            raise invalid(name, "proxies", problem)
        if found and url.startswith("http://") and not insecure and not is_this_machine(found.host):
            host = urlsplit(url).hostname
            raise invalid(
                name, "proxies", f"would send the API key for {host} unencrypted to another machine{_REMEDY}"
            )


def login_secrets(proxies: Iterable[str]) -> Iterator[str]:
    """Yield what is secret in the URLs of proxies, in each form in which it may be written."""
    for proxy in proxies:
        login, at, _ = proxy.partition("://")[2].rpartition("@") if "://" in proxy else proxy.rpartition("@")
        name, colon, password = login.partition(":")
        secret = password if colon else name  # a token may come without a password
        if not at or not secret:
            continue
        plain = unquote(secret)
        yield from (secret, plain, quote(plain, safe=""), quote(plain), login)
        for written in (f"{name}:{password}", f"{unquote(name)}:{unquote(password)}"):
            yield written
            for encoding in ("utf-8", "latin-1"):
                yield base64.b64encode(written.encode(encoding, "replace")).decode()


def environment_login_secrets() -> Iterator[str]:
    """Yield the same of all proxies that the environment names."""
    return login_secrets(getproxies().values())
