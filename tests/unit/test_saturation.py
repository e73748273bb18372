"""More requests than a key has room for: each is looked at when it is probably done, and none is forgotten."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_segmind.api.early_results import UnclearAnswer
from airflow_provider_segmind.api.expectation import KNOWN, UNKNOWN, Expectation
from airflow_provider_segmind.api.schedule import (
    LOOKS,
    MOST_ROUNDS,
    PROBABLY,
    SHARE_OF_LOOKS,
    KeyLoad,
    postponement,
)
from benchmarks.saturation import Plan, saturate

KLING = KNOWN["kling-o1-image-to-video"]
STATE = None
ERROR = UnclearAnswer("HTTP 425, error", True)
NOT_FOUND = UnclearAnswer("HTTP 404, error", False)


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("clips", [100, 300])
@pytest.mark.parametrize(("early", "most"), [(STATE, 2.2), (ERROR, 2.2), (NOT_FOUND, 3.2)], ids=str)
def test_a_clip_costs_a_submit_and_little_more_than_one_look(
    early: UnclearAnswer | None, most: float, clips: int, processes: int
) -> None:
    found = saturate(Plan(clips=clips, early=early, processes=processes))
    assert found.per_clip <= most


@pytest.mark.parametrize("factor", [0.5, 1, 2])
@pytest.mark.parametrize(
    "plan", [Plan(), Plan(24, 60, 144.5, processes=1), Plan(10, 5, 144.5, processes=1)], ids=str
)
def test_no_request_is_left_alone_for_long(plan: Plan, factor: float) -> None:
    """Not even where it takes another time than was expected."""
    found = saturate(replace(plan, expected=factor * plan.typical))
    a_round = plan.clips / plan.processes * 60 / plan.rate
    expected = Expectation(factor * plan.typical, 0.25)
    longest = max(expected.age_when_done(0, PROBABLY), expected.earliest() + MOST_ROUNDS * a_round)
    assert max(clip.longest_unseen for clip in found.clips) <= longest + 2 * a_round


def test_where_a_key_has_room_for_some_looks_they_are_used() -> None:
    some, many = (saturate(Plan(24, rate, 144.5, processes=1)) for rate in (60, 600))
    assert 3 < some.per_clip < 7 < many.per_clip
    assert sum(clip.delay for clip in some.clips) / 24 < 0.15 * 144.5
    assert sum(clip.delay for clip in many.clips) / 24 < 0.03 * 144.5


def test_nothing_is_postponed_while_a_key_has_room() -> None:
    enough = SHARE_OF_LOOKS * KLING.typical / LOOKS
    for age in (3, 80, 144, 900):
        assert postponement(age, 0, KeyLoad(), KLING) == 0
        assert postponement(age, age - 1, KeyLoad(1, enough), KLING) == 0
    assert postponement(3, 0, KeyLoad(2, enough), KLING) == 0, "the look for errors that come early"
    assert postponement(3, 0, KeyLoad(3, enough), KLING) > 0
    assert postponement(80, 3, KeyLoad(2, enough), KLING) > 0


def test_an_expected_end_is_waited_for_in_ever_smaller_steps() -> None:
    age, steps = 3.0, []
    while wait := postponement(age, 0, KeyLoad(50, 1.0), KLING):
        steps.append(wait)
        age += wait
    assert 0.4 < KLING.done_between(0, age) < 0.95
    assert len(steps) < 12
    assert steps == sorted(steps, reverse=True)


@given(
    st.floats(0, 1e7),
    st.floats(0, 1e7),
    st.floats(0, 1e3),
    st.integers(1, 10_000),
    st.sampled_from([KLING, UNKNOWN, Expectation(0.001, 0.1), Expectation(86400, 1.2)]),
)
def test_any_postponement_is_a_sensible_number(
    age: float, seen: float, interval: float, waiting: int, expected: Expectation
) -> None:
    load = KeyLoad(waiting, interval)
    wait = postponement(age, seen, load, expected)
    assert wait >= 0
    assert age + wait <= max(seen, expected.earliest(), age) + MOST_ROUNDS * load.round + 1


@given(st.floats(0, 1e5), st.floats(0.05, 0.95), st.sampled_from([KLING, UNKNOWN]))
def test_the_age_of_a_probability_is_the_inverse_of_the_probability_of_an_age(
    seen: float, probability: float, expected: Expectation
) -> None:
    age = expected.age_when_done(seen, probability)
    assert age >= seen
    assert age == seen or math.isclose(expected.done_between(seen, age), probability, rel_tol=1e-3)
