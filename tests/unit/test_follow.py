"""Following a request: what is waited out, what ends it, and how often Segmind is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from airflow_provider_segmind.api.answers import RequestReport
from airflow_provider_segmind.api.call import Call, Rank
from airflow_provider_segmind.api.expectation import KNOWN, Experience
from airflow_provider_segmind.api.follow import LAST_TURN, LONGEST_QUEUE, FollowedRequest, Wait, follow, resume
from airflow_provider_segmind.exceptions import (
    AuthenticationError,
    RateLimitedError,
    RequestExpiredError,
    RequestFailedError,
    RequestTimeoutError,
    SegmindError,
    ServerError,
    UnreachableError,
    UnreadableResponseError,
)

ID = "7d1c"
START = 1_000_000.0

Answer = Callable[[Call[Any], float], RequestReport | SegmindError]


class World:
    """A clock and a Segmind that answers as told, driven without waiting."""

    def __init__(self, answer: Answer, *, timeout: float = 900, poll_interval: float | None = None) -> None:
        self.now = START
        self.answer = answer
        self.asked: list[tuple[str, float]] = []
        self.remarks: list[str] = []
        self.request = FollowedRequest(ID, START, START + timeout, poll_interval)

    def run(self, experience: Experience | None = None) -> RequestReport:
        steps = follow(self.request, lambda: self.now, experience or Experience())
        outcome: Any = None
        while True:
            try:
                step = resume(steps, outcome)
            except StopIteration as end:
                return end.value
            if isinstance(step, Wait):
                assert step.seconds >= 0
                self.now += step.seconds
                self.remarks += [step.remark] if step.remark else []
                outcome = None
            else:
                kind = "status" if step.path.endswith("/status") else "result"
                self.asked.append((kind, self.now - START))
                outcome = self.answer(step, self.now - START)


def job(duration: float, then: str = "COMPLETED", before: str = "PROCESSING") -> Answer:
    def answer(call: Call[Any], age: float) -> RequestReport:
        if age < duration:
            return RequestReport(ID, before, {"status": before})
        return RequestReport(ID, then, {"status": then, "output": "x", "error": "content blocked"})

    return answer


def test_result_is_fetched_in_the_same_look_as_completed() -> None:
    world = World(job(144.5))
    assert world.run().body["output"] == "x"
    (status, seen), (result, fetched) = world.asked[-2:]
    assert (status, result) == ("status", "result")
    assert seen == fetched


def test_a_fresh_request_is_not_asked_about_at_once() -> None:
    world = World(job(60))
    world.run()
    assert 2 <= world.asked[0][1] <= 4


def test_a_thousand_requests_that_are_taken_up_again_are_not_looked_at_together() -> None:
    first_looks = []
    for _ in range(1000):
        world = World(job(60))
        world.now += 300
        world.run()
        first_looks.append(world.asked[0][1] - 300)
    assert 0 <= min(first_looks) < 1
    assert 5 < max(first_looks) < 30
    assert sum(look < 1 for look in first_looks) < 300


def test_a_fixed_interval_is_kept() -> None:
    world = World(job(100), poll_interval=7)
    world.run()
    ages = [age for kind, age in world.asked if kind == "status"]
    assert {round(later - earlier, 6) for earlier, later in pairwise(ages)} == {7}


def test_adaptive_waiting_asks_less_than_every_two_seconds_does() -> None:
    adaptive, fixed = World(job(144.5)), World(job(144.5), poll_interval=2)
    adaptive.run()
    fixed.run()
    assert len(adaptive.asked) < len(fixed.asked) / 2


def test_what_a_request_took_is_remembered_for_the_next_ones() -> None:
    def answer(call: Call[Any], age: float) -> RequestReport:
        report = job(40)(call, age)
        return replace(report, body={**report.body, "metrics": {"total_time": 40.0}})

    experience = Experience()
    looks = []
    for later in range(0, 3000, 300):
        world = World(answer)
        world.now += later
        world.request = FollowedRequest(ID, world.now, world.now + 900, model="kling-o1-image-to-video")
        world.answer = lambda call, age, later=later: answer(call, age - later)
        world.run(experience)
        looks.append(world.asked[-1][1] - later)
    assert looks[0] > 80, "it takes 144.5 s by Segmind's page, so nobody looks at 40 s"
    assert looks[-1] < 50


def test_what_a_user_expects_of_one_task_teaches_nothing_about_others() -> None:
    experience = Experience()
    for _ in range(5):
        world = World(job(144.5))
        world.request = replace(world.request, model="kling-o1-image-to-video", expected_duration=10)
        world.run(experience)
    assert experience.expectation("kling-o1-image-to-video") == KNOWN["kling-o1-image-to-video"]


def test_an_expected_duration_goes_before_what_is_known() -> None:
    world = World(job(12))
    world.request = replace(world.request, model="kling-o1-image-to-video", expected_duration=12)
    world.run()
    assert world.asked[-1][1] < 15


def test_a_look_is_worth_more_the_likelier_the_request_is_done() -> None:
    turns, of_result = [], []

    def answer(call: Call[Any], age: float) -> RequestReport:
        assert call.turn is not None
        if call.turn.rank is Rank.POLL:
            turns.append((call.turn, age))
        else:
            of_result.append(call.turn)
        return job(144.5)(call, age)

    world = World(answer)
    world.request = replace(world.request, model="kling-o1-image-to-video")
    world.run()
    first, _ = turns[0]
    assert first.likelihood(START + 30) < 0.001 < 0.4 < first.likelihood(START + 144.5) < 0.6
    assert first.likelihood(START + 400) > 0.99
    later, seen = turns[-1]
    assert 0 < later.likelihood(START + seen + 5) < first.likelihood(START + seen + 5)
    assert later.likelihood(START) == 0
    assert all(turn.not_after == START + 900 + LAST_TURN for turn, _ in turns)
    assert [(turn.rank, turn.not_after) for turn in of_result] == [
        (Rank.RESULT, START + 900 + LAST_TURN + LONGEST_QUEUE)
    ]


def test_failed_is_an_end_and_says_why() -> None:
    with pytest.raises(RequestFailedError, match="content blocked") as caught:
        World(job(10, then="FAILED")).run()
    assert caught.value.request_id == ID
    assert caught.value.can_retry


@pytest.mark.parametrize(
    "trouble",
    [
        UnreachableError("no route", request_id=ID),
        ServerError("down", status=503, request_id=ID),
        UnreadableResponseError("HTML", request_id=ID),
        RateLimitedError("slow down", status=429, request_id=ID),
    ],
)
def test_passing_trouble_is_waited_out_and_remarked_on_once(trouble: SegmindError) -> None:
    done = job(300)
    world = World(lambda call, age: trouble if age < 200 else done(call, age))
    assert world.run().completed
    assert len(world.remarks) == 1
    assert ID in world.remarks[0]


def test_trouble_with_the_result_alone_is_waited_out() -> None:
    def answer(call: Call[Any], age: float) -> RequestReport | SegmindError:
        if not call.path.endswith("/status") and age < 60:
            return UnreadableResponseError("cut short", request_id=ID)
        return RequestReport(ID, "COMPLETED", {"status": "COMPLETED", "output": "x"})

    assert World(answer).run().body["output"] == "x"


def test_a_rate_limit_is_waited_out_until_its_reset() -> None:
    reset = datetime.fromtimestamp(START, UTC) + timedelta(seconds=55)
    done = job(10)
    limited = RateLimitedError("429", status=429, request_id=ID, reset_at=reset)
    world = World(lambda call, age: limited if age < 55 else done(call, age))
    world.run()
    assert len(world.asked) == 3


def test_404_is_tolerated_for_thirty_seconds_only() -> None:
    missing = RequestExpiredError("not found", status=404, request_id=ID)
    done = job(40)
    assert World(lambda call, age: missing if age < 25 else done(call, age)).run().completed
    world = World(lambda call, age: missing)
    with pytest.raises(RequestExpiredError):
        world.run()
    assert 30 <= world.asked[-1][1] <= 45


def test_an_unknown_state_is_no_end_and_is_remarked_on_once() -> None:
    world = World(job(200, before="PAUSED"))
    assert world.run().completed
    assert len(world.remarks) == 1
    assert "PAUSED" in world.remarks[0]


def test_the_deadline_names_the_request_and_its_last_state() -> None:
    world = World(job(10_000), timeout=900)
    with pytest.raises(
        RequestTimeoutError, match=r"after 900 s.*PROCESSING.*request_id=7d1c.*cannot cancel"
    ) as caught:
        world.run()
    assert not caught.value.can_retry
    assert world.asked[-1][1] == pytest.approx(900)


def test_a_request_that_ends_just_before_the_deadline_is_not_lost() -> None:
    assert World(job(899.5), timeout=900).run().completed


def test_a_rejected_key_ends_the_wait_at_once() -> None:
    world = World(lambda call, age: AuthenticationError("revoked", status=401, request_id=ID))
    with pytest.raises(AuthenticationError):
        world.run()
    assert len(world.asked) == 1


def test_a_result_that_cannot_be_fetched_is_not_said_to_be_unfinished() -> None:
    def answer(call: Call[Any], age: float) -> RequestReport | SegmindError:
        if call.turn is not None and call.turn.rank is Rank.RESULT:
            assert call.turn.not_after > START + 900 + 600, "it is there, and may wait"
            return RateLimitedError("no turn came before the deadline")
        return job(100)(call, age)

    with pytest.raises(RequestTimeoutError, match="COMPLETED, but its result could not be fetched") as caught:
        World(answer).run()
    assert caught.value.request_id == ID
