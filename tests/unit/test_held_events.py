"""No trigger fires before Airflow 3 knows that the worker has left the task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

from airflow_provider_segmind.api.answers import RequestReport
from airflow_provider_segmind.api.history_search import HistoryMatches
from airflow_provider_segmind.api.rate_limited_submit import RateLimitedSubmit
from airflow_provider_segmind.api.unresolved_submit import UnresolvedSubmit
from airflow_provider_segmind.exceptions import RequestFailedError
from airflow_provider_segmind.triggers import deferral, rate_limit, request, unresolved_submit
from airflow_provider_segmind.triggers.deferral import (
    DEFERRAL_REPORT_TIME,
    LATE,
    LONGEST_HOLD,
    deferral_timeout,
    earliest_event,
)
from airflow_provider_segmind.triggers.rate_limit import SegmindRateLimitTrigger
from airflow_provider_segmind.triggers.request import SegmindRequestTrigger
from airflow_provider_segmind.triggers.unresolved_submit import SegmindUnresolvedSubmitTrigger

AIRFLOW_3 = Version(airflow_version) >= Version("3")
NOW = 1795435200.0
SUBMIT = UnresolvedSubmit("m", "f", NOW, NOW, NOW, NOW + 60).as_json()
TURN = RateLimitedSubmit(NOW, NOW + 60).as_json()
TRIGGERS: dict[str, Callable[..., Any]] = {
    "request": lambda **more: SegmindRequestTrigger("req-1", **more),
    "unresolved_submit": lambda **more: SegmindUnresolvedSubmitTrigger(submit=SUBMIT, **more),
    "rate_limit": lambda **more: SegmindRateLimitTrigger(submit=TURN, **more),
    "unreadable request": SegmindRequestTrigger,
    "unreadable unresolved_submit": SegmindUnresolvedSubmitTrigger,
    "unreadable rate_limit": SegmindRateLimitTrigger,
}


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = NOW

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of a triggerer in which every wait is over at once."""
    clock = Clock()

    async def done(*_: Any) -> RequestReport:
        return RequestReport("req-1", "COMPLETED", {"output": "x"})

    async def searched(*_: Any) -> HistoryMatches:
        return HistoryMatches(("req-1",))

    async def come(_: SegmindRateLimitTrigger) -> None:
        return None

    monkeypatch.setattr(deferral, "time", clock)
    monkeypatch.setattr(deferral, "asyncio", SimpleNamespace(sleep=clock.sleep))
    monkeypatch.setattr(request, "drive_async", done)
    monkeypatch.setattr(unresolved_submit, "drive_async", searched)
    monkeypatch.setattr(rate_limit.SegmindRateLimitTrigger, "_wait_for_turn", come)
    return clock


async def fired(trigger: Any) -> Any:
    (event,) = [event async for event in trigger.run()]
    return event.payload


@pytest.mark.parametrize("kind", TRIGGERS)
async def test_an_event_is_held_until_airflow_can_take_it(clock: Clock, kind: str) -> None:
    at_once = await fired(TRIGGERS[kind]())
    assert clock.now == NOW
    assert await fired(TRIGGERS[kind](earliest_event=NOW + 10)) == at_once
    assert clock.now == NOW + 10


@pytest.mark.parametrize("kind", TRIGGERS)
async def test_a_triggerer_that_restarts_adds_no_delay(clock: Clock, kind: str) -> None:
    _, arguments = TRIGGERS[kind](earliest_event=NOW + 10).serialize()
    clock.now = NOW + 11
    await fired(type(TRIGGERS[kind]())(**arguments))
    assert clock.now == NOW + 11


async def test_a_failure_is_held_too(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    async def failed(*_: Any) -> None:
        raise RequestFailedError("blocked", request_id="req-1")

    monkeypatch.setattr(request, "drive_async", failed)
    event = await fired(SegmindRequestTrigger("req-1", earliest_event=NOW + 10))
    assert (event["error"]["type"], clock.now) == ("RequestFailedError", NOW + 10)


async def test_a_worker_whose_clock_is_ahead_holds_an_event_for_a_minute(clock: Clock) -> None:
    await fired(SegmindRequestTrigger("req-1", earliest_event=NOW + 3600))
    assert clock.now == NOW + LONGEST_HOLD


@pytest.mark.skipif(not AIRFLOW_3, reason="Airflow 2 has no such option")
async def test_an_interval_that_is_longer_than_that_is_waited_out(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "300")
    until = earliest_event()
    await fired(SegmindRequestTrigger("req-1", earliest_event=until))
    assert clock.now == until == NOW + 300 + DEFERRAL_REPORT_TIME
    clock.now = NOW
    assert deferral_timeout(NOW + 60).total_seconds() >= 300 + DEFERRAL_REPORT_TIME + LATE, (
        "Airflow gives up later"
    )


def test_the_moment_follows_what_airflow_is_configured_for(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    assert earliest_event() == (NOW + 5 + DEFERRAL_REPORT_TIME if AIRFLOW_3 else 0.0)
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "12")
    assert earliest_event() == NOW + 12 + DEFERRAL_REPORT_TIME


async def test_a_turn_is_not_taken_before(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    class Hook:
        async def __aenter__(self) -> Hook:
            return self

        async def __aexit__(self, *_: object) -> None:
            return None

        async def get_budget(self) -> Any:
            async def wait_to_submit(*moments: float) -> None:
                asked.extend(moments)

            return SimpleNamespace(wait_to_submit=wait_to_submit)

    async def hook(_: str) -> Hook:
        return Hook()

    monkeypatch.setattr(rate_limit, "load_async_hook", hook)
    await asyncio.wait_for(fired(SegmindRateLimitTrigger(submit=TURN, earliest_event=1000.0)), 20)
    assert asked == [NOW, NOW + 60, 1000.0]
