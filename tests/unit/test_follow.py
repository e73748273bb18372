"""Following a request: what is waited out, what ends it, and how often Segmind is asked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from airflow_provider_segmind.api.answers import RequestReport, RequestState
from airflow_provider_segmind.api.call import Call, Rank
from airflow_provider_segmind.api.early_results import EarlyResults, UnclearAnswer
from airflow_provider_segmind.api.expectation import KNOWN, Experience
from airflow_provider_segmind.api.follow import (
    LAST_TURN,
    LONGEST_RESULT_QUEUE,
    FollowedRequest,
    Unfinished,
    Wait,
    advance,
    follow,
    poll,
    recover,
)
from airflow_provider_segmind.api.history import HistoryEntry
from airflow_provider_segmind.api.readers import read_early_result
from airflow_provider_segmind.api.schedule import KeyLoad
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
from airflow_provider_segmind.hooks.budget import Budget

ID = "7d1c"
START = 1_000_000.0

Answer = Callable[[Call[Any], float], RequestReport | SegmindError]


class World:
    """A clock and a Segmind that answers as it is set up, driven without waiting."""

    def __init__(self, answer: Answer, *, timeout: float = 900, poll_interval: float | None = None) -> None:
        self.now = START
        self.answer = answer
        self.asked: list[tuple[str, float]] = []
        self.remarks: list[str] = []
        self.request = FollowedRequest(ID, START, START + timeout, poll_interval)

    def run(
        self,
        experience: Experience | None = None,
        early: EarlyResults | None = None,
        load: Callable[[], KeyLoad] = KeyLoad,
    ) -> RequestReport:
        clock = lambda: self.now  # noqa: E731
        steps = follow(self.request, clock, experience or Experience(), early, load)
        outcome: Any = None
        while True:
            try:
                step = advance(steps, outcome)
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
                if isinstance(outcome, RequestExpiredError) and step.reader is read_early_result:
                    outcome = UnclearAnswer("HTTP 404", False)


def only_status() -> EarlyResults:
    """Return what is known of a Segmind that says nothing of use about the results of requests that run."""
    early = EarlyResults()
    early.learn_unclear(UnclearAnswer("HTTP 404", False), START, running=True)
    return early


def job(duration: float, then: str = "COMPLETED", before: str = "PROCESSING") -> Answer:
    def answer(call: Call[Any], age: float) -> RequestReport:
        if age < duration:
            return RequestReport(ID, before, {"status": before})
        return RequestReport(ID, then, {"status": then, "output": "x", "error": "content blocked"})

    return answer


def test_result_is_fetched_in_the_same_look_as_completed() -> None:
    world = World(job(144.5))
    assert world.run(early=only_status()).body["output"] == "x"
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
    ages = [age for _, age in world.asked[:-1]]
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


@pytest.mark.parametrize(("teacher", "learned"), [("duration=5", True), ("duration=10", False)])
def test_what_was_learned_of_one_length_is_not_expected_of_another(teacher: str, learned: bool) -> None:
    def answer(call: Call[Any], age: float) -> RequestReport:
        report = job(40)(call, age)
        return replace(report, body={**report.body, "metrics": {"total_time": 40.0}})

    experience = Experience()
    for _ in range(30):
        world = World(answer)
        world.request = replace(world.request, model="some-model", variant=teacher)
        world.run(experience)
        experience.expect("some-model", math.inf, variant=teacher)
    world = World(job(200))
    world.request = replace(world.request, model="some-model", variant="duration=5")
    world.run(experience)
    assert (experience.expect("some-model", 0, variant="duration=5").spread < 0.5) is learned


def test_what_a_user_expects_of_one_task_teaches_nothing_about_others() -> None:
    experience = Experience()
    for _ in range(5):
        world = World(job(144.5))
        world.request = replace(world.request, model="kling-o1-image-to-video", expected_duration=10)
        world.run(experience)
    assert experience.expect("kling-o1-image-to-video") == KNOWN["kling-o1-image-to-video"]


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
    world.run(early=only_status())
    first, _ = turns[0]
    assert first.likelihood(START + 30) < 0.001 < 0.4 < first.likelihood(START + 144.5) < 0.6
    assert first.likelihood(START + 400) > 0.99
    later, seen = turns[-1]
    assert 0 < later.likelihood(START + seen + 5) < first.likelihood(START + seen + 5)
    assert later.likelihood(START) == 0
    assert all(turn.not_after == START + 900 + LAST_TURN for turn, _ in turns)
    assert [(turn.rank, turn.not_after) for turn in of_result] == [
        (Rank.RESULT, START + 900 + LAST_TURN + LONGEST_RESULT_QUEUE)
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


def test_a_request_that_outlives_its_record_is_waited_for() -> None:
    """The history still lists it as PENDING: it will be charged, so it is not given up."""
    missing = RequestExpiredError("not found", status=404, request_id=ID)

    def answer(call: Call[Any], age: float) -> Any:
        if "history" not in call.path:
            return missing
        state = "COMPLETED" if age > 100 else "PENDING"
        return HistoryEntry(ID, "some-model", state, 0.91, output_urls=("https://x/y.mp4",) if age > 100 else ())

    report = World(answer).run()
    assert report.from_history
    assert report.body["output"] == "https://x/y.mp4"


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
            return RateLimitedError("other requests with this key were queued until the deadline")
        return job(100)(call, age)

    with pytest.raises(RequestTimeoutError, match="COMPLETED, but its result could not be fetched") as caught:
        World(answer).run(early=only_status())
    assert caught.value.request_id == ID


@pytest.mark.parametrize(("waiting", "early_looks", "looks"), [(1, 1, 9), (19, 1, 3), (20, 0, 3), (1000, 0, 1)])
def test_among_many_requests_nobody_looks_for_early_errors_if_the_limit_is_not_known(
    waiting: int, early_looks: int, looks: int
) -> None:
    world = World(job(144.5))
    world.request = replace(world.request, model="kling-o1-image-to-video")
    world.run(early=only_status(), load=lambda: KeyLoad(waiting, Budget().request_interval))
    ages = [age for _, age in world.asked]
    assert sum(age < 80 for age in ages) == early_looks
    assert len(ages) > looks


def test_on_a_scarce_key_a_request_is_looked_at_when_it_is_probably_done() -> None:
    world = World(job(144.5))
    world.request = replace(world.request, model="kling-o1-image-to-video")
    world.run(early=only_status(), load=lambda: KeyLoad(100, 1.0))
    assert len(world.asked) == 2, "its status and its result"
    assert 144.5 < world.asked[0][1] < 215


def test_on_a_scarce_key_one_request_is_looked_at_early_to_learn_what_is_said_of_it() -> None:
    world, early = World(job(144.5)), EarlyResults()
    world.request = replace(world.request, model="kling-o1-image-to-video")
    world.run(early=early, load=lambda: KeyLoad(100, 1.0))
    assert [kind for kind, _ in world.asked] == ["result", "result"]
    assert world.asked[0][1] < 5
    assert early.understood


def test_a_request_of_something_else_may_be_done_and_is_looked_at_at_once() -> None:
    world = World(job(0))
    world.run(early=only_status(), load=lambda: KeyLoad(100, 1.0))
    assert world.asked[0][1] < 5


def test_room_that_a_key_has_again_is_used() -> None:
    world = World(job(144.5))
    world.request = replace(world.request, model="kling-o1-image-to-video")
    world.run(early=only_status(), load=lambda: KeyLoad(100 if world.now < START + 100 else 1, 1.0))
    assert 100 < world.asked[0][1] < 150
    assert len(world.asked) > 3


def test_a_fixed_interval_is_kept_on_a_scarce_key_too() -> None:
    world = World(job(100), poll_interval=7)
    world.run(load=lambda: KeyLoad(100, 1.0))
    ages = [age for _, age in world.asked[:-1]]
    assert {round(later - earlier, 6) for earlier, later in pairwise(ages)} == {7}


def test_a_deadline_is_kept_on_a_scarce_key_too() -> None:
    world = World(job(10_000), timeout=90)
    world.request = replace(world.request, model="kling-o1-image-to-video")
    with pytest.raises(RequestTimeoutError):
        world.run(load=lambda: KeyLoad(1000, 1.0))
    assert world.asked[-1][1] == pytest.approx(90)


def outcome_of(steps: Any, *answers: Any) -> Any:
    """Answer the calls of some steps one after another, and return what they come to."""
    outcome: Any = None
    for answer in (*answers, AssertionError("one call too many")):
        try:
            advance(steps, outcome)
        except StopIteration as end:
            return end.value
        outcome = answer
    raise AssertionError("one call too many")


def test_an_expired_record_is_replaced_by_what_the_history_has() -> None:
    row = HistoryEntry(ID, "m", RequestState.COMPLETED, cost=0.91, output_urls=("https://x/a.mp4",))
    report = outcome_of(recover(ID), row)
    assert report.body == {"status": "COMPLETED", "output": "https://x/a.mp4", "metrics": {"cost": 0.91}}
    assert (report.request_id, report.completed, report.from_history) == (ID, True, True)
    unpriced = outcome_of(recover(ID), replace(row, cost=None, output_urls=("https://x/a", "https://x/b")))
    assert unpriced.body == {"status": "COMPLETED", "output": ["https://x/a", "https://x/b"], "metrics": {}}


def test_a_request_that_outlives_its_record_is_in_the_state_of_its_row() -> None:
    assert outcome_of(recover(ID), HistoryEntry(ID, "m", "PENDING")) == Unfinished(state="PENDING")


def test_an_early_result_that_only_means_running_is_remembered_as_one() -> None:
    early, answer = EarlyResults(), UnclearAnswer("HTTP 425", True)
    early.learn_unclear(answer, START, running=True)
    found = outcome_of(poll(ID, 100, early=early, now=START), answer)
    assert (found.state, found.by_result) == (RequestState.PROCESSING, True)


def test_nothing_is_learned_of_an_early_result_while_the_status_is_down() -> None:
    early = EarlyResults()
    found = outcome_of(poll(ID, 100, early=early, now=START), UnclearAnswer("HTTP 425", True), ServerError("down"))
    assert (found.state, early.understood) == ("", False)
    assert not early.means_running(UnclearAnswer("HTTP 425", True))
