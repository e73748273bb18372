"""
Reading the addresses that a connection names: of Segmind's services, and of proxies.

The text is checked before anything parses it: ``urlsplit`` drops tabs and line breaks without a word, and HTTP
libraries disagree on backslashes, on unescaped logins, and on what ``127.1`` is. What passes means the same to all
of them.
No message repeats the text, which may hold a password.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import unquote

from airflow_provider_segmind.api.call import Service
from airflow_provider_segmind.api.hosts import is_loopback_host
from airflow_provider_segmind.hooks.fields import describe, invalid
from airflow_provider_segmind.hooks.names import GATEWAY_URL, PLATFORM_URL, STORAGE_URL

LONGEST_ADDRESS = 2048

FIELDS = {Service.GATEWAY: "host", Service.PLATFORM: "platform_url", Service.STORAGE: "storage_url"}
"""The field of a connection that has the address of each service."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_STRANGE = re.compile(r'[\x00-\x20\x7f\\"<>^`{|}]')
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMERIC = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_LOGIN = re.compile(r"([A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})+")
_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*")


class AddressError(ValueError):
    """What is wrong with an address, in words that continue "the field …". It repeats none of it."""


@dataclass(frozen=True)
class Address:
    """
    A parsed address.

    :param scheme: In lower case; empty if the text has none.
    :param host: In lower case; an IPv6 address without its brackets.
    :param path: Without a slash at the end.
    :param login: ``user:password`` as it was written, percent-encoded.
    """

    scheme: str
    host: str
    port: int | None = None
    path: str = ""
    login: str = ""

    def __str__(self) -> str:
        login = f"{self.login}@" if self.login else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port else ""
        return f"{self.scheme}://{login}{host}{port}{self.path}"


def is_this_machine(host: str) -> bool:
    """
    Return whether what is sent to a host stays on this machine.

    A resolver may send ``a.localhost`` elsewhere, although no public name server knows it.
    """
    return is_loopback_host(host) and not host.lower().rstrip(".").endswith(".localhost")


def is_public(gateway: str) -> bool:
    """Whether a gateway's address is that of Segmind itself."""
    return read_address(gateway).host == read_address(GATEWAY_URL).host


def read_services(
    name: str,
    host: object,
    port: object,
    schema: object,
    platform_url: object,
    storage_url: object,
    *,
    insecure: bool,
) -> dict[Service, str]:
    """
    Return the URL of each service, without a slash at its end, from the fields of a connection.

    Where ``host`` is another one than Segmind's, the other two services are expected there as well: a connection
    to a proxy or an emulator must not send prompts and images to the public Segmind because a field was left out.

    :param name: The connection's id, for messages.
    :param insecure: Whether the API key may travel unencrypted.
    :raises InvalidConnectionError: If one cannot be used. It names the field.
    """
    gateway = _read_gateway(name, host, port, schema)
    elsewhere = None if is_public(str(gateway)) else gateway
    services = {
        Service.GATEWAY: gateway,
        Service.PLATFORM: _read_service(name, "platform_url", platform_url, PLATFORM_URL, elsewhere),
        Service.STORAGE: _read_service(name, "storage_url", storage_url, STORAGE_URL, elsewhere),
    }
    if not insecure:
        _check_encrypted(name, services)
    return {service: str(address) for service, address in services.items()}


def read_address(text: str) -> Address:
    """
    Return the address of a service, with or without ``http://`` or ``https://`` before it.

    :raises AddressError: If it has another scheme, a login or a query, or cannot be read.
    """
    scheme, rest = _split_scheme(text)
    if scheme not in ("", "http", "https"):
        raise AddressError("must start with https://")
    if any(mark in rest for mark in "@?#"):
        raise AddressError("must not contain a login, a query or a fragment ('@', '?' or '#')")
    authority, slash, path = rest.partition("/")
    path = f"{slash}{path}".rstrip("/")
    if not _PATH.fullmatch(path):
        raise AddressError("has a path with empty or dotted parts, or characters other than A-Z a-z 0-9 - . _ ~")
    host, port = _read_host_and_port(authority)
    return Address(scheme, host, port, path)


def read_proxy(text: str) -> Address:
    """
    Return the address of a proxy; without a scheme it is an ``http`` one.

    :raises AddressError: If a worker and the triggerer could not both use it.
    """
    scheme, rest = _split_scheme(text)
    if scheme.startswith("socks"):
        raise AddressError("is a SOCKS proxy, which the triggerer cannot use")
    if scheme not in ("", "http", "https"):
        raise AddressError("has a scheme other than http:// and https://")
    login, at, host_and_path = rest.rpartition("@")
    if at and (not _LOGIN.fullmatch(login) or login.startswith(":")):
        raise AddressError(
            "has a login without a name, or with characters that must be percent-encoded (such as %2F for /)"
        )
    if not _is_latin(unquote(login)):
        raise AddressError("has a login with characters that a header cannot hold")
    authority, _, path = host_and_path.partition("/")
    if path or "?" in authority or "#" in authority:
        raise AddressError("must not contain a path, a query or a fragment")
    host, port = _read_host_and_port(authority)
    return Address(scheme or "http", host, port, login=login)


def read_port(given: object) -> int | None:
    """
    Return a port that stands in a separate field; None and an empty text are none.

    :raises AddressError: If it is not a number from 1 to 65535.
    """
    if given in (None, ""):
        return None
    return (
        _read_port_number(str(given))
        if isinstance(given, (int, str)) and not isinstance(given, bool)
        else _read_port_number("")
    )


def with_port(address: Address, port: int | None) -> Address:
    """
    Return an address with the port of a separate field.

    :raises AddressError: If the address has another one.
    """
    if port is None or address.port == port:
        return address
    if address.port is not None:
        raise AddressError("is not the one in host; set it in one place")
    return replace(address, port=port)


def _read_gateway(name: str, host: object, port: object, schema: object) -> Address:
    """Put together what a connection URI takes apart; each field may also be set on its own."""
    scheme = schema.strip().lower() if isinstance(schema, str) else schema or ""
    if scheme not in ("", "http", "https"):
        raise invalid(name, "schema", "must be http, https or empty")
    if host in (None, ""):
        if port in (None, "") and scheme != "http":
            return read_address(GATEWAY_URL)
        raise invalid(name, "host", "is empty, but port or schema is set; enter the host, or clear both")
    address = _parse_address(name, "host", host, GATEWAY_URL)
    if scheme and address.scheme not in ("", scheme):
        raise invalid(name, "schema", "is not the one in host; set it in one place")
    problem = ""
    try:
        address = with_port(address, read_port(port))
    except AddressError as error:
        problem = str(error)
    if problem:
        raise invalid(name, "port", problem)
    return _with_scheme(replace(address, scheme=address.scheme or str(scheme)))


def _read_service(name: str, field_name: str, given: object, public: str, elsewhere: Address | None) -> Address:
    if given not in (None, ""):
        return _with_scheme(_parse_address(name, field_name, given, public))
    return elsewhere or read_address(public)


def _parse_address(name: str, field_name: str, given: object, default: str) -> Address:
    if isinstance(given, str):
        try:
            return read_address(given)
        except AddressError as error:
            problem = str(error)
    else:
        problem = f"is {describe(given)}"
    raise invalid(name, field_name, f"{problem}; write an address like {default!r}")


def _with_scheme(address: Address) -> Address:
    """Return an address that says how to speak to it: an emulator on this machine has no certificate."""
    if address.scheme:
        return address
    return replace(address, scheme="http" if is_this_machine(address.host) else "https")


def _check_encrypted(name: str, services: Mapping[Service, Address]) -> None:
    """Check that the API key leaves this machine encrypted only."""
    plain = {service: address.host for service, address in services.items() if address.scheme != "https"}
    exposed = {host for host in set(plain.values()) if not is_this_machine(host)}
    for service, host in plain.items():
        if host in exposed:
            raise invalid(
                name,
                FIELDS[service],
                "is a plain http address, which would send the API key unencrypted; use https://, or set "
                '"allow_insecure_http": true in the extra of the connection',
            )


def _split_scheme(text: str) -> tuple[str, str]:
    if len(text) > LONGEST_ADDRESS:
        raise AddressError(f"has {len(text)} characters; the limit is {LONGEST_ADDRESS}")
    if not text.isascii():
        raise AddressError("contains characters outside of ASCII; write an international name in its xn-- form")
    if _STRANGE.search(text):
        raise AddressError('contains a space, a line break, a control character, a backslash or one of "<>^`{|}')
    found = _SCHEME.match(text)
    return (found[1].lower(), text[found.end() :]) if found else ("", text)


def _read_host_and_port(authority: str) -> tuple[str, int | None]:
    if authority.startswith("["):
        host, closed, after = authority[1:].partition("]")
        if not closed or (after and not after.startswith(":")):
            raise AddressError("has brackets that do not enclose an IPv6 address")
        return _read_ipv6(host), _read_port_number(after[1:]) if after else None
    if authority.count(":") > 1:
        return _read_ipv6(authority), None
    host, colon, port = authority.partition(":")
    return _read_host(host), _read_port_number(port) if colon else None


def _read_host(text: str) -> str:
    host = text.removesuffix(".").lower()
    labels = host.split(".")
    if not host or len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise AddressError("has no valid host name")
    if not _NUMERIC.fullmatch(labels[-1]):
        return host
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError:
        raise AddressError("has a number as its host that is not an IPv4 address such as 192.0.2.1") from None


def _read_ipv6(text: str) -> str:
    try:
        if "%" not in text:  # a zone means something on one machine only
            return str(ipaddress.IPv6Address(text))
    except ValueError:
        pass
    raise AddressError("has neither a host name and a port nor an IPv6 address (without a zone)")


def _read_port_number(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,5}", text) and 1 <= int(text) <= 65535:
        return int(text)
    raise AddressError("has a port that is not a number from 1 to 65535")


def _is_latin(text: str) -> bool:
    return all(ord(character) < 256 for character in text)
