"""From where an output may be fetched: a result may name any URL."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import NamedTuple, NoReturn
from urllib.parse import quote, urljoin, urlsplit

import idna

from airflow_provider_segmind.api.hosts import (
    NUMBER,
    Address,
    effective,
    is_loopback,
    is_loopback_host,
    read_address,
    read_ipv4,
)
from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.exceptions import OutputRefusedError

_LONGEST_HOST = 253
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:@%]+)(?::([0-9]{0,5}))?", re.IGNORECASE)
_AMBIGUOUS = re.compile(r"[\x00-\x1f\x7f\\]")
"""Some parsers drop control characters and take a backslash for a slash: others would see another host."""

_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_LEFT_AS_THEY_ARE = "!#$%&'()*+,/:;=?@[]~"

_PRIVATE_NAMES = (
    *("local", "localdomain", "internal", "intranet", "private", "corp", "home", "lan", "home.arpa"),
)
"""Ends of names that no public name server knows (RFC 6762, 8375, and ICANN's reservation of ``internal``)."""

_SPECIAL_V4 = [
    ipaddress.IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    )
]
"""What versions of Python disagree about, and the rest beside it, so that the rule can be read in one place."""

_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
"""All that has been assigned for the public internet so far."""

_SPECIAL_V6 = [
    ipaddress.IPv6Network(network)
    for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3ffe::/16", "3fff::/20")
]
"""Teredo, ORCHID and other protocols; documentation; 6to4, which leads to any IPv4 address; the former 6bone."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class MediaRules:
    """
    What may be fetched.

    :param loopback: Whether plain http and loopback addresses are allowed, as for an emulator.
    :param private: Whether addresses are allowed that are not of the public internet.
    """

    loopback: bool = False
    private: bool = False

    def check_url(self, url: str, request_id: str | None = None) -> str:
        """
        Return a URL if it may be fetched, as far as that is known before its host is looked up.

        What is returned is in ASCII, with the host written in the one way that every parser reads alike.

        :raises OutputRefusedError: If it may not.
        """
        try:
            parsed = _parse(url)
        except ValueError as error:
            shown = "an address with '@'" if "@" in url else repr(_safe_url(url))
            _refuse(f"{shown} is not an https URL: {one_line(str(error), 120)}", request_id)
        if parsed.scheme == "http" and not (self.loopback and is_loopback_host(parsed.host)):
            _refuse(f"{_safe_url(url)} is plain http; only https is allowed", request_id)
        if parsed.address is not None:
            self.check_address(str(parsed.address), request_id, plain=parsed.scheme == "http")
        else:
            self._check_name(parsed.host, request_id)
        return parsed.url

    def check_redirect(self, url: str, location: str, request_id: str | None = None) -> str:
        """
        Return where a redirect leads, under the same rules.

        :param location: As text; see :func:`read_location_header`.
        """
        try:
            redirected_to = urljoin(url, location.strip(" \t"))
        except ValueError:
            _refuse(f"a redirect to {_safe_url(location)!r} is not a valid URL", request_id)
        return self.check_url(redirected_to, request_id)

    def check_address(self, address: str, request_id: str | None = None, *, plain: bool = False) -> None:
        """
        Check the address of a host that was looked up, before anything connects to it.

        :param plain: Whether it is for plain http, which is for loopback addresses alone.
        :raises OutputRefusedError: If nothing may be fetched from there.
        """
        found = read_address(address.partition("%")[0])
        if found is not None:
            if self.loopback and is_loopback(found):
                return
            if not plain and (self.private or _is_public(found)):
                return
        if plain:
            _refuse(f"{one_line(address, 60)} is not a loopback address; only those may use http", request_id)
        _refuse_private(f"{one_line(address, 60)} is not a public address", request_id)

    def _check_name(self, host: str, request_id: str | None) -> None:
        """Check a host by its name: behind a proxy, nothing here looks up its address."""
        if self.private or (self.loopback and is_loopback_host(host)):
            return
        name = host.removesuffix(".")
        if is_loopback_host(name):
            _refuse_private(f"{host} stands for 127.0.0.1 and ::1, which are not public", request_id)
        if "." not in name or name.endswith(tuple(f".{end}" for end in _PRIVATE_NAMES)):
            _refuse_private(f"{host} is the name of a host in a private network", request_id)


def read_location_header(header: str) -> str:
    """
    Return what a ``Location`` says: HTTP libraries read headers as Latin-1, and servers write them in UTF-8.

    Bytes that are neither ASCII nor UTF-8 are percent-encoded, so that the server gets back what it sent.
    """
    try:
        sent = header.encode("latin-1")
    except UnicodeEncodeError:
        return header
    try:
        return sent.decode("utf-8")
    except UnicodeDecodeError:
        return "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in sent)


class _Parsed(NamedTuple):
    scheme: str
    host: str
    address: Address | None
    url: str


def _parse(url: str) -> _Parsed:
    """Split a URL that can be read in one way only. Raise ValueError with the reason for any other."""
    url = url.strip(" \t\r\n")
    if _AMBIGUOUS.search(url):
        raise ValueError("it contains a control character or a backslash")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("its host cannot be read") from None  # in place of words that may repeat a login
    if parts.scheme not in ("https", "http"):
        raise ValueError("it does not start with https://")
    authority = _AUTHORITY.fullmatch(parts.netloc)
    if authority is None:
        raise ValueError("its host cannot be read, or it contains a login")
    written, port = authority[1], authority[2] or ""
    if port and not 1 <= int(port) <= 65535:
        raise ValueError("its port is not valid")
    host, address = _read_host(written)
    tail = parts.path + (f"?{parts.query}" if parts.query else "")
    tail = quote(_STRAY_PERCENT.sub("%25", tail), safe=_LEFT_AS_THEY_ARE)
    return _Parsed(parts.scheme, host, address, f"{parts.scheme}://{host}{':' * bool(port)}{port}{tail}")


def _read_host(written: str) -> tuple[str, Address | None]:
    """Return a host in its canonical form, and the address that it is, if it is one."""
    if written.startswith("["):
        inner = ipaddress.IPv6Address(written[1:-1])  # without a zone: that of another machine means nothing here
        return f"[{inner}]", inner
    name = _to_ascii(written).lower()
    labels = name.removesuffix(".").split(".")
    if len(name) > _LONGEST_HOST + 1 or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("its host is not a valid name")
    if NUMBER.fullmatch(labels[-1]):
        # Whatever looks up names takes this for an address, and is lenient: 0x7f.1 and 2130706433 are 127.0.0.1.
        address = read_ipv4(labels)
        if address is None:
            raise ValueError("its host ends in a number, but is not an IP address")
        return str(address), address
    return name, None


def _to_ascii(host: str) -> str:
    if host.isascii():
        return host
    if len(host) > _LONGEST_HOST:
        raise ValueError("its host is too long")
    try:
        mapped = idna.uts46_remap(host, std3_rules=False, transitional=False)
        labels = mapped.split(".")
        return ".".join(label if label.isascii() else idna.alabel(label).decode() for label in labels)
    except (idna.IDNAError, UnicodeError):
        raise ValueError("its host is not a valid name") from None


def _is_public(address: Address) -> bool:
    address = effective(address)
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not any(address in network for network in _SPECIAL_V4)
    if address in _NAT64:
        return _is_public(ipaddress.IPv4Address(address.packed[12:]))
    return (
        address in _PUBLIC_V6
        and address.is_global
        and not any(address in network for network in _SPECIAL_V6)
        and (not _is_isatap(address) or _is_public(ipaddress.IPv4Address(address.packed[12:])))
    )


def _is_isatap(address: ipaddress.IPv6Address) -> bool:
    """Return whether an address, in whatever network, may be a tunnel to the IPv4 address at its end."""
    return address.packed[8] & 0xFC == 0 and address.packed[9:12] == b"\x00\x5e\xfe"


def _refuse_private(problem: str, request_id: str | None) -> NoReturn:
    _refuse(f'{problem}; to allow it, set "allow_private_media": true in the extra of the connection', request_id)


def _refuse(problem: str, request_id: str | None) -> NoReturn:
    raise OutputRefusedError(problem, request_id=request_id)


def _safe_url(url: str) -> str:
    """Return an address without its query, which may hold a signature, and without a login."""
    return one_line(url.partition("?")[0].rpartition("@")[2], 200)
