"""
One budget for a key on all machines, in Redis.

Turns come from the GCRA of ``throttled``, a script that goes by the clock of Redis. It tells each caller when its
turn is, so that nobody asks twice. What 429s have taught is beside it. If Redis fails, the processes of each
machine share what they have without it, and Redis is tried again later. ``redis`` and ``throttled`` are imported
on first use.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from airflow_provider_segmind.hooks.key_rate import (
    LONGEST_QUEUE,
    MINUTE,
    MOST_A_SECOND,
    SPREAD,
    KeyRate,
    Refusal,
    Slot,
    pace_of,
)
from airflow_provider_segmind.hooks.rate_ledger import LARGEST_FILE, RateLedger
from airflow_provider_segmind.hooks.redis_failures import LONGEST_ANSWER, describe_failure
from airflow_provider_segmind.hooks.redis_place import RedisPlace

T = TypeVar("T")

NAMES = "airflow-segmind"
"""What the names of everything in Redis begin with, after what ``throttled`` writes before it."""

SLOW = 0.5
MOST_SLOW = 5
"""So many answers in a row that take longer than 0.5 s are a failure, too: a turn takes up to four of them."""

RETRY_AFTER = 15.0
"""Seconds until Redis is tried again after a failure."""

STATE_LIFETIME = 3600
COUNT_LIFETIME = 150
"""Seconds for which Redis keeps what was learned, and how many requests went out in a second."""

FINENESS = 1_000_000
"""``throttled`` takes whole seconds for so many requests: more of them make fractions of a second."""

log = logging.getLogger(__name__)


class RedisLedger:
    """
    What all processes with a key and a Redis know.

    :param name: Of the key, as ``rate_ledger.hash_of`` returns it: the key itself is nowhere in Redis.
    :param local: What is used while Redis fails.
    """

    def __init__(self, name: str, place: RedisPlace, local: RateLedger) -> None:
        self.place = place
        self._name = name
        self._local = local
        self._redis: _Redis | None = None
        self._opening: asyncio.Lock | None = None
        self._fails = False
        self._retry_at = 0.0
        self._slow = 0
        self._closing: asyncio.Task[None] | None = None

    async def reserve(self, limit: float | None, longest: float) -> Slot:
        """Reserve the next moment to send at."""
        return await self._ask(
            lambda redis: self._reserve(redis, limit, longest), lambda: self._local.reserve(limit, longest)
        )

    async def enter(self) -> float:
        """Count a request that goes out now, or return how long the key is paused."""
        return await self._ask(self._enter, self._local.enter)

    async def pause_left(self) -> float:
        """Return the seconds until the last 429 is over."""
        return await self._ask(self._pause_left, self._local.pause_left)

    async def refuse(self, refusal: Refusal, limit: float | None) -> None:
        """Note a 429: here, too, for the case that Redis fails."""
        await self._local.refuse(replace(refusal, is_counted=False), limit)
        await self._ask(lambda redis: self._refuse(redis, refusal, limit), _nothing)

    async def answered(self) -> None:
        """Note that the last 429 is over."""
        await self._local.answered()
        await self._ask(self._answered, _nothing)

    async def close(self) -> None:
        """Close the connections to Redis."""
        self._leave()
        if self._closing is not None:
            await self._closing

    async def _reserve(self, redis: _Redis, limit: float | None, longest: float) -> Slot:
        now = time.time()
        known = await self._read(redis, now)
        pace = pace_of(limit, known.learned, now)
        paused = known.pause_left(now)
        if paused:
            return Slot(paused, False, pace, known.refusals)
        if pace is None:
            return Slot(0.0, True, None, known.refusals, sum((await self._counts(redis, now)).values()))
        wait, is_reserved = await redis.take_turn(self._key, SPREAD / pace, longest)
        return Slot(wait, is_reserved, pace, known.refusals)

    async def _enter(self, redis: _Redis) -> float:
        now = time.time()
        counter = f"{self._key}:sent:{int(now)}"
        paused = (await self._read(redis, now)).pause_left(now)
        if not paused:
            await redis.do(("INCR", counter), ("EXPIRE", counter, COUNT_LIFETIME))
        return paused

    async def _pause_left(self, redis: _Redis) -> float:
        now = time.time()
        return (await self._read(redis, now)).pause_left(now)

    async def _refuse(self, redis: _Redis, refusal: Refusal, limit: float | None) -> None:
        now = time.time()
        known = await self._read(redis, now)
        sent = await self._counts(redis, now)
        await self._write(redis, replace(known, sent=sent).refuse(refusal, limit, now))

    async def _answered(self, redis: _Redis) -> None:
        await self._write(redis, (await self._read(redis, time.time())).answered())

    async def _counts(self, redis: _Redis, now: float) -> dict[int, int]:
        """Return how many requests went out in each second of the last minute."""
        seconds = range(math.ceil(now - MINUTE), int(now) + 1)
        (counts,) = await redis.do(("MGET", *(f"{self._key}:sent:{second}" for second in seconds)))
        found = {second: int(count) for second, count in zip(seconds, counts, strict=True) if count}
        return {second: count for second, count in found.items() if 0 < count < MOST_A_SECOND}

    async def _read(self, redis: _Redis, now: float) -> KeyRate:
        (text,) = await redis.do(("GETRANGE", f"{self._key}:state", 0, LARGEST_FILE))
        return KeyRate.from_json(json.loads(text), now) if text else KeyRate()

    async def _write(self, redis: _Redis, known: KeyRate) -> None:
        text = json.dumps(replace(known, sent={}).as_json())
        await redis.do(("SET", f"{self._key}:state", text, "EX", STATE_LIFETIME))

    @property
    def _key(self) -> str:
        return f"{NAMES}:{self._name}"

    async def _ask(self, act: Callable[[_Redis], Awaitable[T]], otherwise: Callable[[], Awaitable[T]]) -> T:
        """Ask Redis, or the local ledger if Redis fails, or has failed a short while ago."""
        if time.monotonic() < self._retry_at:
            return await otherwise()
        try:
            redis = self._redis or await self._open()
            began = time.monotonic()
            async with asyncio.timeout(LONGEST_ANSWER):
                outcome = await act(redis)
            self._slow = self._slow + 1 if time.monotonic() - began > SLOW else 0
        except Exception as error:  # noqa: BLE001 - whatever Redis and its client do, no task is to notice
            self._note_failure(error)
            # A connection of the client keeps the certificates that it has read: the next one reads them again.
            self._leave()
            return await otherwise()
        if self._slow >= MOST_SLOW:
            self._slow = 0
            self._note_failure(TimeoutError(f"{MOST_SLOW} answers in a row took more than {SLOW:g} s"))
        elif self._fails:
            self._fails = False
            log.info("%s works again: all machines share the rate limit", self.place)
        return outcome

    async def _open(self) -> _Redis:
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self._redis is None:
                await asyncio.to_thread(_import)
                self._redis = _Redis(self.place)
            return self._redis

    def _leave(self) -> None:
        """Close the connections to Redis, without waiting for it: a host that is silent takes seconds."""
        redis, self._redis = self._redis, None
        if redis is not None:
            self._closing = asyncio.create_task(_close(redis, self._closing))

    def _note_failure(self, error: Exception) -> None:
        self._retry_at = time.monotonic() + RETRY_AFTER
        if not self._fails:
            self._fails = True
            log.warning(
                "%s cannot be used: %s. Until it can, each machine has a rate limit of its own.",
                self.place,
                describe_failure(error, self.place),
            )


async def check_redis(place: RedisPlace) -> None:
    """
    Take a turn in Redis, and use every other command that a ledger needs, on names of a key that nobody has.

    :raises Exception: Whatever goes wrong.
    """
    await asyncio.to_thread(_import)
    redis = _Redis(place)
    key = f"{NAMES}:test"
    try:
        async with asyncio.timeout(LONGEST_ANSWER):
            await redis.take_turn(key, 0.001, LONGEST_QUEUE)
            await redis.do(
                ("GETRANGE", f"{key}:state", 0, LARGEST_FILE),
                ("SET", f"{key}:state", "", "EX", 1),
                ("INCR", f"{key}:sent:0"),
                ("EXPIRE", f"{key}:sent:0", 1),
                ("MGET", f"{key}:sent:0"),
            )
    finally:
        await redis.close()


class _Redis:
    """A connection to Redis, and the limiter on top of it."""

    def __init__(self, place: RedisPlace) -> None:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        self._client: Any = Redis(
            **place.options(),
            socket_timeout=LONGEST_ANSWER,
            socket_connect_timeout=LONGEST_ANSWER,
            retry=Retry(NoBackoff(), 1),  # its socket may have closed since
        )
        self._store = _store_of(self._client)
        self._limiters: dict[tuple[float, int], Any] = {}

    async def do(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Send commands together, and return the answer to each."""
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = await pipeline.execute()
        return answers

    async def take_turn(self, key: str, interval: float, longest: float) -> tuple[float, bool]:
        """
        Take the next turn, unless it is more than ``longest`` seconds away.

        :param interval: Seconds between two turns.
        :return: Seconds until the turn, and whether it is taken.
        :raises ValueError: If the turn cannot be right.
        """
        turns_ahead = math.floor(min(longest, LONGEST_QUEUE) / interval)
        result = await self._limiter(interval, turns_ahead + 1).limit(key)
        if result.limited:
            wait, is_reserved = result.state.retry_after + turns_ahead * interval, False
        else:
            wait, is_reserved = result.state.reset_after - interval, True
        if not -interval <= wait <= LONGEST_QUEUE:
            raise ValueError("Redis names a turn that cannot be right")
        return max(wait, 0.0), is_reserved

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _limiter(self, interval: float, burst: int) -> Any:
        from throttled.asyncio import RateLimiterType, Throttled, per_duration

        wanted = (interval, burst)
        if wanted not in self._limiters:
            if len(self._limiters) > 10:  # paces that were learned and forgotten
                self._limiters.clear()
            period = timedelta(seconds=max(round(interval * FINENESS), 1))
            self._limiters[wanted] = Throttled(
                using=RateLimiterType.GCRA.value,
                quota=per_duration(period, FINENESS, burst),
                store=self._store,
            )
        return self._limiters[wanted]


def _import() -> None:
    """Import both packages, which takes a second on a slow machine: not on the event loop."""
    import redis.asyncio  # noqa: F401
    import throttled.asyncio  # noqa: F401


def _store_of(client: Any) -> Any:
    """
    Return a store of ``throttled`` that uses a client.

    Its own way to connect keeps pools for the whole process, which a second event loop cannot use, and takes a
    password in a URL.
    """
    from throttled.asyncio.store import RedisStore
    from throttled.asyncio.store.redis import RedisStoreBackend

    class Backend(RedisStoreBackend):
        def get_client(self) -> Any:
            return client

    class Store(RedisStore):
        _BACKEND_CLASS = Backend

    return Store()


async def _close(redis: _Redis, former: asyncio.Task[None] | None) -> None:
    """Close a client after the former one, whatever becomes of it."""
    if former is not None:
        await former
    with contextlib.suppress(Exception):
        await redis.close()


async def _nothing() -> None:
    """Do nothing: the local ledger knows already."""
