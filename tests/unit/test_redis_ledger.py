"""One budget for a key in a real Redis: what it counts, and what becomes of it when Redis fails."""

from __future__ import annotations

import asyncio
import logging
import math
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("throttled", reason="the extra [redis] is not installed")

from airflow_provider_segmind.hooks import redis_ledger
from airflow_provider_segmind.hooks.key_rate import SPREAD, Refusal
from airflow_provider_segmind.hooks.rate_ledger import ProcessLedger, hash_of
from airflow_provider_segmind.hooks.redis_failures import describe_failure
from airflow_provider_segmind.hooks.redis_ledger import RedisLedger, check_redis
from airflow_provider_segmind.hooks.redis_place import RedisPlace
from tests.redis_server import FalseRedis, RedisServer, free_port

KEY = "SG_0123456789abcdef"
GATEWAY = "https://api.segmind.com"
NAME = hash_of(KEY, GATEWAY)
SECRET = "correct-horse"
QUICK = 3000.0
"""Requests a minute: one every 20.7 ms."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    running = RedisServer(tmp_path_factory.mktemp("redis"))
    running.start()
    yield running
    running.kill()


@pytest.fixture
async def ledgers(server: RedisServer) -> AsyncIterator[list[RedisLedger]]:
    """Those of three processes, in an empty Redis."""
    made = [ledger_at(server.port) for _ in range(3)]
    await made[0]._ask(lambda redis: redis.do(("FLUSHALL",)), made[0].answered)
    yield made
    for ledger in made:
        await ledger.close()


def place_at(port: int, password: str | None = None) -> RedisPlace:
    return RedisPlace("limits", "127.0.0.1", port, password=password)


def ledger_at(port: int, password: str | None = None) -> RedisLedger:
    return RedisLedger(NAME, place_at(port, password), ProcessLedger())


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]


async def test_the_turns_of_all_are_spaced_and_nobody_asks_twice(ledgers: list[RedisLedger]) -> None:
    slots = [await ledger.reserve(60, math.inf) for ledger in (*ledgers, *ledgers)]
    assert all(slot.is_reserved and slot.pace for slot in slots)
    gaps = [later.wait - earlier.wait for earlier, later in pairwise(slots)]
    assert sum(gaps) == pytest.approx(5 * SPREAD / 60, abs=1.0)


async def test_a_turn_that_is_too_far_away_is_not_taken(ledgers: list[RedisLedger]) -> None:
    first, second, third = ledgers
    for _ in range(4):
        await first.reserve(6, math.inf)
    refused = await second.reserve(6, 10)
    assert not refused.is_reserved
    assert refused.wait > 10
    assert (await third.reserve(6, math.inf)).wait < 4 * SPREAD / 6 + 0.1, "the refused one took none"


async def test_a_429_pauses_all(ledgers: list[RedisLedger]) -> None:
    first, second, _ = ledgers
    assert await second.enter() == 0
    await first.refuse(Refusal(time.time(), 30.0), None)
    assert 25 < await second.enter() <= 30
    assert 25 < await second.pause_left() <= 30
    slot = await second.reserve(60, 10)
    assert not slot.is_reserved
    assert 25 < slot.wait <= 30


async def test_a_429_teaches_all_what_all_have_sent(ledgers: list[RedisLedger]) -> None:
    first, second, third = ledgers
    for ledger in (first, second) * 60:
        assert await ledger.enter() == 0
    await third.refuse(Refusal(time.time(), 0.05, is_counted=False), None)
    await asyncio.sleep(0.1)
    waits = [(await ledger.reserve(None, math.inf)).wait for ledger in (*ledgers, first)]
    assert waits[-1] - waits[0] == pytest.approx(3 * SPREAD / 120, abs=0.5)
    assert (await second.reserve(None, math.inf)).refusals == 1
    await first.answered()
    assert (await second.reserve(None, math.inf)).refusals == 0


async def test_without_a_limit_each_learns_what_all_have_sent(ledgers: list[RedisLedger]) -> None:
    for ledger in ledgers:
        await ledger.reserve(None, math.inf)
        await ledger.enter()
    assert (await ledgers[0].reserve(None, math.inf)).sent == 3


async def test_a_count_that_cannot_be_right_does_not_count(ledgers: list[RedisLedger]) -> None:
    await ledgers[0].enter()
    now = int(time.time())
    counts = [(f"airflow-segmind:{NAME}:sent:{now - ago}", count) for ago, count in ((5, "9" * 400), (6, "-9"))]
    await ledgers[0]._ask(lambda redis: redis.do(*(("SET", *each) for each in counts)), ledgers[0].answered)
    assert (await ledgers[0].reserve(None, math.inf)).sent == 1


async def test_the_key_is_not_in_redis(ledgers: list[RedisLedger]) -> None:
    ledger = ledgers[0]
    await ledger.reserve(60, math.inf)
    await ledger.enter()
    await ledger.refuse(Refusal(time.time(), 1.0), 60)
    redis = await ledger._open()
    (names,) = await redis.do(("KEYS", "*"))
    values = await redis.do(*(("GET", name) for name in names))
    assert len(names) == 3
    for each in (*names, *values):
        assert KEY.encode() not in each
        assert KEY[3:].encode() not in each
    for ttl in await redis.do(*(("TTL", name) for name in names)):
        assert 0 < ttl <= 3600, "Redis keeps nothing for ever"


async def test_a_key_has_another_name_at_another_gateway_and_the_name_says_nothing_of_it() -> None:
    assert hash_of(KEY, GATEWAY) != hash_of(KEY, "https://other.example")
    assert hash_of(KEY, GATEWAY) != hash_of("SG_fedcba9876543210", GATEWAY)
    assert len(hash_of(KEY * 50, GATEWAY)) == 32


async def works(ledger: RedisLedger) -> None:
    """Use all of a ledger: nothing is raised, and its turns come."""
    assert (await ledger.reserve(QUICK, math.inf)).is_reserved
    assert await ledger.enter() == 0
    assert await ledger.pause_left() == 0
    await ledger.refuse(Refusal(time.time(), 0.001), QUICK)
    await ledger.answered()
    await asyncio.sleep(0.01)


TROUBLES = {
    "garbage": b"\x00\xff\xfegarbage\r\n",
    "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "read-only": b"-READONLY You can't write against a read only replica.\r\n",
    "full": b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    "password wanted": b"-NOAUTH Authentication required.\r\n",
    "loading": b"-LOADING Redis is loading the dataset in memory\r\n",
    "numbers": b":42\r\n" * 9,
    "nothing": b"$-1\r\n" * 9,
    "a large promise": b"$999999999999\r\n",
}


@pytest.mark.parametrize("answer", TROUBLES.values(), ids=TROUBLES)
async def test_whatever_redis_answers_the_local_budget_stands_in_with_one_line(
    answer: bytes, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_ledger, "LONGEST_ANSWER", 0.5)
    false = FalseRedis(answer)
    ledger = ledger_at(false.port, SECRET)
    await works(ledger)
    await works(ledger)
    await ledger.close()
    false.close()
    assert len(warnings(caplog)) == 1
    assert f"the Redis of the connection 'limits' (127.0.0.1:{false.port}) cannot be used" in warnings(caplog)[0]
    assert SECRET not in caplog.text


@pytest.mark.parametrize("options", [("--requirepass", SECRET), ("--maxmemory", "1")], ids=["password", "full"])
async def test_a_real_redis_that_refuses_is_no_trouble_either(
    options: tuple[str, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    running = RedisServer(tmp_path)
    running.start(*options)
    ledger = ledger_at(running.port, "wrong-horse" if "--requirepass" in options else None)
    await works(ledger)
    await ledger.close()
    running.kill()
    assert len(warnings(caplog)) == 1
    assert "wrong-horse" not in caplog.text


async def test_the_right_password_opens_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    running = RedisServer(tmp_path, "--requirepass", SECRET)
    running.start()
    await check_redis(place_at(running.port, SECRET))
    ledger = ledger_at(running.port, SECRET)
    await works(ledger)
    await ledger.close()
    running.kill()
    assert warnings(caplog) == []
    assert SECRET not in caplog.text + repr(place_at(1, SECRET)) + str(place_at(1, SECRET))


@pytest.mark.parametrize("trouble", ["killed", "hanging"])
async def test_a_redis_that_fails_in_the_middle_is_used_again_when_it_is_back(
    trouble: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_ledger, "LONGEST_ANSWER", 1.0)
    monkeypatch.setattr(redis_ledger, "RETRY_AFTER", 0.0)
    caplog.set_level(logging.INFO, "airflow_provider_segmind")
    running = RedisServer(tmp_path)
    running.start()
    ledger = ledger_at(running.port)
    await works(ledger)
    if trouble == "killed":
        running.kill()
        await works(ledger)
        running.start()
    else:
        with running.hanging():
            await works(ledger)
    assert len(warnings(caplog)) == 1
    monkeypatch.setattr(redis_ledger, "LONGEST_ANSWER", 10.0)
    await works(ledger)
    assert caplog.text.count("works again") == 1
    await works(ledger)
    assert (await (await ledger._open()).do(("EXISTS", f"airflow-segmind:{NAME}:state"))) == [1]
    await ledger.close()
    running.kill()
    assert len(warnings(caplog)) == 1


async def test_a_redis_that_is_always_slow_is_left_alone(
    server: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_ledger, "SLOW", 0.0)
    ledger = ledger_at(server.port)
    for _ in range(2 * redis_ledger.MOST_SLOW):
        assert await ledger.pause_left() == 0
    await ledger.close()
    assert len(warnings(caplog)) == 1
    assert "5 answers in a row took more than" in warnings(caplog)[0]


async def test_a_redis_that_fails_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, asked = ledger_at(free_port()), []
    open_ = ledger._open

    async def counted() -> object:
        asked.append(1)
        return await open_()

    monkeypatch.setattr(ledger, "_open", counted)
    ledger._redis = None
    for _ in range(5):
        assert (await ledger.reserve(QUICK, math.inf)).is_reserved
    assert len(asked) == 1
    await ledger.close()


@pytest.mark.parametrize("planted", ["garbage", "nan", "1e300", "-1e300"])
async def test_a_turn_that_cannot_be_right_is_not_waited_for(
    planted: str, server: RedisServer, ledgers: list[RedisLedger], caplog: pytest.LogCaptureFixture
) -> None:
    ledger = ledgers[0]
    redis = await ledger._open()
    await redis.do(("SET", f"throttled:v1:gcra:airflow-segmind:{NAME}", planted))
    assert (await ledger.reserve(60, math.inf)).wait < SPREAD / 60 + 1


PLANTED = (
    *(b"[]", b"{", b"\xff", b'{"version": 1, "closed_until": 1e308}', b'{"version":1,"learned":[NaN,0,60]}'),
    b"x" * 10**6,
)


@pytest.mark.parametrize("planted", PLANTED, ids=range(len(PLANTED)))
async def test_what_was_learned_is_not_believed_if_it_cannot_be_right(
    planted: bytes, ledgers: list[RedisLedger]
) -> None:
    ledger = ledgers[0]
    await (await ledger._open()).do(("SET", f"airflow-segmind:{NAME}:state", planted))
    await works(ledger)


async def test_missing_packages_are_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "throttled.asyncio", None)
    ledger = ledger_at(free_port())
    assert (await ledger.reserve(QUICK, math.inf)).is_reserved
    assert "airflow-provider-segmind[redis]" in caplog.text


def test_a_password_in_an_error_is_masked() -> None:
    place = place_at(6379, SECRET)
    assert SECRET not in describe_failure(ValueError(f"redis://:{SECRET}@host\nnext"), place)
    assert "\n" not in describe_failure(ValueError("a\nb"), place)


def test_redis_is_not_imported_before_it_is_used() -> None:
    code = (
        "import sys; import airflow_provider_segmind.hooks.segmind, airflow_provider_segmind.hooks.budget, "
        "airflow_provider_segmind.hooks.redis_ledger; "
        "sys.exit(any(name.partition('.')[0] in ('redis', 'throttled') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
