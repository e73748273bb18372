"""Whose turn it is to send with one API key: of all who wait for it on one event loop."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_segmind.api.call import Rank, Turn
from airflow_provider_segmind.exceptions import RateLimitedError
from airflow_provider_segmind.hooks.key_rate import MINUTE, Refusal
from airflow_provider_segmind.hooks.per_loop import PerLoop
from airflow_provider_segmind.hooks.rate_ledger import ProcessLedger, RateLedger, hash_of, machine_ledger

if TYPE_CHECKING:
    from airflow_provider_segmind.hooks.redis_ledger import RedisLedger
    from airflow_provider_segmind.hooks.redis_place import RedisPlace

MOST_AT_ONCE = 4
"""
Calls under way at the same time: so many may still go out after a 429 that they do not know of, and so many
sockets of a connection are needed, whose TLS has a buffer of 256 KiB each. It is Segmind's largest plan, 1,000
requests a minute, if an answer takes 0.24 s.
"""

LATEST_RESUMPTION = 1.0
"""Seconds after a reset within which requests begin again: clocks differ a little."""

LONGEST_WAITING_EVERY = 5
"""Of so many turns, one goes to the poll that has waited longest, so that none starves."""

SPACE_OF_SUBMITS = 0.5
"""Seconds between two submits that were refused, where it is not known how many requests the key allows."""

LEAST_ASSUMED = 120.0
"""
Requests a minute that a key of which nothing is known is taken to allow, when it is decided whether a look is
worth its turn: Segmind's plan Pro. A larger key shows itself, see the next.
"""

ASSUMED_MORE = 3.0
"""By what factor a key may allow more than what it let through in the last minute without a 429."""

_WITHOUT_END = Turn(math.inf)

LEAST_WAIT = 10.0
"""
Seconds for which a call waits for its turn, even if its time is over. A triggerer that was down begins with waits
whose deadline has passed: each needs its last look, because the request may have ended meanwhile.
"""


class Budget:
    """
    Turns to send a request.

    A ledger knows how fast the key may send, whoever sends with it; here it is decided who goes next. Up to four
    calls go out at a time. If there is a limit, turns are spaced evenly: results first, then submits and searches
    for unresolved ones, then the poll that is likeliest to find its request done. After a 429 all calls wait until
    it is over, and the pace falls to what was let through in the minute before it.

    :param local: The ledger that is used without Redis. Default: one of this process alone.
    :param name: Of the key, for a ledger in Redis.
    """

    def __init__(self, local: RateLedger | None = None, name: str = "") -> None:
        self._limits: dict[str, float] = {}
        self._places: dict[str, RedisPlace] = {}
        self._local = local if local is not None else ProcessLedger()
        self._redis: RedisLedger | None = None
        self._name = name
        self._next_submit = 0.0
        self._pace: float | None = None
        self._sent = 0
        self._refusals = 0
        self._waiting: list[_Ticket] = []
        self._serving: asyncio.Task[None] | None = None
        self._granted = 0
        self._under_way = 0
        self._room = asyncio.Event()

    def set_limit(self, conn_id: str, requests_per_minute: float | None) -> None:
        """
        Set the limit of a connection.

        Of several connections with the same key, the lowest number wins: whoever set it knows of other senders.

        :param requests_per_minute: None if the connection does not say.
        """
        self._limits.pop(conn_id, None)
        if requests_per_minute is not None:
            self._limits[conn_id] = requests_per_minute

    async def set_redis(self, conn_id: str, place: RedisPlace | None) -> None:
        """
        Share the key's rate with other machines, if a connection with this key names a Redis.

        :param conn_id: Of the connection to Segmind.
        :param place: None if it names none.
        """
        self._places.pop(conn_id, None)
        if place is not None:
            self._places[conn_id] = place
        wanted = next(iter(self._places.values()), None)
        if wanted == (self._redis.place if self._redis is not None else None):
            return
        former, self._redis = self._redis, None
        if wanted is not None:
            from airflow_provider_segmind.hooks.redis_ledger import RedisLedger

            self._redis = RedisLedger(self._name, wanted, self._local)
        if former is not None:
            await former.close()

    async def leave(self, conn_id: str) -> None:
        """Forget a connection that does not have this key any more, or that nobody uses."""
        self.set_limit(conn_id, None)
        await self.set_redis(conn_id, None)

    @property
    def request_interval(self) -> float:
        """
        Seconds between two requests, by what connections say or a 429 has taught.

        If no limit is known, by what the key has let through: a hundred requests that look as often as they like
        find the limit of a small key in their first minute, and see no end the sooner.
        """
        return MINUTE / (self._pace or self._limit or max(LEAST_ASSUMED, ASSUMED_MORE * self._sent))

    @asynccontextmanager
    async def take_turn(self, turn: Turn | None = None, request_id: str | None = None) -> AsyncIterator[None]:
        """
        Wait for a turn. The call is sent inside the context; a 429 to it pauses all calls.

        :raises RateLimitedError: If the turn does not come before ``turn.not_after``.
        """
        await self._await_turn(turn or _WITHOUT_END, request_id)
        sent_at = time.time()
        try:
            yield
        except RateLimitedError as error:
            await self.note_refusal(error, sent_at)
            raise
        else:
            await self.note_answer()
        finally:
            self._leave()

    async def note_refusal(self, error: RateLimitedError, sent_at: float, *, is_counted: bool = True) -> None:
        """
        Pause all calls after a 429: what is sent in the meantime would be refused, too.

        :param sent_at: When the refused call went out, in seconds since the epoch.
        :param is_counted: Whether this ledger has counted the call.
        """
        pause = error.reset_at.timestamp() - time.time() if error.reset_at is not None else 0.0
        await self._refuse(Refusal(sent_at, max(pause, 0.0), is_counted=is_counted))

    async def note_answer(self) -> None:
        """Note that a call got another answer than a 429."""
        if self._refusals:
            self._refusals = 0
            await self._ledger.answered()

    async def wait_to_submit(self, not_before: float, deadline: float, earliest: float = 0.0) -> None:
        """
        Wait until a worker may send a submit that was held back.

        :param not_before: When its 429 is over, in seconds since the epoch: until then nothing is sent.
        :param deadline: When to give up, in seconds since the epoch.
        :param earliest: When a worker can submit at the earliest, in seconds since the epoch. All turns from
            before that would be used at that moment.
        :raises RateLimitedError: If the turn does not come before.
        """
        now = time.time()
        if not_before > now:  # a worker of another machine was refused
            await self._refuse(Refusal(now, not_before - now, is_counted=False))
        try:
            async with asyncio.timeout(max(deadline - time.time(), 0)):
                if earliest < deadline:
                    await asyncio.sleep(max(earliest - time.time(), 0))
                await asyncio.sleep(await self._ledger.pause_left())
                if not (self._limits or self._pace):  # nothing is known but that there was a 429
                    await asyncio.sleep(self._space_submits())
                await self._await_turn(Turn(math.inf, Rank.SUBMIT), None)
        except TimeoutError:
            raise RateLimitedError("the submit was queued until the deadline") from None
        self._leave()

    async def admit(self, longest: float) -> None:
        """
        Wait for a turn that is not one of this process's queue: that of a worker, which has one call to send.

        :param longest: Seconds to wait at most.
        :raises RateLimitedError: If the turn is further away. Its ``reset_at`` is the end of a 429, if any.
        """
        await self._take_slot(longest)

    async def pause_left(self) -> float:
        """Return the seconds until the key's last 429 is over; 0 if it is."""
        return await self._ledger.pause_left()

    @property
    def _ledger(self) -> RateLedger:
        return self._redis if self._redis is not None else self._local

    @property
    def _limit(self) -> float | None:
        return min(self._limits.values(), default=None)

    async def _refuse(self, refusal: Refusal) -> None:
        jitter = random.uniform(0, LATEST_RESUMPTION)  # noqa: S311 - spreads load
        self._refusals += 1
        await self._ledger.refuse(replace(refusal, jitter=jitter), self._limit)

    def _space_submits(self) -> float:
        """Return the seconds until the next submit may go, and take that moment."""
        now = time.time()
        moment = max(now, self._next_submit)
        self._next_submit = moment + SPACE_OF_SUBMITS
        return moment - now

    async def _take_slot(self, longest: float = math.inf) -> None:
        """
        Wait for a moment to send at, which is the caller's then.

        :raises RateLimitedError: If it is more than ``longest`` seconds away.
        """
        until = time.monotonic() + longest
        while True:
            left = max(until - time.monotonic(), 0.0)
            slot = await self._ledger.reserve(self._limit, left)
            self._pace, self._refusals, self._sent = slot.pace, slot.refusals, slot.sent
            if not slot.is_reserved and slot.wait > left:
                raise held_back(await self._ledger.pause_left())
            if slot.wait:
                await asyncio.sleep(slot.wait)
            if slot.is_reserved and not await self._ledger.enter():  # else there was a 429 meanwhile
                return

    async def _await_turn(self, turn: Turn, request_id: str | None) -> None:
        ticket = _Ticket(turn, asyncio.get_running_loop().create_future())
        self._waiting.append(ticket)
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._serve())
        try:
            async with asyncio.timeout(ticket.time_left()):
                await ticket.granted
        except BaseException as error:
            if ticket.has_turn:
                self._leave()
            if isinstance(error, TimeoutError):
                raise RateLimitedError(await self._why_queued(), request_id=request_id) from None
            raise
        finally:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            if not self._waiting and self._serving is not None:
                self._serving.cancel()
                self._serving = None

    async def _why_queued(self) -> str:
        if await self._ledger.pause_left():
            return "the key was paused after a 429 until the deadline"
        return "other requests with this key were queued until the deadline"

    async def _serve(self) -> None:
        while self._waiting:
            if self._under_way >= MOST_AT_ONCE:
                self._room.clear()
                await self._room.wait()
            else:
                await self._take_slot()
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

    def _leave(self) -> None:
        self._under_way -= 1
        self._room.set()


@dataclass(eq=False)
class _Ticket:
    turn: Turn
    granted: asyncio.Future[None]

    @property
    def has_turn(self) -> bool:
        return self.granted.done() and not self.granted.cancelled()

    def time_left(self) -> float | None:
        """Return the seconds to wait for the turn; None for any time."""
        return None if self.turn.not_after == math.inf else max(self.turn.not_after - time.time(), LEAST_WAIT)


def held_back(paused: float) -> RateLimitedError:
    """
    Return the error of a call that was not sent.

    :param paused: Seconds until the key's last 429 is over; 0 if it is, and others are queued.
    """
    if paused:
        reset_at = datetime.now(UTC) + timedelta(seconds=paused)
        return RateLimitedError(f"the key is paused for {paused:.0f} s after a 429", reset_at=reset_at)
    return RateLimitedError("other tasks with this key are queued")


_budgets: PerLoop[dict[str, Budget]] = PerLoop(dict)


def shared_budget(api_key: str, gateway: str) -> Budget:
    """
    Return the budget of a key at a gateway on the running loop.

    Its ledger is shared with the other processes of this machine.
    """
    name = hash_of(api_key, gateway)
    budgets = _budgets.here()
    if name not in budgets:
        budgets[name] = Budget(machine_ledger(name), name)
    return budgets[name]
