"""What was reported of an account: nothing comes twice, whatever rows say, and what is kept stays small."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_segmind import compat
from airflow_provider_segmind.api.account_look import Look, Watched, first_watermark, look_at_history, report_of
from airflow_provider_segmind.api.history import HistoryEntry, HistoryPage, read_page
from airflow_provider_segmind.api.watermark import (
    MOST_REPORTED,
    MOST_UNDATED,
    SPAN,
    UNDATED_LIFETIME,
    Watermark,
    mark_of,
    merged,
)
from airflow_provider_segmind.exceptions import InvalidParameterError, SegmindError, ServerError
from airflow_provider_segmind.triggers.request_ended import SegmindRequestEndedTrigger

NOW = 1_795_690_000.0
HOUR = 3600.0
ANY = Watched(("COMPLETED",))

needs_watchers = pytest.mark.skipif(
    not compat.has_event_triggers(), reason="before Airflow 3.0, assets have no watchers"
)


def entry(request_id: str, made: float | None = NOW, state: str = "COMPLETED", model: str = "m") -> HistoryEntry:
    created_at = None if made is None else datetime.fromtimestamp(made, UTC)
    return HistoryEntry(request_id, model, state, created_at=created_at)


def look_at(pages: list[Any], mark: Watermark | None, open_since: float | None = None) -> tuple[Look, int]:
    """Return what a look makes of pages of entries or errors, and how many of them it asks for."""
    steps = look_at_history(ANY, mark, lambda: NOW, open_since)
    call, asked = next(steps), 0
    assert call.method == "GET"
    try:
        while True:
            page = pages[asked]
            asked += 1
            if isinstance(page, SegmindError):
                steps.throw(page)
            else:
                steps.send(HistoryPage(tuple(page), rows=len(page)))
    except StopIteration as end:
        return end.value, asked


def test_ids_are_the_same_however_a_host_writes_them() -> None:
    mark = Watermark(NOW - HOUR).with_settled([entry("AB-CD")], NOW)
    assert mark.is_settled(entry("abcd"), NOW)
    assert not mark.is_settled(entry("abce"), NOW)


def test_what_is_stored_is_read_again() -> None:
    mark = Watermark(NOW - HOUR).with_settled([entry("a"), entry("b", None), entry("c", NOW - 500)], NOW)
    mark = mark.with_unconfirmed(["a"])
    assert Watermark.from_json(json.loads(json.dumps(mark.as_json()))) == mark


@pytest.mark.parametrize(
    "damage",
    [
        None,
        {},
        {"settled_before": "x"},
        {"settled_before": 1, "dated": {"x": ""}},
        {"settled_before": 1, "dated": {"60": "abc"}},
    ],
)
def test_a_damaged_watermark_is_an_error(damage: Any) -> None:
    with pytest.raises(SegmindError, match="watermark of an account cannot be read"):
        Watermark.from_json(damage)


def test_nothing_comes_twice_in_any_order_and_what_is_kept_is_bounded() -> None:
    chance = random.Random(1)  # noqa: S311 - not secret
    mark, reported = Watermark(NOW - HOUR), []
    pool = [entry(f"r{number}", chance.choice([None, NOW - chance.random() * HOUR])) for number in range(8000)]
    for _ in range(300):
        seen = chance.sample(pool, 200)
        news = [each for each in seen if not mark.is_settled(each, NOW)]
        if not mark.has_room_for_undated:
            news = [each for each in news if each.created_at is not None]
        reported += [each.request_id for each in news]
        mark = mark.with_settled(news, NOW).advanced(mark.settled_before, NOW)
        mark = Watermark.from_json(json.loads(json.dumps(mark.as_json())))
        assert len(json.dumps(mark.as_json())) < 64 * 1024
    assert len(reported) == len(set(reported)) > MOST_REPORTED
    assert len(mark.dated) <= MOST_REPORTED
    assert len(mark.undated) <= MOST_UNDATED + 200


def test_a_row_whose_time_changes_does_not_come_again() -> None:
    mark = Watermark(NOW - HOUR).with_settled([entry("a", NOW - HOUR)], NOW)
    mark = mark.still_listed([entry("a", NOW - 60)], NOW).advanced(NOW - HOUR / 2, NOW)
    assert mark.is_settled(entry("a", NOW - 60), NOW)


def test_an_undated_row_is_known_as_long_as_it_is_listed() -> None:
    mark, moment = Watermark(NOW - HOUR).with_settled([entry("a", None)], NOW), NOW
    for _ in range(10):
        moment += UNDATED_LIFETIME / 2
        mark = mark.still_listed([entry("a", None)], moment).advanced(NOW, moment)
        assert mark.is_settled(entry("a", None), moment)
    assert not mark.advanced(NOW, moment + 2 * UNDATED_LIFETIME).undated


def test_a_row_of_the_far_future_has_no_time() -> None:
    mark = Watermark(NOW - HOUR).with_settled([entry("a", NOW + 30 * 24 * HOUR)], NOW)
    assert mark.is_settled(entry("a", NOW + 30 * 24 * HOUR), NOW)
    assert not mark.dated


def test_two_watermarks_are_merged_to_what_either_has() -> None:
    one = Watermark(NOW - HOUR).with_settled([entry("a")], NOW)
    other = Watermark(NOW - 2 * HOUR).with_settled([entry("b")], NOW - SPAN)
    both = merged([one, other])
    assert both.settled_before == NOW - HOUR
    assert {*both.dated} == {mark_of("a"), mark_of("b")}


@pytest.mark.parametrize("skew", [-14 * HOUR, -5 * HOUR, 0, 5 * HOUR, 14 * HOUR])
def test_a_clock_that_is_wrong_by_a_time_zone_hides_nothing(skew: float) -> None:
    """What was made before the watch is not new, and what is made later is, by whichever clock."""
    there = NOW + skew
    old = [entry("running", there - 60, "PROCESSING"), entry("old", there - 120)]
    mark = first_watermark(Look(tuple(old), is_whole=True), ANY, NOW)
    assert mark.is_settled(old[1], NOW)
    for new in (entry("running", there - 60), entry("new", there + 60)):
        assert not mark.is_settled(new, NOW + 120)


def test_a_quiet_look_takes_one_page() -> None:
    mark = Watermark(NOW - HOUR)
    page = [entry(f"r{number}", NOW - number) for number in range(100)]
    known = mark.with_settled(page, NOW)
    assert look_at([page, page], known, float("inf"))[1] == 1
    assert look_at([page, page, []], mark, float("inf"))[1] == 3, "what is new may be on the next page as well"


def test_a_look_goes_back_to_the_oldest_request_that_was_unfinished() -> None:
    pages = [
        [entry(f"r{number}", NOW - number) for number in range(start, start + 100)] for start in (0, 100, 200, 300)
    ]
    known = Watermark(NOW - HOUR)
    for page in pages:
        known = known.with_settled(page, NOW)
    assert look_at(pages, known, NOW - 250)[1] == 3
    assert look_at([*pages, []], known)[1] == 5, "without anything known, it reads all that is not settled"


def test_a_history_in_the_wrong_order_is_read_to_its_end() -> None:
    oldest_first = [entry(f"r{number}", NOW - 10 * HOUR + number) for number in range(100)]
    found, asked = look_at([oldest_first, oldest_first, [entry("new")]], Watermark(NOW - HOUR))
    assert asked == 3
    assert [each.request_id for each in found.wanted(ANY, Watermark(NOW - HOUR), NOW)] == ["new"]


def test_a_look_that_breaks_off_has_what_it_read() -> None:
    page = [entry(f"r{number}", NOW - number) for number in range(100)]
    found, _ = look_at([page, ServerError("down")], Watermark(NOW - HOUR))
    assert len(found.wanted(ANY, Watermark(NOW - HOUR), NOW)) == 100
    assert isinstance(found.trouble, ServerError)
    assert not found.is_whole


def test_a_history_without_end_is_left() -> None:
    pages = [[entry(f"p{page}-{number}", NOW - page) for number in range(100)] for page in range(100)]
    found, asked = look_at(pages, Watermark(NOW - HOUR))
    assert (asked, found.last_read) == (100, NOW - 99)


@pytest.mark.parametrize(
    "row",
    [
        None,
        [],
        {"request_id": "x" * 5000},
        {"request_id": "a", "model_name": 7},
        {
            "request_id": "a",
            "model_status": {"a": 1},
            "model_created": "yesterday",
            "generation_url": "javascript:1",
        },
        {"request_id": "a", "model_status": "COMPLETED", "model_created": 1e300, "credits_deduction": "NaN"},
        {"request_id": "a", "model_status": "COMPLETED", "generation_url": ["https://x/" + "y" * 1500] * 500},
        {
            "request_id": "a",
            "model_status": "completed ",
            "model_name": "m\u0000\ud800\n",
            "request_body": "[" * 10000,
        },
    ],
    ids=str,
)
def test_whatever_a_row_holds_its_event_is_small_json(row: Any) -> None:
    page = read_page([row])
    for each in page.entries:
        mark = Watermark(NOW - HOUR).with_settled([each], NOW)
        assert mark.is_settled(each, NOW)
        event = json.dumps(report_of(each), allow_nan=False)
        assert len(event) < 20_000
        assert "request_body" not in event
        event.encode()


@needs_watchers
def test_a_trigger_is_stored_in_the_same_way_each_time() -> None:
    since = datetime(2026, 11, 1, tzinfo=UTC)
    made = [SegmindRequestEndedTrigger(states=states, since=since) for states in (["COMPLETED"], ("COMPLETED",))]
    stored = json.loads(json.dumps(made[0].serialize()))
    assert list(made[1].serialize()) == stored
    again = SegmindRequestEndedTrigger(**stored[1])
    assert list(again.serialize()) == stored
    assert list(SegmindRequestEndedTrigger(since="2026-11-01T00:00:00Z").serialize()) == stored


@needs_watchers
@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("model", "a model"),
        ("states", "COMPLETED"),
        ("states", []),
        ("states", ["PENDING"]),
        ("poll_interval", 0),
        ("poll_interval", "60"),
        ("poll_interval", float("nan")),
        ("poll_interval", True),
        ("since", datetime(2026, 11, 1)),
        ("since", "last week"),
        ("segmind_conn_id", ""),
        ("interval", 5),
    ],
)
async def test_a_wrong_argument_is_named_in_the_dag_file_and_does_not_end_a_triggerer(
    argument: str, value: Any
) -> None:
    with pytest.raises(InvalidParameterError, match=argument):
        SegmindRequestEndedTrigger(**{argument: value})
    trigger = SegmindRequestEndedTrigger(**{argument: value}, version=1)
    assert (trigger.trouble is None) == (argument == "interval"), "a later version may have more arguments"


@pytest.mark.skipif(compat.has_event_triggers(), reason="Airflow 3.0 and later have event triggers")
def test_airflow_2_is_told_what_it_lacks() -> None:
    with pytest.raises(InvalidParameterError, match=r"AssetWatcher: needs Airflow 3\.0 or later"):
        SegmindRequestEndedTrigger()
