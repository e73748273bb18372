"""Which address the host of a URL is, and whether it stands for this machine. Nothing is looked up."""

from __future__ import annotations

import ipaddress
import re

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")


def is_loopback_host(host: str) -> bool:
    """
    Return whether a host, as written in a URL, stands for this machine: ``localhost`` or a loopback address.

    A name that only looks like one, such as ``127.evil.test``, does not. Nothing is looked up.
    """
    name = host.strip("[]").lower().removesuffix(".")
    address = read_address(name)
    if address is not None:
        return is_loopback(address)
    return name == "localhost" or name.endswith(".localhost")


def read_address(text: str) -> Address | None:
    """Return the address that a host is, with or without brackets; None if it is a name."""
    text = text.strip("[]")
    try:
        return ipaddress.IPv6Address(text) if ":" in text else read_ipv4(text.removesuffix(".").split("."))
    except ValueError:
        return None


def read_ipv4(labels: list[str]) -> ipaddress.IPv4Address | None:
    """Read an address as ``inet_aton`` and browsers do: up to four numbers, octal and hexadecimal too."""
    if len(labels) > 4 or not all(NUMBER.fullmatch(label) and len(label) < 20 for label in labels):
        return None
    try:
        *front, last = [_read_digits(label) for label in labels]
    except ValueError:
        return None
    if any(number > 255 for number in front) or last >= 256 ** (5 - len(labels)):
        return None
    return ipaddress.IPv4Address(sum(number << 8 * (3 - index) for index, number in enumerate(front)) + last)


def _read_digits(text: str) -> int:
    if text.startswith("0x"):
        return int(text[2:] or "0", 16)
    return int(text, 8 if text.startswith("0") else 10)


def effective(address: Address) -> Address:
    """Return where a connection to an address goes: an IPv4-mapped one to IPv4."""
    return getattr(address, "ipv4_mapped", None) or address


def is_loopback(address: Address) -> bool:
    """Return whether a connection to an address stays on this machine."""
    return effective(address).is_loopback
