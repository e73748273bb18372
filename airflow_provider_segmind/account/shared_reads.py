"""Reads that many readers share: what one of them reads is there for all, also while it is being read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

LIFETIME = 60.0
"""Seconds for which an answer is used again."""

LIFETIME_OF_ERRORS = 15.0
"""The same of an error: a reader who reloads a page that says "try again" asks nobody more often."""

MOST_KEPT = 20
"""Answers that are kept."""

MOST_AT_ONCE = 2
"""Reads that run at the same time, in a thread each."""


@dataclass
class _Read(Generic[Value]):
    task: asyncio.Task[Value]
    stale_at: float = float("inf")


class SharedReads(Generic[Key, Value]):
    """
    Answers by their keys, for the readers of one event loop.

    :param read: Reads the answer to a key, in a thread.
    """

    def __init__(self, read: Callable[[Key], Value]) -> None:
        self._read = read
        self._reads: dict[Key, _Read[Value]] = {}
        self._at_once = asyncio.Semaphore(MOST_AT_ONCE)

    async def get(self, key: Key) -> Value:
        """
        Return the answer: the one that is there, or is on its way; else a new one.

        A reader who leaves does not stop what others wait for. What ``read`` raises reaches all who wait.
        """
        self._forget_stale()
        read = self._reads.get(key)
        if read is None:
            read = self._reads[key] = _Read(asyncio.create_task(self._run(key)))
        return await asyncio.shield(read.task)

    async def _run(self, key: Key) -> Value:
        lifetime = LIFETIME_OF_ERRORS
        try:
            async with self._at_once:
                answer = await asyncio.to_thread(self._read, key)
            lifetime = LIFETIME
            return answer
        finally:
            self._reads[key].stale_at = time.monotonic() + lifetime

    def _forget_stale(self) -> None:
        now = time.monotonic()
        self._reads = {key: read for key, read in self._reads.items() if read.stale_at > now}
        ended = sorted((read.stale_at, key) for key, read in self._reads.items() if read.task.done())
        for _, key in ended[: max(len(self._reads) - MOST_KEPT, 0)]:
            del self._reads[key]
