"""Event triggers of asset watchers, over loopback, on a clock that jumps: nothing twice, and never a submit."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_segmind import compat
from airflow_provider_segmind.api.locations import output_location
from airflow_provider_segmind.api.watermark import Watermark
from airflow_provider_segmind.emulator.jobs import Fate
from airflow_provider_segmind.emulator.models import MOCK_INFERENCE
from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.triggers.request_ended import SegmindRequestEndedTrigger
from airflow_provider_segmind.watching import homes
from tests.watching import MODEL, JumpingClock, clock, submit

pytestmark = pytest.mark.skipif(
    not compat.has_event_triggers(), reason="before Airflow 3.0, assets have no watchers"
)

MINUTE = 60.0
HOUR = 3600.0

__all__ = ["clock"]


@pytest.fixture(autouse=True)
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a watch keeps what it has reported."""
    monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_PATH", str(tmp_path))
    return tmp_path


class AssetStates(dict[str, Any]):
    """The state store of one asset, as Airflow 3.3.2 has it."""

    async def aget(self, key: str) -> Any:
        return json.loads(self[key]) if key in self else None

    async def aset(self, key: str, value: Any) -> None:
        self[key] = json.dumps(value)


def ids(events: list[Any]) -> list[str]:
    return [event["request_id"] for event in events]


def history_calls(emulator: RunningEmulator) -> int:
    return int(emulator.requests()["endpoints"]["history"])


def test_a_request_that_ends_is_reported_once_and_without_its_parameters(
    emulator: RunningEmulator, clock: JumpingClock
) -> None:
    made: list[str] = []
    clock.after(5 * MINUTE, lambda: made.append(submit(0, "fast-text-to-image")))
    (event,) = clock.watch(HOUR)
    assert event.pop("created_at").startswith(datetime.fromtimestamp(clock.time(), UTC).isoformat()[:2])
    urls = event.pop("output_urls")
    assert all(url.startswith(emulator.url) for url in urls)
    assert event == {
        "request_id": made[0],
        "model": "fast-text-to-image",
        "state": "COMPLETED",
        "cost": 0.003,
        "output_count": len(urls),
    }


def test_a_watch_never_submits_and_takes_one_call_a_look(emulator: RunningEmulator, clock: JumpingClock) -> None:
    submit()
    clock.watch(HOUR, SegmindRequestEndedTrigger())
    assert emulator.ledger()["submits"] == 1
    assert set(emulator.requests()["endpoints"]) >= {"submit", "history"}
    assert {each["method"] for each in emulator.requests()["log"][1:]} == {"GET"}
    assert history_calls(emulator) in range(58, 63)


def test_what_has_ended_before_is_not_reported_and_what_runs_is(clock: JumpingClock) -> None:
    submit()
    running = submit(90 * MINUTE)
    clock.advance(MINUTE)
    assert ids(clock.watch(3 * HOUR)) == [running]


def test_a_slow_request_is_reported_though_later_ones_were_before(clock: JumpingClock) -> None:
    made = {}
    clock.after(5 * MINUTE, lambda: made.update(slow=submit(6 * HOUR)))
    for hour in range(1, 6):
        clock.after(hour * HOUR, lambda hour=hour: made.update({str(hour): submit(10)}))
    found = ids(clock.watch(8 * HOUR))
    assert found == [*(made[str(hour)] for hour in range(1, 6)), made["slow"]]


def test_a_triggerer_that_was_down_reports_what_ended_meanwhile_once(clock: JumpingClock) -> None:
    assert clock.watch(MINUTE) == []
    first = submit()
    assert ids(clock.watch(5 * MINUTE)) == [first]
    second = submit(10)
    clock.advance(3 * 24 * HOUR)
    third = submit()
    assert ids(clock.watch(HOUR)) == [second, third]
    assert clock.watch(3 * HOUR) == []


def test_since_reports_what_is_older_once(clock: JumpingClock) -> None:
    first = submit()
    clock.advance(3 * 24 * HOUR)
    since = datetime.fromtimestamp(clock.time() - 4 * 24 * HOUR, UTC)
    assert ids(clock.watch(MINUTE, since=since)) == [first]
    assert clock.watch(HOUR, since=since) == []


def test_without_a_home_since_is_ignored_and_the_log_says_so(
    clock: JumpingClock, monkeypatch: pytest.MonkeyPatch, said: Callable[[], str]
) -> None:
    """It would report the same requests again after each start."""
    monkeypatch.delenv("AIRFLOW__SEGMIND__RECORDS_PATH")
    submit()
    clock.advance(MINUTE)
    assert clock.watch(HOUR, since="2020-01-01T00:00:00Z") == []
    assert "'since' is ignored. Set [segmind] records_path" in said()


def test_models_and_states_can_be_chosen(emulator: RunningEmulator, clock: JumpingClock) -> None:
    emulator.faults({"on": "submit", "outcome": "failed", "count": 2})
    made: list[str] = []
    for model in (MODEL, "fast-text-to-image", MODEL, "fast-text-to-image"):
        clock.after(2 * MINUTE, lambda model=model: made.append(submit(1, model)))
    both = SegmindRequestEndedTrigger(states=("FAILED", "COMPLETED"), segmind_conn_id="segmind_default")
    assert sorted(ids(clock.watch(10 * MINUTE, both))) == sorted(made)
    failed = clock.watch(
        1, SegmindRequestEndedTrigger(model=MODEL, states=["FAILED"], since="2026-01-01T00:00:00Z")
    )
    assert [(each["request_id"], each["state"], each["cost"]) for each in failed] == [(made[0], "FAILED", 0.0)]


@pytest.mark.parametrize(
    "world", [{}, {"history_rows": "with_output", "history_lag": 900}, {"ids": "mixed"}], ids=str
)
@pytest.mark.parametrize("created", ["accepted", "recorded"])
def test_each_world_of_the_history(
    emulator: RunningEmulator, clock: JumpingClock, world: dict[str, Any], created: str
) -> None:
    emulator.change_world(**world, history_created=created)
    made: list[str] = []
    for minute, duration in ((1, 1), (2, 2400), (3, 30), (40, 1)):
        clock.after(minute * MINUTE, lambda duration=duration: made.append(submit(duration)))
    found = [*clock.watch(30 * MINUTE), *clock.watch(3 * HOUR)]
    plain = [each.replace("-", "") for each in ids(found)]
    assert sorted(plain) == sorted(each.replace("-", "") for each in made)


def test_a_thousand_requests_between_two_looks(emulator: RunningEmulator, clock: JumpingClock) -> None:
    assert clock.watch(1) == []
    made = fill_history(emulator, 1000)
    found = ids(clock.watch(HOUR))
    assert sorted(found) == sorted(made)
    assert clock.watch(HOUR) == []


def fill_history(emulator: RunningEmulator, count: int) -> list[str]:
    """Have so many requests end, without a call for each."""
    state = emulator._state
    parameters = {"sleep": 0, "credits": 0}

    def fill() -> list[str]:
        made = [
            state.accept(MOCK_INFERENCE, parameters, parameters, emulator.api_key, Fate()) for _ in range(count)
        ]
        return [job.request_id for job in made]

    return emulator._in_loop(fill)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"on": "history", "status": 503}, "ServerError"),
        ({"on": "history", "drop": "midway"}, ""),
        ({"on": "history", "body": "html"}, "UnreadableResponseError"),
    ],
    ids=["503", "drop", "html"],
)
def test_a_history_that_is_down_is_one_line_and_loses_nothing(
    emulator: RunningEmulator, clock: JumpingClock, said: Callable[[], str], fault: dict[str, Any], error: str
) -> None:
    made: list[str] = []
    clock.watch(1)
    clock.after(MINUTE, lambda: made.append(submit()))
    clock.after(MINUTE, lambda: emulator.faults({**fault, "count": 5}))
    said()
    assert ids(clock.watch(2 * HOUR)) == made
    text = said()
    assert text.count("are not reported at present") == 1
    assert text.count("are reported again") == 1
    assert error in text or "segmind" in text


LIMITED = {"on": "history", "status": 429, "reset_format": "none", "retry_after": 0.05}
"""Not a moment as the reset: the clock of the emulator has jumped, and that of the key's budget has not."""


@pytest.fixture
def quick_key(emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key whose limit leaves the real time of a test alone, also after 429s."""
    connection = emulator.connection()
    connection["extra"]["requests_per_minute"] = 60_000
    monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", json.dumps(connection))


@pytest.mark.usefixtures("quick_key")
def test_a_429_now_and_then_delays_and_is_no_line(
    emulator: RunningEmulator, clock: JumpingClock, said: Callable[[], str]
) -> None:
    clock.watch(1)
    made: list[str] = []
    for minute in range(5, 60, 10):
        clock.after(minute * MINUTE, lambda: emulator.faults({**LIMITED, "count": 1}))
        clock.after(minute * MINUTE, lambda: made.extend(fill_history(emulator, 3)))
    said()
    calls = history_calls(emulator)
    assert sorted(ids(clock.watch(HOUR, poll_interval=60))) == sorted(made)
    assert "are not reported at present" not in said()
    assert history_calls(emulator) - calls <= 62
    assert clock.watch(HOUR) == []


@pytest.mark.usefixtures("quick_key")
def test_a_429_in_the_middle_of_a_look_loses_nothing_and_delays_by_a_look(
    emulator: RunningEmulator, clock: JumpingClock
) -> None:
    clock.watch(1)
    made: list[str] = []
    clock.after(3 * MINUTE, lambda: made.extend(fill_history(emulator, 350)))
    clock.after(3 * MINUTE, lambda: emulator.faults({**LIMITED, "skip": 1, "count": 1}))
    assert sorted(ids(clock.watch(6 * MINUTE, poll_interval=60))) == sorted(made)
    assert clock.watch(HOUR) == []


@pytest.mark.usefixtures("quick_key")
def test_429s_in_a_row_are_one_line_and_few_calls(
    emulator: RunningEmulator, clock: JumpingClock, said: Callable[[], str]
) -> None:
    clock.watch(1)
    made: list[str] = []
    clock.after(5 * MINUTE, lambda: emulator.faults({**LIMITED, "count": 2}))
    for minute in range(4, 50, 2):
        clock.after(minute * MINUTE, lambda: made.extend(fill_history(emulator, 2)))
    said()
    calls = history_calls(emulator)
    assert sorted(ids(clock.watch(HOUR, poll_interval=60))) == sorted(made)
    text = said()
    assert text.count("are not reported at present") == 1
    assert text.count("are reported again") == 1
    assert history_calls(emulator) - calls <= 62
    assert clock.watch(HOUR) == []


@pytest.mark.usefixtures("quick_key")
def test_a_host_that_fails_in_several_ways_is_one_line_for_each(
    emulator: RunningEmulator, clock: JumpingClock, said: Callable[[], str]
) -> None:
    clock.watch(1)
    made: list[str] = []
    ways = ({"status": 503}, {"drop": "midway"}, {"body": "html"})
    clock.after(5 * MINUTE, lambda: emulator.faults(*({"on": "history", "count": 1, **way} for way in ways * 4)))
    for minute in range(6, 240, 40):
        clock.after(minute * MINUTE, lambda: made.extend(fill_history(emulator, 2)))
    said()
    assert sorted(ids(clock.watch(8 * HOUR))) == sorted(made)
    text = said()
    assert 1 < text.count("are not reported at present") <= len(ways)
    assert text.count("are reported again") == 1
    assert clock.watch(HOUR) == []


def test_a_host_that_refuses_connections_for_hours_loses_nothing(
    emulator: RunningEmulator, clock: JumpingClock, monkeypatch: pytest.MonkeyPatch, said: Callable[[], str]
) -> None:
    """A triggerer that starts while it is down, too."""
    clock.watch(1)
    connection = json.dumps(emulator.connection())
    with socket.create_server(("127.0.0.1", 0)) as closed:
        refusing = f"http://127.0.0.1:{closed.getsockname()[1]}"
    made = fill_history(emulator, 3)
    monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", connection.replace(emulator.url, refusing))
    said()
    assert clock.watch(6 * HOUR) == []
    text = said()
    assert text.count("are not reported at present") == 1
    assert "Segmind cannot be reached" in text
    monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", connection)
    assert sorted(ids(clock.watch(HOUR))) == sorted(made)
    assert clock.watch(HOUR) == []


def test_a_revoked_key_is_one_line_and_few_calls(
    emulator: RunningEmulator, clock: JumpingClock, said: Callable[[], str]
) -> None:
    clock.watch(1)
    emulator.revoke_key(emulator.api_key)
    calls = history_calls(emulator)
    clock.after(5 * HOUR, lambda: emulator.restore_key(emulator.api_key))
    said()
    assert clock.watch(5 * HOUR) == []
    assert said().count("are not reported at present") == 1
    assert history_calls(emulator) - calls <= 2 * 5 * 6 + 2
    made = submit()
    assert ids(clock.watch(HOUR)) == [made]


def test_two_triggerers_at_the_same_time_report_each_request_once(
    emulator: RunningEmulator, clock: JumpingClock
) -> None:
    clock.watch(1)
    made: list[str] = []
    for minute in range(1, 20):
        clock.after(minute * 3 * MINUTE, lambda: made.append(submit()))

    async def both() -> list[list[Any]]:
        return await asyncio.gather(*(clock.events(HOUR, SegmindRequestEndedTrigger()) for _ in range(2)))

    one, other = asyncio.run(both())
    found = ids([*one, *other, *clock.watch(HOUR)])
    assert sorted(found) == sorted(made)


def test_a_watch_that_ends_after_its_claim_says_what_may_be_lost(
    clock: JumpingClock, said: Callable[[], str]
) -> None:
    clock.watch(1)
    made = submit()
    clock.advance(1)

    async def end_at_the_first_event() -> str:
        async for event in SegmindRequestEndedTrigger().run():
            return str(event.payload["request_id"])
        return ""

    assert asyncio.run(end_at_the_first_event()) == made
    said()
    assert clock.watch(HOUR) == []
    text = said()
    assert "within seconds of handing 1 requests to Airflow: " + made in text
    assert clock.watch(HOUR) == []
    assert "within seconds" in said(), "nothing was reported since, so that it stays in doubt"


def test_what_was_stored_long_ago_is_not_in_doubt(clock: JumpingClock, said: Callable[[], str]) -> None:
    clock.watch(1)
    made = submit()
    assert ids(clock.watch(HOUR)) == [made]
    said()
    clock.watch(HOUR)
    assert "within seconds" not in said()


def test_the_state_store_of_an_asset_serves_as_well(
    clock: JumpingClock, monkeypatch: pytest.MonkeyPatch, records: Path
) -> None:
    monkeypatch.delenv("AIRFLOW__SEGMIND__RECORDS_PATH")
    states = AssetStates()

    def trigger() -> SegmindRequestEndedTrigger:
        made = SegmindRequestEndedTrigger()
        made.asset_state_store = states  # type: ignore[assignment]
        return made

    assert clock.watch(1, trigger()) == []
    first = submit()
    assert ids(clock.watch(HOUR, trigger())) == [first]
    second = submit()
    clock.advance(HOUR)

    async def both() -> list[list[Any]]:
        return await asyncio.gather(*(clock.events(HOUR, trigger()) for _ in range(2)))

    one, other = asyncio.run(both())
    assert ids([*one, *other]) == [second]
    assert list(records.iterdir()) == []
    assert all(len(value) < 64 * 1024 for value in states.values())


def test_a_home_that_is_down_for_a_while_loses_nothing(
    clock: JumpingClock, monkeypatch: pytest.MonkeyPatch, said: Callable[[], str]
) -> None:
    """Without it, nothing is reported: it could come twice."""
    clock.watch(1)
    made = submit()
    names = homes.FileHome._names
    failures = iter(range(7))

    def sometimes(home: homes.FileHome) -> Any:
        if next(failures, None) is not None:
            raise homes.RecordUnavailableError("the bucket does not answer")
        return names(home)

    monkeypatch.setattr(homes.FileHome, "_names", sometimes)
    assert ids(clock.watch(2 * HOUR)) == [made]
    assert said().count("the bucket does not answer") == 1
    monkeypatch.setattr(homes.FileHome, "_names", names)
    assert clock.watch(HOUR) == []


def test_a_damaged_watermark_is_named_and_nothing_is_reported(
    clock: JumpingClock, records: Path, said: Callable[[], str]
) -> None:
    clock.watch(1)
    submit()
    (file,) = records.glob("watches/*/*.json")
    file.write_text('{"version": 1, "settled_before": "yesterday"}')
    said()
    assert clock.watch(HOUR) == []
    text = said()
    assert file.name in text
    assert "Delete the folder" in text


async def test_a_claim_that_another_watch_went_on_from_is_reported(
    clock: JumpingClock, records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one read it before this one could list the folder: nobody else would report what it has."""
    folder = output_location(f"{records}/", None, "records_path")
    one, other = homes.FileHome(folder), homes.FileHome(folder)
    assert await one.claim(Watermark(1.0))
    await one.read()
    names = homes.FileHome._names

    def after_the_other(home: homes.FileHome) -> Any:
        monkeypatch.setattr(homes.FileHome, "_names", names)
        assert other._read() == [Watermark(2.0)]
        assert other._claim(Watermark(3.0))
        return names(home)

    monkeypatch.setattr(homes.FileHome, "_names", after_the_other)
    assert await one.claim(Watermark(2.0))
    assert await one.read() == Watermark(3.0)
