"""What readers of one process share: what one of them reads is there for all, also while it is being read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_segmind.account.answers import LIFETIME_OF_ERRORS, Answer

MOST_KEPT = 20
"""Answers that are kept."""

MOST_AT_ONCE = 2
"""Reads that run at the same time, in a thread each."""


@dataclass
class _Read:
    task: asyncio.Task[Answer]
    stale_at: float = float("inf")


class SharedReads:
    """Answers by their names, for the readers of one event loop."""

    def __init__(self) -> None:
        self._reads: dict[str, _Read] = {}
        self._at_once = asyncio.Semaphore(MOST_AT_ONCE)

    async def get(self, name: str, read: Callable[[], Answer]) -> Answer:
        """
        Return the answer: the one that is there, or is on its way; else a new one.

        A reader who leaves does not stop what others wait for. What ``read`` raises reaches all who wait.

        :param name: Of what is asked for.
        :param read: Reads the answer, in a thread.
        """
        self._forget_stale()
        known = self._reads.get(name)
        if known is None:
            known = self._reads[name] = _Read(asyncio.create_task(self._run(name, read)))
        return await asyncio.shield(known.task)

    async def _run(self, name: str, read: Callable[[], Answer]) -> Answer:
        left = LIFETIME_OF_ERRORS
        try:
            async with self._at_once:
                answer = await asyncio.to_thread(read)
            # Another process may have read it a while ago.
            left = min(answer.read_at + answer.lifetime - time.time(), answer.lifetime)
            return answer
        finally:
            self._reads[name].stale_at = time.monotonic() + left

    def _forget_stale(self) -> None:
        now = time.monotonic()
        self._reads = {name: read for name, read in self._reads.items() if read.stale_at > now}
        ended = sorted((read.stale_at, name) for name, read in self._reads.items() if read.task.done())
        for _, name in ended[: max(len(self._reads) - MOST_KEPT, 0)]:
            del self._reads[name]
