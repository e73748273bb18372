"""How often Segmind is asked, and how late an end is noticed, over thousands of jobs and no time at all."""

from __future__ import annotations

import math
import random
from itertools import pairwise
from statistics import mean

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_segmind.api.expectation import KNOWN, UNKNOWN, Expectation, Experience
from airflow_provider_segmind.api.schedule import LONGEST_BLIND, SHORTEST, first_look, next_look
from benchmarks.batches import Job, waited

KLING = "kling-o1-image-to-video"


def looks_at(duration: float, expected: Expectation) -> list[float]:
    ages = [first_look(0, None, expected)]
    while ages[-1] < duration:
        ages.append(ages[-1] + next_look(ages[-1], None, expected))
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
    wait = next_look(age, poll_interval, expected)
    if poll_interval is None:
        assert SHORTEST * 0.89 < wait < LONGEST_BLIND + 4
    else:
        assert wait == poll_interval
    assert 0 <= first_look(age, poll_interval, expected) <= max(wait, LONGEST_BLIND) + 4
    assert 0 <= expected.done_between(age / 2, age) <= 1


def test_a_request_from_a_clock_that_is_ahead_is_not_done() -> None:
    assert KNOWN[KLING].done_between(-20, -10) == 0
    assert KNOWN[KLING].done_between(-20, 300) > 0.99


def test_what_is_usual_follows_what_was_seen() -> None:
    experience = Experience()
    assert experience.expectation(KLING) == KNOWN[KLING]
    assert experience.expectation("other") == experience.expectation(None) == UNKNOWN
    for duration in lognormal(300, 0.15, 40):
        experience.learn(KLING, duration, 1000)
    assert experience.expectation(KLING, 999) == KNOWN[KLING]
    learned = experience.expectation(KLING, 1000)
    assert 270 < learned.typical < 330
    assert 0.1 <= learned.spread < 0.3
    assert experience.expectation("other", 1000) == UNKNOWN
    assert experience.expectation(KLING, 1000, expected_duration=20).typical == 20


def test_what_was_seen_long_ago_gives_way() -> None:
    experience = Experience()
    for duration in lognormal(300, 0.15, 500):
        experience.learn(KLING, duration, 1000)
    for duration in lognormal(100, 0.15, 20):
        experience.learn(KLING, duration, 1000 + 24 * 3600)
    assert experience.expectation(KLING, 1000).typical > 280
    assert experience.expectation(KLING).typical < 140


@pytest.mark.parametrize("size", [24, 400])
@pytest.mark.parametrize("factor", [0.5, 1, 2])
def test_a_process_that_waits_for_a_batch_learns_what_is_usual_and_not_from_the_quick_ones_alone(
    size: int, factor: float
) -> None:
    """Those that end first are the short ones: who believes them asks twice as often about all the others."""
    experience = Experience()
    costs = [
        waited([Job(number * 5000, each) for each in lognormal(factor * 144.5, 0.25, size)], KLING, experience)
        for number in range(5)
    ]
    spared = costs if factor == 1 else costs[3:]
    assert mean(looks for looks, _ in spared) < 18
    assert mean(delay for _, delay in spared) < 0.03
    assert experience.expectation(KLING).typical == pytest.approx(factor * 144.5, rel=0.15)


@pytest.mark.parametrize("nonsense", [None, "144", -1, 0, math.nan, math.inf, [144], True])
def test_a_duration_that_is_none_teaches_nothing(nonsense: object) -> None:
    experience = Experience()
    experience.learn(KLING, nonsense, 0)
    experience.learn(None, 10.0, 0)
    experience.outlasted(None, 10.0, 0, UNKNOWN)
    assert experience.expectation(KLING) == KNOWN[KLING]
