"""Who may send when a key allows few requests a minute."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import pytest

from airflow_provider_segmind.api.call import Turn
from airflow_provider_segmind.exceptions import RateLimitedError
from airflow_provider_segmind.hooks.budget import LEAST_LEARNED, Budget, shared_budget
from airflow_provider_segmind.hooks.connection import read_connection

QUICK = 6000.0
"""Requests a minute: one every 10 ms."""


def likely(chance: float, patience: float = 60) -> Turn:
    return Turn(likelihood=lambda _: chance, not_after=time.time() + patience)


async def order(budget: Budget, *turns: Turn | None) -> list[int]:
    """Return the numbers of the turns in the order in which they came."""
    came: list[int] = []

    async def one(number: int, turn: Turn | None) -> None:
        await budget.turn(turn)
        came.append(number)

    await asyncio.gather(*(one(number, turn) for number, turn in enumerate(turns)))
    return came


def others() -> set[asyncio.Task[object]]:
    return asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[arg-type]


async def test_without_a_limit_nobody_waits() -> None:
    assert await order(Budget(), *[likely(0.1)] * 3) == [0, 1, 2]
    assert not others()


async def test_turns_are_spaced_by_the_limit() -> None:
    budget, moments = Budget(1200), []

    async def one() -> None:
        await budget.turn(likely(0.5))
        moments.append(time.monotonic())

    await asyncio.gather(*(one() for _ in range(6)))
    assert moments[-1] - moments[0] >= 5 * 0.05 - 0.005
    assert all(later - earlier > 0.02 for earlier, later in pairwise(moments))


async def test_the_likeliest_goes_first_and_what_is_no_poll_before_it() -> None:
    budget = Budget(QUICK)
    await budget.turn(None)
    assert await order(budget, likely(0.1), likely(0.9), None, likely(0.5)) == [2, 1, 3, 0]


async def test_nobody_starves() -> None:
    budget = Budget(QUICK)
    await budget.turn(None)
    came = await order(budget, likely(0.0), *[likely(0.9)] * 30)
    assert came.index(0) < 5


async def test_after_a_429_nobody_goes_before_the_reset() -> None:
    budget = Budget()
    reset_at = time.time() + 0.3
    budget.refused(reset_at)
    budget.refused(reset_at)
    await order(budget, likely(0.5))
    assert reset_at <= time.time() < reset_at + 1.5


async def test_a_429_that_does_not_say_when_it_ends_pauses_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_segmind.hooks.budget.FIRST_PAUSE", 0.4)
    budget, refused_at = Budget(), time.time()
    budget.refused(None)
    await budget.turn(None)
    assert time.time() >= refused_at + 0.2


async def test_a_reset_in_the_past_pauses_nobody() -> None:
    budget = Budget()
    budget.refused(time.time() - 1)
    assert await order(budget, likely(0.5), likely(0.5)) == [0, 1]
    assert not others()


async def test_a_429_teaches_a_pace_that_the_connection_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_segmind.hooks.budget.LATEST_RESUMPTION", 0.0)
    budget = Budget()
    sent = int(20 * LEAST_LEARNED)
    await order(budget, *[likely(0.5)] * sent)
    budget.refused(time.time() + 0.05)
    began = time.monotonic()
    await order(budget, *[likely(0.5)] * 4)
    assert time.monotonic() - began >= 3 * 60 / sent


async def test_what_the_connection_says_is_not_learned_otherwise() -> None:
    budget = Budget(QUICK)
    budget.refused(time.time() + 0.01)
    began = time.monotonic()
    await order(budget, *[likely(0.5)] * 5)
    assert time.monotonic() - began < 1.5 < 4 * 60 / LEAST_LEARNED


async def test_a_turn_that_does_not_come_in_time_is_told_with_the_request_id() -> None:
    budget = Budget()
    budget.refused(time.time() + 60)
    with pytest.raises(RateLimitedError, match="req-1"):
        await budget.turn(likely(0.5, patience=0.05), "req-1")
    await asyncio.sleep(0)
    assert not others(), "nobody waits any more"


async def test_who_is_cancelled_leaves_the_queue_to_the_others() -> None:
    budget = Budget()
    budget.refused(time.time() + 0.2)
    leaving, staying = (asyncio.create_task(_turn(budget)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait_for(staying, 5)
    await asyncio.sleep(0)
    assert not others()


async def test_a_queue_that_emptied_is_served_again() -> None:
    budget = Budget()
    budget.refused(time.time() + 0.1)
    first = asyncio.create_task(_turn(budget))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await asyncio.wait_for(_turn(budget), 5)


async def test_a_queue_that_is_often_empty_is_served_to_the_end() -> None:
    budget = Budget(24_000)

    async def one() -> None:
        for _ in range(40):
            await budget.turn(likely(0.5))

    await asyncio.wait_for(asyncio.gather(*(one() for _ in range(6))), 20)


async def test_connections_with_the_same_key_share_a_budget() -> None:
    def budget(key: str, **extra: object) -> Budget:
        return shared_budget(read_connection("c", password=key, host=None, extra=extra))

    assert budget("SG_0123456789abcdef") is budget("SG_0123456789abcdef", requests_per_minute=60)
    assert budget("SG_0123456789abcdef") is not budget("SG_aaaaaaaaaaaaaaaa")


async def _turn(budget: Budget) -> None:
    await budget.turn(likely(0.5))
