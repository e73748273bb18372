"""What may be sent when a key allows few requests a minute."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from airflow_provider_segmind.api.call import Rank, Turn
from airflow_provider_segmind.exceptions import RateLimitedError
from airflow_provider_segmind.hooks import budget as budget_module
from airflow_provider_segmind.hooks.budget import MOST_AT_ONCE, Budget, shared_budget
from airflow_provider_segmind.hooks.key_rate import LEAST_LEARNED
from airflow_provider_segmind.hooks.per_loop import PerLoop
from airflow_provider_segmind.hooks.rate_ledger import MachineLedger
from tests.virtual_time import VirtualTime

QUICK = 6000.0
"""Requests a minute: one every 10 ms."""

FIRST = Turn(math.inf)


def poll(chance: float, seconds: float = 60) -> Turn:
    return Turn(time.time() + seconds, Rank.POLL, likelihood=lambda _: chance)


def submit(seconds: float = 60) -> Turn:
    return Turn(time.time() + seconds, Rank.SUBMIT)


def budget_of(requests_per_minute: float | None) -> Budget:
    budget = Budget()
    budget.set_limit("segmind_default", requests_per_minute)
    return budget


async def send(
    budget: Budget, turn: Turn | None = None, *, refused: bool = False, reset_in: float | None = None
) -> None:
    async with budget.take_turn(turn):
        if refused:
            await asyncio.sleep(0)  # so that several are under way at the same time
            reset_at = None if reset_in is None else datetime.fromtimestamp(time.time() + reset_in, UTC)
            raise RateLimitedError("slow down", status=429, reset_at=reset_at)


async def refusal(budget: Budget, reset_in: float | None = None) -> None:
    with pytest.raises(RateLimitedError, match="slow down"):
        await send(budget, refused=True, reset_in=reset_in)


async def order(budget: Budget, *turns: Turn | None) -> list[int]:
    """Return the numbers of the turns in the order in which they came."""
    came: list[int] = []

    async def one(number: int, turn: Turn | None) -> None:
        await send(budget, turn)
        came.append(number)

    await asyncio.gather(*(one(number, turn) for number, turn in enumerate(turns)))
    return came


async def seconds(budget: Budget, sent: int) -> float:
    """Return how long it takes to send so many calls, one after another from now on."""
    began = time.monotonic()
    await order(budget, *[poll(0.5)] * sent)
    return time.monotonic() - began


def others() -> set[asyncio.Task[object]]:
    return asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
async def clock(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[VirtualTime]:
    """What a test waits takes no time, and what it measures is exact."""
    loop = asyncio.get_running_loop()
    clock = VirtualTime(loop)
    with monkeypatch.context() as until_the_end:
        clock.rule(loop, until_the_end)
        yield clock


async def test_without_a_limit_nobody_waits() -> None:
    assert await order(Budget(), *[poll(0.1)] * 3) == [0, 1, 2]
    assert not others()


async def test_turns_are_spaced_by_the_limit() -> None:
    assert await seconds(budget_of(1200), 6) >= 5 * 0.05


async def test_results_go_first_then_submits_then_the_likeliest_poll() -> None:
    budget = budget_of(QUICK)
    await send(budget)
    came = await order(budget, poll(0.1), poll(0.9), submit(), FIRST)
    assert came == [3, 2, 1, 0]


async def test_no_poll_starves_for_likelier_ones() -> None:
    budget = budget_of(QUICK)
    await send(budget)
    came = await order(budget, poll(0.0), *[poll(0.9)] * 30)
    assert came.index(0) < 5


async def test_polls_do_not_starve_for_submits_nor_results_for_either() -> None:
    budget = budget_of(QUICK)
    await send(budget)
    came = await order(budget, *[submit() for _ in range(30)], poll(0.1), poll(0.2), FIRST)
    assert came.index(32) == 0
    assert came.index(30) < 5, "every fifth turn is that of the poll that waits longest"
    assert came.index(31) < 10


async def test_no_more_than_a_few_go_at_the_same_time() -> None:
    budget, let_go = Budget(), asyncio.Event()
    under_way = 0
    most = 0

    async def one() -> None:
        nonlocal under_way, most
        async with budget.take_turn(poll(0.5)):
            under_way += 1
            most = max(most, under_way)
            await let_go.wait()
            under_way -= 1

    all_of_them = asyncio.gather(*(one() for _ in range(3 * MOST_AT_ONCE)))
    await asyncio.sleep(0.05)
    assert under_way == MOST_AT_ONCE
    let_go.set()
    await asyncio.wait_for(all_of_them, 5)
    assert most == MOST_AT_ONCE


async def test_what_waits_for_room_does_not_go_out_after_a_429(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget_module, "LEAST_WAIT", 0.05)
    budget, let_go, sent = Budget(), asyncio.Event(), []

    async def one(number: int) -> None:
        async with budget.take_turn(poll(0.5, seconds=0.5)):
            sent.append(number)
            await let_go.wait()
            raise RateLimitedError("slow down", reset_at=datetime.fromtimestamp(time.time() + 60, UTC))

    all_of_them = asyncio.gather(*(one(number) for number in range(100)), return_exceptions=True)
    await asyncio.sleep(0.05)
    let_go.set()
    await all_of_them
    assert len(sent) == MOST_AT_ONCE


async def test_a_call_that_gives_up_as_its_turn_comes_leaves_room_for_others() -> None:
    leaving: list[asyncio.Task[None]] = []

    class Unlucky(Budget):
        def _grant(self) -> None:
            super()._grant()
            if leaving:
                leaving.pop().cancel()

    budget = Unlucky()
    budget.set_limit("segmind_default", QUICK)
    for _ in range(2 * MOST_AT_ONCE):
        await send(budget)
        leaving.append(asyncio.create_task(send(budget, poll(0.5))))
        await asyncio.gather(*leaving, return_exceptions=True)
    await asyncio.wait_for(order(budget, *[poll(0.5)] * 3), 5)


async def test_after_a_429_nobody_goes_before_the_reset() -> None:
    budget = Budget()
    reset_at = time.time() + 0.3
    await asyncio.gather(*(refusal(budget, 0.3) for _ in range(3)))
    await order(budget, poll(0.5))
    assert reset_at <= time.time() < reset_at + 1.5


@pytest.mark.parametrize("reset_in", [None, -3, -0.001])
async def test_a_429_that_does_not_say_when_it_ends_pauses_all_the_same(
    monkeypatch: pytest.MonkeyPatch, reset_in: float | None
) -> None:
    monkeypatch.setattr("airflow_provider_segmind.api.rate_limit.FIRST_BACKOFF", 0.4)
    budget, refused_at = Budget(), time.time()
    await refusal(budget, reset_in)
    await send(budget)
    assert time.time() >= refused_at + 0.2


@pytest.mark.parametrize("reset_in", [None, 0.3])
async def test_pauses_grow_with_429s_that_follow_at_once_and_not_with_others(
    monkeypatch: pytest.MonkeyPatch, clock: VirtualTime, reset_in: float | None
) -> None:
    monkeypatch.setattr(random, "uniform", lambda _, most: most)
    monkeypatch.setattr("airflow_provider_segmind.hooks.budget.LATEST_RESUMPTION", 0.0)
    budget = budget_of(QUICK)

    async def pause() -> float:
        await refusal(budget, reset_in)
        length = budget._local._known.closed_until - budget_module.time.time()
        clock.advance(max(length, 0) + 0.01)
        return round(length)

    first = 5 if reset_in is None else 0
    assert [await pause() for _ in range(6)] == [first, 10, 20, 40, 60, 60]
    await send(budget)
    assert await pause() == first


async def test_429s_to_calls_that_were_under_way_together_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the pause that the first one named is over when the next one comes."""
    monkeypatch.setattr("airflow_provider_segmind.hooks.budget.LATEST_RESUMPTION", 0.0)
    budget, entered, late = budget_of(QUICK), asyncio.Semaphore(0), asyncio.Event()

    async def answered_late() -> None:
        async with budget.take_turn(poll(0.5)):
            entered.release()
            await late.wait()
            raise RateLimitedError("slow down", status=429)

    slow = [asyncio.create_task(answered_late()) for _ in range(3)]
    for _ in slow:
        await entered.acquire()
    await refusal(budget, 0.05)
    await asyncio.sleep(0.06)
    late.set()
    await asyncio.gather(*slow, return_exceptions=True)
    assert await seconds(budget, 2) < 1


async def test_a_429_teaches_a_pace_that_the_connection_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_segmind.hooks.budget.LATEST_RESUMPTION", 0.0)
    budget = Budget()
    sent = int(20 * LEAST_LEARNED)
    await order(budget, *[poll(0.5)] * sent)
    await asyncio.gather(*(refusal(budget, 0.05) for _ in range(MOST_AT_ONCE)))
    assert 3 * 60 / sent <= await seconds(budget, 4) < 6 * 60 / sent, "those that were refused do not count"


async def test_only_what_was_let_through_in_the_last_minute_counts(
    monkeypatch: pytest.MonkeyPatch, clock: VirtualTime
) -> None:
    monkeypatch.setattr("airflow_provider_segmind.hooks.budget.LATEST_RESUMPTION", 0.0)
    budget = Budget()
    await order(budget, *[poll(0.5)] * 600)
    clock.advance(61)
    await order(budget, *[poll(0.5)] * 300)
    await refusal(budget, 0.01)
    assert await seconds(budget, 4) >= 3 * 60 / 300


async def test_a_pace_that_was_learned_grows_until_it_is_none(
    monkeypatch: pytest.MonkeyPatch, clock: VirtualTime
) -> None:
    monkeypatch.setattr("airflow_provider_segmind.hooks.budget.LATEST_RESUMPTION", 0.0)
    budget = Budget()
    await order(budget, *[poll(0.5)] * 600)
    await refusal(budget, 0.01)
    clock.advance(61)
    await send(budget)  # which sets the next pace
    assert 3 * 60 / 900 * 0.9 <= await seconds(budget, 5) < 3 * 60 / 600 * 1.3
    clock.advance(61)
    await send(budget)  # 1,350 a minute, which is more than any key allows
    assert await seconds(budget, 20) < 0.1


async def test_submits_that_were_refused_elsewhere_come_back_one_after_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also if their reset is over by the time that they get here: else all would be sent at once again."""
    monkeypatch.setattr("airflow_provider_segmind.hooks.budget.SPACE_OF_SUBMITS", 0.1)
    budget, came = Budget(), []

    async def one() -> None:
        await budget.wait_to_submit(time.time() - 1, time.time() + 60)
        came.append(time.monotonic())

    await asyncio.gather(*(one() for _ in range(5)))
    assert all(later - earlier > 0.05 for earlier, later in pairwise(came))
    assert await seconds(budget, 5) < 0.1, "what is not a submit goes on as before"


async def test_a_submit_that_was_refused_does_not_come_back_after_its_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("airflow_provider_segmind.hooks.budget.SPACE_OF_SUBMITS", 0.2)
    budget, deadline = Budget(), time.time() + 0.3
    waiting = [budget.wait_to_submit(time.time() - 1, deadline) for _ in range(6)]
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert sum(isinstance(each, RateLimitedError) for each in outcomes) >= 4
    assert outcomes[0] is None


async def test_a_turn_is_not_given_before_a_worker_can_take_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else all that were held back would be sent at once."""
    monkeypatch.setattr("airflow_provider_segmind.hooks.budget.SPACE_OF_SUBMITS", 0.1)
    budget, came = Budget(), []
    earliest = time.time() + 0.3

    async def one() -> None:
        await budget.wait_to_submit(time.time() - 1, time.time() + 60, earliest)
        came.append(time.time())

    await asyncio.gather(*(one() for _ in range(4)))
    assert min(came) >= earliest
    assert all(later - earlier > 0.05 for earlier, later in pairwise(came))


async def test_a_deadline_that_comes_before_a_worker_is_kept() -> None:
    await asyncio.wait_for(Budget().wait_to_submit(time.time() - 1, time.time() + 60, time.time() + 600), 20)


async def test_a_submit_waits_for_its_429_to_be_over_and_everyone_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_segmind.hooks.budget.LATEST_RESUMPTION", 0.0)
    budget = budget_of(QUICK)
    over = time.time() + 0.3
    submitting = asyncio.create_task(budget.wait_to_submit(over, over + 60))
    await asyncio.sleep(0)
    await send(budget, poll(0.5))
    assert time.time() >= over
    await submitting


async def test_a_turn_that_does_not_come_in_time_is_reported_with_the_request_id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(budget_module, "LEAST_WAIT", 0.05)
    budget = Budget()
    await refusal(budget, 60)
    with pytest.raises(RateLimitedError, match="req-1"):
        async with budget.take_turn(poll(0.5, seconds=0.05), "req-1"):
            pytest.fail("it had its turn")
    await asyncio.sleep(0)
    assert not others(), "nobody waits any more"


async def test_a_call_that_is_cancelled_leaves_the_queue_to_the_others() -> None:
    budget = Budget()
    await refusal(budget, 0.2)
    leaving, staying = (asyncio.create_task(send(budget, poll(0.5))) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait_for(staying, 5)
    await asyncio.sleep(0)
    assert not others()


async def test_a_queue_that_emptied_is_served_again() -> None:
    budget = Budget()
    await refusal(budget, 0.1)
    first = asyncio.create_task(send(budget, poll(0.5)))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await asyncio.wait_for(send(budget, poll(0.5)), 5)


async def test_a_queue_that_is_often_empty_is_served_to_the_end() -> None:
    budget = budget_of(24_000)

    async def one() -> None:
        for _ in range(40):
            await send(budget, poll(0.5))

    await asyncio.wait_for(asyncio.gather(*(one() for _ in range(6))), 20)


async def test_of_connections_with_the_same_key_the_one_that_allows_least_is_right() -> None:
    gateway = "https://a.example"
    budget = shared_budget("SG_0123456789abcdef", gateway)
    assert budget is shared_budget("SG_0123456789abcdef", gateway)
    assert budget is not shared_budget("SG_aaaaaaaaaaaaaaaa", gateway)
    assert budget is not shared_budget("SG_0123456789abcdef", "https://b.example")
    for _ in range(3):  # whichever connection is looked up last
        budget.set_limit("slow", 1200)
        budget.set_limit("fast", 60_000)
        budget.set_limit("silent", None)
        assert await seconds(budget, 4) >= 3 * 0.05 - 0.005
    budget.set_limit("slow", None)
    assert await seconds(budget, 13) < 12 * 0.05


async def test_a_429_under_a_limit_shows_that_others_send_with_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the pace falls to what was let through, but to a quarter of the limit at most."""
    monkeypatch.setattr("airflow_provider_segmind.hooks.budget.LATEST_RESUMPTION", 0.0)
    budget = budget_of(2400)
    await order(budget, *[poll(0.5)] * 10)
    await refusal(budget, 0.01)
    assert await seconds(budget, 10) >= 9 * 60 / 600


def test_what_belongs_to_a_loop_is_forgotten_with_it() -> None:
    made: list[int] = []

    def make() -> int:
        made.append(len(made))
        return made[-1]

    per_loop = PerLoop(make)

    async def twice() -> tuple[int, int]:
        return per_loop.here(), per_loop.here()

    assert [asyncio.run(twice()), asyncio.run(twice())] == [(0, 0), (1, 1)]
    assert len(per_loop._values) == 1


async def test_a_key_of_which_nothing_is_known_is_taken_to_allow_more_the_more_it_lets_through() -> None:
    budget = Budget()
    assert budget.request_interval == 0.5
    for _ in range(101):
        await send(budget, poll(0.5))
    assert budget.request_interval == pytest.approx(60 / (3 * 100))


async def test_the_interval_between_requests_is_that_of_the_limit_or_of_what_a_429_has_taught() -> None:
    budget = Budget()
    await send(budget, poll(0.5))
    budget.set_limit("segmind_default", 120)
    assert budget.request_interval == 0.5
    budget.set_limit("segmind_default", None)
    await refusal(budget, 0.01)
    await send(budget, poll(0.5))
    assert budget.request_interval == 2.0, "thirty a minute, at least"


async def test_a_call_whose_time_is_over_gets_a_turn_that_is_free(tmp_path: Path) -> None:
    """After an outage of the triggerer, all waits are over: each needs its last look."""
    budget = Budget(MachineLedger(tmp_path / "key.json"))
    for _ in range(3):
        await send(budget, Turn(time.time() - 3600))
