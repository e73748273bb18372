"""What readers of an account share in one process: one read for all of them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from airflow_provider_segmind.account import answers, shared_reads
from airflow_provider_segmind.account.answers import LIFETIME, Answer
from airflow_provider_segmind.account.shared_reads import MOST_AT_ONCE, MOST_KEPT, SharedReads


class Counted:
    """Something to read, which counts how often it is."""

    def __init__(self, act: Callable[[], object] = lambda: None) -> None:
        self.reads: list[str] = []
        self.act = act

    def of(self, name: str, age: float = 0.0, status: int = 200) -> Callable[[], Answer]:
        def read() -> Answer:
            self.reads.append(name)
            self.act()
            return Answer(status, {"name": name}, time.time() - age)

        return read


async def test_readers_at_the_same_time_share_one_read() -> None:
    may_end = threading.Event()
    read = Counted(lambda: may_end.wait(10))
    shared = SharedReads()
    readers = [asyncio.create_task(shared.get("a", read.of("a"))) for _ in range(10)]
    await asyncio.sleep(0)
    may_end.set()
    assert [answer.document for answer in await asyncio.gather(*readers)] == [{"name": "a"}] * 10
    assert read.reads == ["a"]


async def test_a_reader_who_leaves_stops_nobody() -> None:
    may_end = threading.Event()
    read = Counted(lambda: may_end.wait(10))
    shared = SharedReads()
    leaving, staying = (asyncio.create_task(shared.get("a", read.of("a"))) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    may_end.set()
    assert (await staying).document == {"name": "a"}
    assert read.reads == ["a"]


async def test_an_answer_is_used_again_until_it_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Counted()
    shared = SharedReads()
    for _ in range(3):
        await shared.get("a", read.of("a"))
    assert read.reads == ["a"]
    monkeypatch.setattr(answers, "LIFETIME", 0.0)
    await shared.get("b", read.of("b"))
    await shared.get("b", read.of("b"))
    assert read.reads == ["a", "b", "b"]


async def test_an_answer_that_another_process_has_read_is_used_no_longer() -> None:
    read = Counted()
    shared = SharedReads()
    for _ in range(2):
        await shared.get("a", read.of("a", age=LIFETIME))
    assert read.reads == ["a", "a"]


async def test_a_refusal_is_used_again_for_a_shorter_time(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Counted()
    shared = SharedReads()
    for _ in range(3):
        assert (await shared.get("a", read.of("a", status=502))).status == 502
    assert read.reads == ["a"]
    monkeypatch.setattr(answers, "LIFETIME_OF_ERRORS", 0.0)
    for _ in range(2):
        await shared.get("b", read.of("b", status=502))
    assert read.reads == ["a", "b", "b"]


async def test_an_error_is_shared_too_and_another_read_may_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ValueError("no answer")

    read = Counted(fail)
    shared = SharedReads()
    for _ in range(3):
        with pytest.raises(ValueError, match="no answer"):
            await shared.get("a", read.of("a"))
    assert read.reads == ["a"]
    monkeypatch.setattr(shared_reads, "LIFETIME_OF_ERRORS", 0.0)
    for _ in range(2):
        with pytest.raises(ValueError, match="no answer"):
            await shared.get("b", read.of("b"))
    assert read.reads == ["a", "b", "b"]


async def test_what_is_kept_is_bounded() -> None:
    read = Counted()
    shared = SharedReads()
    for number in range(MOST_KEPT + 5):
        await shared.get(f"{number}", read.of(f"{number}"))
    await shared.get("24", read.of("24"))
    assert len(read.reads) == MOST_KEPT + 5
    await shared.get("0", read.of("0"))
    assert read.reads[-1] == "0"


async def test_few_reads_run_at_the_same_time() -> None:
    running, most = 0, 0
    lock = threading.Lock()
    met = threading.Barrier(MOST_AT_ONCE)

    def act() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        met.wait(10)  # two are there, so that it is not by chance that there are no more
        with lock:
            running -= 1

    read, shared = Counted(act), SharedReads()
    await asyncio.gather(*(shared.get(str(each), read.of(str(each))) for each in range(3 * MOST_AT_ONCE)))
    assert most == MOST_AT_ONCE
