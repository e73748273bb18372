"""What readers of an account share: one read for all of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from airflow_provider_segmind.account import shared_reads
from airflow_provider_segmind.account.shared_reads import MOST_AT_ONCE, MOST_KEPT, SharedReads


class Counted:
    """Something to read, which counts how often it is."""

    def __init__(self, answer: Callable[[str], str] = str.upper) -> None:
        self.reads: list[str] = []
        self.answer = answer

    def __call__(self, key: str) -> str:
        self.reads.append(key)
        return self.answer(key)


async def test_readers_at_the_same_time_share_one_read() -> None:
    may_end = threading.Event()

    def wait(key: str) -> str:
        assert may_end.wait(10)
        return key.upper()

    read = Counted(wait)
    shared = SharedReads(read)
    readers = [asyncio.create_task(shared.get("a")) for _ in range(10)]
    await asyncio.sleep(0)
    may_end.set()
    assert await asyncio.gather(*readers) == ["A"] * 10
    assert read.reads == ["a"]


async def test_a_reader_who_leaves_stops_nobody() -> None:
    may_end = threading.Event()
    read = Counted(lambda key: key.upper() if may_end.wait(10) else "")
    shared = SharedReads(read)
    leaving, staying = (asyncio.create_task(shared.get("a")) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    may_end.set()
    assert await staying == "A"
    assert read.reads == ["a"]


async def test_an_answer_is_used_again_until_it_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Counted()
    shared = SharedReads(read)
    assert [await shared.get("a") for _ in range(3)] == ["A"] * 3
    assert read.reads == ["a"]
    monkeypatch.setattr(shared_reads, "LIFETIME", 0.0)
    await shared.get("b")
    await shared.get("b")
    assert read.reads == ["a", "b", "b"]


async def test_an_error_is_shared_too_and_another_read_may_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(key: str) -> str:
        raise ValueError(key)

    read = Counted(fail)
    shared = SharedReads(read)
    for _ in range(3):
        with pytest.raises(ValueError, match="a"):
            await shared.get("a")
    assert read.reads == ["a"]
    monkeypatch.setattr(shared_reads, "LIFETIME_OF_ERRORS", 0.0)
    for _ in range(2):
        with pytest.raises(ValueError, match="b"):
            await shared.get("b")
    assert read.reads == ["a", "b", "b"]


async def test_what_is_kept_is_bounded() -> None:
    read = Counted()
    shared = SharedReads(read)
    for number in range(MOST_KEPT + 5):
        await shared.get(f"key {number}")
    await shared.get("key 24")
    assert len(read.reads) == MOST_KEPT + 5
    await shared.get("key 0")
    assert read.reads[-1] == "key 0"


async def test_few_reads_run_at_the_same_time() -> None:
    running, most = 0, 0
    lock = threading.Lock()
    met = threading.Barrier(MOST_AT_ONCE)

    def read(key: str) -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        met.wait(10)  # two are there, so that it is not by chance that there are no more
        with lock:
            running -= 1
        return key

    shared = SharedReads(read)
    await asyncio.gather(*(shared.get(str(number)) for number in range(3 * MOST_AT_ONCE)))
    assert most == MOST_AT_ONCE
