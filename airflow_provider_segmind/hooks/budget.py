"""What one API key may send: shared by all who wait with it on one event loop."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict, deque
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from aiolimiter import AsyncLimiter

from airflow_provider_segmind.api.call import Turn
from airflow_provider_segmind.exceptions import RateLimitedError
from airflow_provider_segmind.hooks.connection import SegmindConnection

MINUTE = 60.0
FIRST_PAUSE = 5.0
"""Seconds after a 429 that does not say when it ends; doubled with each that follows, up to a minute."""

LATEST_RESUMPTION = 1.0
"""Seconds after a reset within which requests begin again: clocks differ a little."""

LEAST_LEARNED = 30.0
MOST_LEARNED = 1000.0
"""Requests a minute of Segmind's largest published plan: a key that gets there is as good as unlimited."""

GROWTH_OF_LEARNED = 1.5
LONGEST_WAITING_EVERY = 5
"""Of so many turns, one goes to who has waited longest, so that no one starves."""


class Budget:
    """
    Turns to send a request.

    Without a limit everyone goes at once. With one, turns are spaced evenly, and the next goes to the call whose
    answer is likeliest to be news; calls that do not say how likely go first. After a 429 nobody goes until it is
    over. If the connection does not say how many requests a minute are allowed, a 429 teaches it: as many as were
    sent in the minute before, and half as many again after each minute without another.

    :param requests_per_minute: What the connection allows; None if it does not say.
    """

    def __init__(self, requests_per_minute: float | None = None) -> None:
        self._told: float | None = None
        self._limiter: AsyncLimiter | None = None
        self._learned = 0.0
        self._learned_at = 0.0
        self._sent: deque[float] = deque()
        self._waiting: list[_Ticket] = []
        self._serving: asyncio.Task[None] | None = None
        self._served = 0
        self._closed_until = 0.0
        self._refusals = 0
        self.allow(requests_per_minute)

    def allow(self, requests_per_minute: float | None) -> None:
        """Take over what the connection says now."""
        if requests_per_minute != self._told:
            self._told = requests_per_minute
            self._set_pace(requests_per_minute)

    async def turn(self, turn: Turn | None, request_id: str | None = None) -> None:
        """
        Return when it is one's turn to send a request.

        :raises RateLimitedError: If that is not before ``turn.not_after``.
        """
        if self._waiting or self._paused() or not (self._limiter is None or self._limiter.has_capacity()):
            await self._queued(turn, request_id)
        elif self._limiter is not None:
            await self._limiter.acquire()
        self._note()

    def refused(self, reset_at: float | None) -> None:
        """
        Stop everyone until a rate limit is over.

        :param reset_at: Seconds since the epoch; None if the 429 did not say.
        """
        now = time.time()
        if reset_at is None and self._paused():
            return
        if reset_at is None:
            pause = min(FIRST_PAUSE * 2 ** min(self._refusals, 10), MINUTE)
            reset_at = now + pause * random.uniform(0.5, 1)  # noqa: S311 - spreading load needs no secrecy
        if reset_at <= now:
            return
        if not self._paused():
            self._refusals += 1
            self._learn(now)
        until = reset_at + random.uniform(0, LATEST_RESUMPTION)  # noqa: S311 - as above
        self._closed_until = max(self._closed_until, until)

    def accepted(self) -> None:
        """Take note that a request was let through."""
        self._refusals = 0

    def _paused(self) -> bool:
        return time.time() < self._closed_until

    async def _queued(self, turn: Turn | None, request_id: str | None) -> None:
        ticket = _Ticket(turn, asyncio.get_running_loop().create_future())
        self._waiting.append(ticket)
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._serve())
        try:
            async with asyncio.timeout(ticket.patience()):
                await ticket.granted
        except TimeoutError:
            raise RateLimitedError(
                "no turn came before the deadline, as others were sending with the same key", request_id=request_id
            ) from None
        finally:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            if not self._waiting and self._serving is not None:
                self._serving.cancel()
                self._serving = None

    async def _serve(self) -> None:
        while self._waiting:
            if self._paused():
                await asyncio.sleep(self._closed_until - time.time())
                continue
            if self._limiter is not None:
                await self._limiter.acquire()
            if self._waiting and not self._paused():
                self._grant()

    def _grant(self) -> None:
        self._served += 1
        now = time.time()
        longest = self._served % LONGEST_WAITING_EVERY == 0
        ticket = self._waiting[0] if longest else max(self._waiting, key=lambda each: each.likelihood(now))
        self._waiting.remove(ticket)
        if not ticket.granted.done():
            ticket.granted.set_result(None)

    def _note(self) -> None:
        """Take note of a request that is sent, and let a pace that was learned grow."""
        if self._told is not None:
            return
        now = time.time()
        self._sent.append(now)
        while self._sent[0] < now - MINUTE:
            self._sent.popleft()
        if self._learned and now > self._learned_at + MINUTE:
            self._learned_at = now
            self._learned *= GROWTH_OF_LEARNED
            if self._learned > MOST_LEARNED:
                self._learned = 0.0
            self._set_pace(self._learned or None)

    def _learn(self, now: float) -> None:
        if self._told is None:
            self._learned_at = now
            self._learned = max(LEAST_LEARNED, sum(moment > now - MINUTE for moment in self._sent))
            self._set_pace(self._learned)

    def _set_pace(self, requests_per_minute: float | None) -> None:
        # One at a time: a burst of a minute's worth, and then the pace, would be twice what is allowed.
        self._limiter = None if requests_per_minute is None else AsyncLimiter(1, MINUTE / requests_per_minute)


@dataclass(eq=False)
class _Ticket:
    turn: Turn | None
    granted: asyncio.Future[None]

    def likelihood(self, now: float) -> float:
        return 2.0 if self.turn is None else self.turn.likelihood(now)

    def patience(self) -> float | None:
        return None if self.turn is None else max(self.turn.not_after - time.time(), 0)


_budgets: WeakKeyDictionary[asyncio.AbstractEventLoop, defaultdict[str, Budget]] = WeakKeyDictionary()


def shared_budget(connection: SegmindConnection) -> Budget:
    """Return the budget of a connection's key on the running loop."""
    budget = _budgets.setdefault(asyncio.get_running_loop(), defaultdict(Budget))[connection.api_key]
    budget.allow(connection.requests_per_minute)
    return budget
