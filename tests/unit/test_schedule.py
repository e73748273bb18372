"""How often Segmind is asked, and how late an end is noticed, over thousands of jobs and no time at all."""

from __future__ import annotations

import math
import random
import tracemalloc
from functools import partial
from itertools import pairwise
from statistics import mean

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_segmind.api.expectation import KNOWN, UNKNOWN, Expectation, Experience
from airflow_provider_segmind.api.schedule import LONGEST_BLIND, SHORTEST, first_wait, next_wait
from benchmarks.batches import Job, simulate

KLING = "kling-o1-image-to-video"


def looks_at(duration: float, expected: Expectation) -> list[float]:
    ages = [first_wait(0, None, expected)]
    while ages[-1] < duration:
        ages.append(ages[-1] + next_wait(ages[-1], None, expected))
    return ages


def lognormal(typical: float, spread: float, count: int) -> list[float]:
    return [typical * math.exp(random.gauss(0, spread)) for _ in range(count)]


@pytest.fixture(autouse=True)
def _same_jobs_every_time() -> None:
    random.seed(7)


def test_a_kling_job_takes_14_looks_and_is_noticed_within_2_percent() -> None:
    durations = lognormal(144.5, 0.25, 8000)
    looks = [looks_at(duration, KNOWN[KLING]) for duration in durations]
    assert mean(map(len, looks)) <= 14
    assert mean(ages[-1] / duration - 1 for ages, duration in zip(looks, durations, strict=True)) <= 0.02


def test_bad_input_is_noticed_at_once() -> None:
    assert looks_at(3, KNOWN[KLING]) == [3]


@pytest.mark.parametrize("duration", [2, 20, 144.5, 600, 1800])
@pytest.mark.parametrize("expected", [KNOWN[KLING], UNKNOWN, Expectation(72, 0.25), Expectation(289, 0.25)])
def test_a_wrong_expectation_costs_looks_or_time_but_not_much_of_either(
    duration: float, expected: Expectation
) -> None:
    ages = looks_at(duration, expected)
    assert len(ages) < 130, "every 10 s would be 180 for half an hour"
    assert ages[-1] - duration < max(expected.earliest(), 0.5 * duration)


def test_a_straggler_is_asked_about_ever_less() -> None:
    ages = looks_at(1800, KNOWN[KLING])
    waits = {age: later - age for age, later in pairwise(ages)}
    usual = mean(wait for age, wait in waits.items() if 140 < age < 200)
    late = mean(wait for age, wait in waits.items() if age > 900)
    assert late > 5 * usual


@given(st.floats(0, 1e7), st.floats(0.01, 1e6), st.sampled_from([0.1, 0.25, 1.2]), st.floats(0.1, 1e4) | st.none())
@example(age=5e-324, typical=2.0, spread=0.1, poll_interval=None)
def test_any_wait_is_a_sensible_number(
    age: float, typical: float, spread: float, poll_interval: float | None
) -> None:
    expected = Expectation(typical, spread)
    wait = next_wait(age, poll_interval, expected)
    if poll_interval is None:
        assert SHORTEST * 0.89 < wait < LONGEST_BLIND + 4
    else:
        assert wait == poll_interval
    assert 0 <= first_wait(age, poll_interval, expected) <= max(wait, LONGEST_BLIND) + 4
    assert 0 <= expected.done_between(age / 2, age) <= 1


def test_a_request_from_a_clock_that_is_ahead_is_not_done() -> None:
    assert KNOWN[KLING].done_between(-20, -10) == 0
    assert KNOWN[KLING].done_between(-20, 300) > 0.99


def test_what_is_usual_follows_what_was_seen() -> None:
    experience = Experience()
    assert experience.expect(KLING) == KNOWN[KLING]
    assert experience.expect("other") == experience.expect(None) == UNKNOWN
    for duration in lognormal(300, 0.15, 40):
        experience.learn(KLING, duration, 1000)
    assert experience.expect(KLING, 999) == KNOWN[KLING]
    learned = experience.expect(KLING, 1000)
    assert 270 < learned.typical < 330
    assert 0.1 <= learned.spread < 0.3
    assert experience.expect("other", 1000) == UNKNOWN
    assert experience.expect(KLING, 1000, expected_duration=20).typical == 20


def test_clips_of_another_length_are_expected_to_take_another_time() -> None:
    experience = Experience()
    for short, long in zip(lognormal(80, 0.15, 40), lognormal(200, 0.15, 40), strict=True):
        experience.learn(KLING, short, 1000, "duration=5")
        experience.learn(KLING, long, 1000, "duration=10")
    expect = partial(experience.expect, KLING, 1000)
    assert expect(variant="duration=5").typical == pytest.approx(80, rel=0.15)
    assert expect(variant="duration=10").typical == pytest.approx(200, rel=0.15)
    assert 80 < expect().typical < 200, "of a trigger that an older version has written"
    assert expect(variant="duration=10").spread < 0.35 < expect().spread


def test_a_length_that_was_not_seen_is_expected_to_be_like_the_others_within_a_wide_range() -> None:
    experience = Experience()
    for duration in lognormal(80, 0.15, 40):
        experience.learn("some-model", duration, 1000, "duration=5")
    unseen = experience.expect("some-model", 1000, variant="duration=10")
    assert unseen.typical == pytest.approx(80, rel=0.15)
    assert unseen.spread > 0.5
    experience.learn("some-model", 200.0, 1000, "duration=10")
    assert 100 < experience.expect("some-model", 1000, variant="duration=10").typical < 200


def test_of_a_request_that_takes_long_its_own_kind_learns_too() -> None:
    experience = Experience()
    for _ in range(20):
        experience.learn_overdue(KLING, 400, 1000, KNOWN[KLING], "duration=10")
    assert experience.expect(KLING, 1000, variant="duration=10").typical > 300


def test_a_process_does_not_remember_more_the_longer_it_runs() -> None:
    """A model may come from a template, so that anybody can make up names."""
    experience = Experience()
    experience.learn(KLING, 300.0, 0, "duration=5")
    tracemalloc.start()
    try:
        sizes = []
        for round_number in range(4):
            for number in range(2000):
                model = f"model-{round_number}-{number}"
                experience.expect(model, 0, variant="duration=5")
                experience.learn(model, 10.0, 1e12, "duration=5")
                experience.learn_overdue(model, 100, 0, UNKNOWN)
                experience.learn("busy", 10.0, 1e12)
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert sizes[3] < sizes[1] + 50_000
    assert experience.expect(KLING, 1, variant="duration=5") == KNOWN[KLING], "it was seen too long ago"
    assert experience.expect("busy", 0).typical < 20, "what does not fit counts at once"


def test_what_was_seen_long_ago_gives_way() -> None:
    experience = Experience()
    for duration in lognormal(300, 0.15, 500):
        experience.learn(KLING, duration, 1000)
    for duration in lognormal(100, 0.15, 20):
        experience.learn(KLING, duration, 1000 + 24 * 3600)
    assert experience.expect(KLING, 1000).typical > 280
    assert experience.expect(KLING).typical < 140


@pytest.mark.parametrize("size", [24, 400])
@pytest.mark.parametrize("factor", [0.5, 1, 2])
def test_a_process_that_waits_for_a_batch_learns_what_is_usual_and_not_from_the_quick_ones_alone(
    size: int, factor: float
) -> None:
    """The short ones end first. Learning from them alone would ask twice as often about all the others."""
    experience = Experience()
    costs = [
        simulate([Job(number * 5000, each) for each in lognormal(factor * 144.5, 0.25, size)], KLING, experience)
        for number in range(5)
    ]
    spared = costs if factor == 1 else costs[3:]
    assert mean(looks for looks, _ in spared) < 18
    assert mean(delay for _, delay in spared) < 0.03
    assert experience.expect(KLING).typical == pytest.approx(factor * 144.5, rel=0.15)


@pytest.mark.parametrize("nonsense", [None, "144", -1, 0, math.nan, math.inf, [144], True])
def test_a_duration_that_is_none_teaches_nothing(nonsense: object) -> None:
    experience = Experience()
    experience.learn(KLING, nonsense, 0)
    experience.learn(None, 10.0, 0)
    experience.learn_overdue(None, 10.0, 0, UNKNOWN)
    assert experience.expect(KLING) == KNOWN[KLING]
