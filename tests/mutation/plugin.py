"""
The plugin of pytest for runs with a mutant: for it, the network ends behind loopback, and memory somewhere.

The quick tests come first: most mutants end with the first of them.
"""

from __future__ import annotations

import errno
import ipaddress
import json
import resource
import sys
from pathlib import Path
from typing import Any

import pytest

MOST_MEMORY = 8 * 1024**3
"""Bytes of address space: a mutant may never stop collecting."""

_NAMES = ("localhost", "")
_CONNECTING = ("socket.connect", "socket.sendto", "socket.sendmsg")
_STATS = Path("mutmut-stats.json")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests by what mutmut has measured."""
    if _STATS.exists():
        durations = json.loads(_STATS.read_text())["duration_by_test"]
        items.sort(key=lambda item: durations.get(item.nodeid, 0.0))


def refuse_other_hosts(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse to look up, and to connect to, what is not loopback. An audit hook: it sees all of Python."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in _CONNECTING and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    name = host.decode() if isinstance(host, bytes) else host or ""
    if not (name in _NAMES or _is_loopback(name)):
        raise OSError(errno.ENETUNREACH, f"a mutant must not reach {name}")


def _is_loopback(name: str) -> bool:
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
sys.addaudithook(refuse_other_hosts)
