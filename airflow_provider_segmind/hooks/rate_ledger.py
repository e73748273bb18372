"""
Where it is written how fast a key may send: in this process, or in a small file that the processes of one user on
one machine share. ``redis_ledger`` has the third place.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

from airflow_provider_segmind.hooks import shared_files
from airflow_provider_segmind.hooks.key_rate import KeyRate, Refusal, Slot

T = TypeVar("T")
Change: TypeAlias = Callable[[KeyRate, float], tuple[KeyRate, T]]
"""Takes what is known and the time, and returns what is known then, and what else came of it."""

LARGEST_FILE = 16 * 1024
"""Bytes: a minute of counts has 1 KiB."""

log = logging.getLogger(__name__)


class RateLedger(Protocol):
    """
    What all who send with a key know of its rate.

    No method raises: a ledger that fails must not fail a task.
    """

    async def reserve(self, limit: float | None, longest: float) -> Slot:
        """
        Reserve the next moment to send at, unless it is more than ``longest`` seconds away.

        :param limit: Requests a minute that the connection allows; None if it does not say.
        """
        ...

    async def enter(self) -> float:
        """Count a request that goes out now. If the key is paused, return the seconds that are left instead."""
        ...

    async def pause_left(self) -> float:
        """Return the seconds until the last 429 is over; 0 if it is."""
        ...

    async def refuse(self, refusal: Refusal, limit: float | None) -> None:
        """Note a 429."""
        ...

    async def answered(self) -> None:
        """Note that the last 429 is over: another answer came."""
        ...


class _LocalLedger(ABC):
    """What the two ledgers without a server have in common: each call is a change of one ``KeyRate``."""

    @abstractmethod
    async def _change(self, change: Change[T]) -> T:
        """Apply a change to what is known, and return what came of it."""

    async def reserve(self, limit: float | None, longest: float) -> Slot:
        """Reserve the next moment to send at."""
        return await self._change(lambda known, now: known.reserve(limit, longest, now))

    async def enter(self) -> float:
        """Count a request that goes out now, or return how long the key is paused."""
        return await self._change(lambda known, now: known.enter(now))

    async def pause_left(self) -> float:
        """Return the seconds until the last 429 is over."""
        return await self._change(lambda known, now: (known, known.pause_left(now)))

    async def refuse(self, refusal: Refusal, limit: float | None) -> None:
        """Note a 429."""
        await self._change(lambda known, now: (known.refuse(refusal, limit, now), None))

    async def answered(self) -> None:
        """Note that the last 429 is over."""
        await self._change(lambda known, now: (known.answered(), None))


class ProcessLedger(_LocalLedger):
    """Knows what this process sends."""

    def __init__(self) -> None:
        self._known = KeyRate()

    async def _change(self, change: Change[T]) -> T:
        self._known, outcome = change(self._known, time.time())
        return outcome


class MachineLedger(_LocalLedger):
    """
    Knows what the processes of this user on this machine send: they share a file.

    The file is read and written under a lock, in a thread. Where it cannot be used, each process knows itself
    alone, and one line of the log says why.

    :param path: Of the file. Its folder must belong to this user and be closed to others.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own = KeyRate()

    async def _change(self, change: Change[T]) -> T:
        return await asyncio.to_thread(self._change_file, change)

    def _change_file(self, change: Change[T]) -> T:
        """Read what is known, and write what a change makes of it."""
        try:
            with shared_files.locked(self._path) as file:
                now = time.time()
                before = _read(file, now)
                after, outcome = change(before, now)
                if after != before:
                    if not os.fstat(file).st_size:  # of a new key, maybe in place of another
                        shared_files.delete_old_files(self._path.parent)
                    _write(file, after)
                self._own = after
                return outcome
        except OSError as error:
            _warn_once(self._path.parent, error)
            self._own, outcome = change(self._own, time.time())
            return outcome


def hash_of(api_key: str, gateway: str) -> str:
    """
    Return a name for a key at a gateway, from which nobody learns the key.

    :param gateway: Its address, and what else must differ. Two gateways, such as Segmind and an emulator, do not
        share a limit.
    """
    secret = hashlib.blake2b(api_key.encode()).digest()  # a key may be longer than the 64 bytes that are taken
    return hashlib.blake2b(f"airflow-provider-segmind {gateway}".encode(), key=secret, digest_size=16).hexdigest()


def machine_ledger(name: str) -> RateLedger:
    """
    Return what the processes of this user on this machine share of a key; what this process knows, if they cannot.

    :param name: Of the key, as ``hash_of`` returns it.
    """
    try:
        folder = shared_files.open_shared_folder()
    except OSError as error:
        _warn_once(shared_files.shared_folder(), error)
        return ProcessLedger()
    return MachineLedger(folder / f"{name}.json")


def _read(file: int, now: float) -> KeyRate:
    try:
        document = json.loads(os.pread(file, LARGEST_FILE, 0))
    except (ValueError, RecursionError):  # it is new, or damaged
        document = None
    return KeyRate.from_json(document, now)


def _write(file: int, known: KeyRate) -> None:
    text = json.dumps(known.as_json(), separators=(",", ":")).encode()
    os.pwrite(file, text, 0)
    os.ftruncate(file, len(text))


_warned: set[Path] = set()


def _warn_once(folder: Path, error: OSError) -> None:
    """Say once for each process and folder that its file cannot be used."""
    if folder not in _warned:
        _warned.add(folder)
        log.warning(
            "The processes of this machine cannot share a rate limit in %s: %s. Each keeps its own.", folder, error
        )
