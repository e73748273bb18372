"""What one API key may send: shared by all who wait with it on one event loop."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiolimiter import AsyncLimiter

from airflow_provider_segmind.api.call import Rank, Turn
from airflow_provider_segmind.api.rate_limit import backoff
from airflow_provider_segmind.exceptions import RateLimitedError
from airflow_provider_segmind.hooks.per_loop import PerLoop

MINUTE = 60.0
MOST_AT_ONCE = 4
"""
Calls under way at the same time: so many may still go out after a 429 that they do not know of, and so many
sockets of a connection are needed, whose TLS has a buffer of 256 KiB each. It is Segmind's largest plan, 1,000
requests a minute, if an answer takes 0.24 s.
"""

LATEST_RESUMPTION = 1.0
"""Seconds after a reset within which requests begin again: clocks differ a little."""

LEAST_LEARNED = 30.0
MOST_LEARNED = 1000.0
"""Requests a minute of Segmind's largest published plan: a key that gets there is as good as unlimited."""

GROWTH_OF_LEARNED = 1.5
LONGEST_WAITING_EVERY = 5
"""Of so many turns, one goes to the poll that has waited longest, so that none starves."""

SPACE_OF_SUBMITS = 0.5
"""Seconds between two submits that were refused, where it is not known how many requests the key allows."""

_WITHOUT_END = Turn(math.inf)


class Budget:
    """
    Turns to send a request.

    Without a limit everyone goes at once, up to four at a time. With one, turns are spaced evenly: results
    first, then submits and searches for lost ones, then the poll that is likeliest to find its request done. After
    a 429 nobody goes until it is over. If no connection says how many requests a minute are allowed, a 429 teaches
    it: as many as were let through in the minute before, and half as many again after each minute without another.
    """

    def __init__(self) -> None:
        self._told: dict[str, float] = {}
        self._limiter: AsyncLimiter | None = None
        self._submits = AsyncLimiter(1, SPACE_OF_SUBMITS)
        self._learned = 0.0
        self._learned_at = 0.0
        self._let_through: deque[float] = deque()
        self._waiting: list[_Ticket] = []
        self._serving: asyncio.Task[None] | None = None
        self._granted = 0
        self._under_way = 0
        self._room = asyncio.Event()
        self._closed_until = 0.0
        self._refusals = 0

    def allow(self, conn_id: str, requests_per_minute: float | None) -> None:
        """
        Take over what a connection says now.

        Of several connections with the same key, the one that allows least is right: who says less knows of
        others that send with it.

        :param requests_per_minute: None if the connection does not say.
        """
        before = self._allowed
        self._told.pop(conn_id, None)
        if requests_per_minute is not None:
            self._told[conn_id] = requests_per_minute
        if self._allowed != before:
            self._learned = 0.0
            self._set_pace(self._allowed)

    @asynccontextmanager
    async def sending(self, turn: Turn | None = None, request_id: str | None = None) -> AsyncIterator[None]:
        """
        Wait for a turn; a call is sent within it, and a 429 to it stops everyone.

        :raises RateLimitedError: If the turn does not come before ``turn.not_after``.
        """
        await self._turn(turn or _WITHOUT_END, request_id)
        sent_at = time.time()
        try:
            yield
        except RateLimitedError as error:
            self._refused(sent_at, error.reset_at.timestamp() if error.reset_at else None)
            raise
        else:
            self._refusals = 0
            self._note()
        finally:
            self._leave()

    async def submitting(self, not_before: float, deadline: float) -> None:
        """
        Return when a worker may send a submit that was refused.

        :param not_before: When its 429 is over, in seconds since the epoch: until then nobody goes.
        :param deadline: When to give up, in seconds since the epoch.
        :raises RateLimitedError: If the turn does not come before.
        """
        self._close(not_before)
        try:
            async with asyncio.timeout(max(deadline - time.time(), 0)):
                if self._limiter is None:  # the 429 is over by now: nothing is known but that there was one
                    await self._submits.acquire()
                await self._turn(Turn(math.inf, Rank.SUBMIT), None)
        except TimeoutError:
            raise RateLimitedError("no turn came before the deadline") from None
        self._note()
        self._leave()

    def _refused(self, sent_at: float, reset_at: float | None) -> None:
        """Stop everyone: all that is sent in the meantime would be refused, too."""
        now = time.time()
        said = reset_at - now if reset_at is not None else 0.0
        if sent_at > self._closed_until:  # else it was under way with others that were refused
            # A reset that is over, or that was followed by another 429 at once, does not say when to come back.
            if said <= 0 or self._refusals:
                said = max(said, backoff(self._refusals) * random.uniform(0.5, 1))  # noqa: S311 - spreads load
            self._refusals += 1
        self._close(now + said)

    def _close(self, until: float) -> None:
        now = time.time()
        if until > now:
            if not self._paused:
                self._learn(now)
            later = until + random.uniform(0, LATEST_RESUMPTION)  # noqa: S311 - as above
            self._closed_until = max(self._closed_until, later)

    @property
    def _paused(self) -> bool:
        return time.time() < self._closed_until

    @property
    def _allowed(self) -> float | None:
        return min(self._told.values(), default=None)

    async def _turn(self, turn: Turn, request_id: str | None) -> None:
        if (
            self._waiting
            or self._paused
            or self._under_way >= MOST_AT_ONCE
            or not (self._limiter is None or self._limiter.has_capacity())
        ):
            await self._queued(turn, request_id)
        else:
            if self._limiter is not None:
                await self._limiter.acquire()
            self._under_way += 1

    def _leave(self) -> None:
        self._under_way -= 1
        self._room.set()

    async def _queued(self, turn: Turn, request_id: str | None) -> None:
        ticket = _Ticket(turn, asyncio.get_running_loop().create_future())
        self._waiting.append(ticket)
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._serve())
        try:
            async with asyncio.timeout(ticket.patience()):
                await ticket.granted
        except BaseException as error:
            if ticket.has_turn:
                self._leave()
            if isinstance(error, TimeoutError):
                raise RateLimitedError(
                    "no turn came before the deadline, as others were sending with the same key",
                    request_id=request_id,
                ) from None
            raise
        finally:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            if not self._waiting and self._serving is not None:
                self._serving.cancel()
                self._serving = None

    async def _serve(self) -> None:
        while self._waiting:
            if self._paused:
                await asyncio.sleep(self._closed_until - time.time())
            elif self._under_way >= MOST_AT_ONCE:
                self._room.clear()
                await self._room.wait()
            else:
                if self._limiter is not None:
                    await self._limiter.acquire()
                if not self._paused:
                    self._grant()

    def _grant(self) -> None:
        self._waiting = [ticket for ticket in self._waiting if not ticket.granted.done()]
        if not self._waiting:
            return
        self._granted += 1
        ticket = self._next(time.time())
        self._waiting.remove(ticket)
        self._under_way += 1
        ticket.granted.set_result(None)

    def _next(self, now: float) -> _Ticket:
        if self._granted % LONGEST_WAITING_EVERY == 0:
            for ticket in self._waiting:
                if ticket.turn.rank is Rank.POLL:
                    return ticket
        first = min(ticket.turn.rank for ticket in self._waiting)
        equals = [ticket for ticket in self._waiting if ticket.turn.rank is first]
        return max(equals, key=lambda ticket: ticket.turn.likelihood(now))

    def _note(self) -> None:
        """Take note of a request that was let through, and let a pace that was learned grow."""
        if self._told:
            return
        now = time.time()
        self._let_through.append(now)
        while self._let_through[0] < now - MINUTE:
            self._let_through.popleft()
        if self._learned and now > self._learned_at + MINUTE:
            self._learned_at = now
            self._learned *= GROWTH_OF_LEARNED
            if self._learned > MOST_LEARNED:
                self._learned = 0.0
            self._set_pace(self._learned or None)

    def _learn(self, now: float) -> None:
        if not self._told:
            self._learned_at = now
            self._learned = max(LEAST_LEARNED, sum(moment > now - MINUTE for moment in self._let_through))
            self._set_pace(self._learned)

    def _set_pace(self, requests_per_minute: float | None) -> None:
        # One at a time: a burst of a minute's worth, and then the pace, would be twice what is allowed.
        self._limiter = None if requests_per_minute is None else AsyncLimiter(1, MINUTE / requests_per_minute)


@dataclass(eq=False)
class _Ticket:
    turn: Turn
    granted: asyncio.Future[None]

    @property
    def has_turn(self) -> bool:
        return self.granted.done() and not self.granted.cancelled()

    def patience(self) -> float | None:
        return None if self.turn.not_after == math.inf else max(self.turn.not_after - time.time(), 0)


_budgets: PerLoop[defaultdict[str, Budget]] = PerLoop(lambda: defaultdict(Budget))


def shared_budget(api_key: str) -> Budget:
    """Return the budget of a key on the running loop."""
    return _budgets.here()[api_key]
