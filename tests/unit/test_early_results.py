"""Asking for the result in place of the status: in any world, no end is missed, and little is asked."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.answers import RequestReport
from airflow_provider_segmind.api.call import Call, Response
from airflow_provider_segmind.api.early_results import AVOIDED, MOST_KINDS, EarlyResults, UnclearAnswer
from airflow_provider_segmind.api.expectation import Experience
from airflow_provider_segmind.api.follow import FollowedRequest, Unfinished, Wait, advance, follow, poll
from airflow_provider_segmind.api.readers import read_early_result
from airflow_provider_segmind.exceptions import (
    AuthenticationError,
    RateLimitedError,
    RequestExpiredError,
    RequestFailedError,
    SegmindError,
)

ID = "7d1c"
START = 1_000_000.0
KLING = "kling-o1-image-to-video"
DONE = {"status": "COMPLETED", "output": "https://x/y.mp4", "metrics": {"total_time": 144.5}}

Body = dict[str, Any] | list[Any] | str


def response(status: int, body: Body = "", *, complete: bool = True) -> Response:
    text = body if isinstance(body, str) else json.dumps(body)
    return Response(status, {}, text.encode(), complete, START)


Running = Callable[[], Response]


def says(status: int, body: Body = "") -> Running:
    return lambda: response(status, body)


CLEAR: dict[str, Running] = {
    "200 with a state": says(200, {"status": "PROCESSING", "request_id": ID}),
    "202 with a state": says(202, {"status": "QUEUED"}),
    "425 with a state": says(425, {"status": "PROCESSING", "error": "too early"}),
    "400 with a state": says(400, {"status": "processing"}),
}
LEARNED: dict[str, Running] = {
    "200 with an error": says(200, {"error": "Request is still being processed"}),
    "200, empty": says(200),
    "200 without a state": says(200, {"request_id": ID, "output": None, "metrics": {}}),
    "202, empty": says(202),
    "400 with an error": says(400, {"error": "not finished"}),
    "409 with a message": says(409, {"message": "conflict"}),
    "425 with an error": says(425, {"error": {"message": "too early"}}),
    "an unknown state": says(200, {"status": "WARMING_UP"}),
}
USELESS: dict[str, Running] = {
    "404": says(404, {"error": "Request not found"}),
    "404 of a proxy": says(404, "<html>"),
    "403": says(403, {"error": "forbidden"}),
    "410": says(410, {"error": "gone"}),
    "422 without a state": says(422, {"error": "unprocessable"}),
    "500": says(500, {"error": "no result"}),
    "503 with a state": says(503, {"status": "PROCESSING"}),
    "a redirect": says(302),
    "a page": says(200, "<html>please wait</html>"),
    "a list": says(200, []),
    "half an output": says(200, {"output": "https://x/preview.mp4"}),
    "of another request": says(200, {"request_id": "0000", "status": "COMPLETED", "output": "theirs"}),
    "cut off": lambda: response(200, {"status": "PROCESSING"}, complete=False),
}
WORLDS = {**CLEAR, **LEARNED, **USELESS}


class Segmind:
    """Answers calls as Segmind would in one world, at its own time, and counts them."""

    def __init__(self, running: Running, duration: float = 144.5, ended: Response | None = None) -> None:
        self.running = running
        self.duration = duration
        self.ended = ended or response(200, DONE)
        self.now = START
        self.asked: list[tuple[str, float, bool]] = []

    def answer(self, call: Call[Any], submitted_at: float = START) -> Any:
        kind = "status" if call.path.endswith("/status") else "result"
        has_ended = self.now - submitted_at >= self.duration
        self.asked.append((kind, self.now - submitted_at, has_ended))
        if has_ended:
            answer = self.ended
        else:
            answer = self.running() if kind == "result" else response(200, {"status": "PROCESSING"})
        try:
            return call.read(answer)
        except SegmindError as error:
            return error

    def follow(self, early: EarlyResults, age: float = 0, **more: Any) -> RequestReport:
        begun = self.now - age
        request = FollowedRequest(ID, begun, begun + 9000, model=KLING, **more)
        steps = follow(request, lambda: self.now, Experience(), early)
        outcome: Any = None
        while True:
            try:
                step = advance(steps, outcome)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            outcome = None
            if isinstance(step, Wait):
                self.now += step.seconds
            else:
                outcome = self.answer(step, begun)

    @property
    def counts(self) -> Counter[str]:
        return Counter(kind for kind, _, _ in self.asked)

    @property
    def looks_while_running(self) -> Counter[str]:
        return Counter(kind for kind, _, has_ended in self.asked if not has_ended)


@pytest.fixture(autouse=True)
def _same_waits_every_time() -> None:
    random.seed(7)


@pytest.mark.parametrize("world", WORLDS)
def test_the_result_is_found_in_every_world(world: str) -> None:
    early = EarlyResults()
    for _ in range(3):
        segmind = Segmind(WORLDS[world])
        assert segmind.follow(early).body == DONE
        end = next(age for _, age, has_ended in segmind.asked if has_ended)
        assert end < 1.1 * 144.5
        assert len(segmind.asked) <= 18


@pytest.mark.parametrize("world", CLEAR)
def test_where_results_name_the_state_the_status_is_asked_for_every_third_time(world: str) -> None:
    segmind = Segmind(CLEAR[world])
    segmind.follow(EarlyResults())
    assert segmind.asked[0][0] == "result"
    assert segmind.looks_while_running["status"] <= segmind.looks_while_running["result"] / 2 + 1


@pytest.mark.parametrize("world", LEARNED)
def test_an_answer_without_a_state_is_compared_with_the_status_once(world: str) -> None:
    early = EarlyResults()
    segmind = Segmind(LEARNED[world])
    segmind.follow(early)
    assert [kind for kind, _, _ in segmind.asked[:2]] == ["result", "status"]
    assert segmind.asked[0][1] == segmind.asked[1][1], "in the same look"
    assert early.understood
    again = Segmind(LEARNED[world])
    again.follow(early)
    ages = [age for _, age, has_ended in again.asked if not has_ended]
    assert len(set(ages)) == len(ages), "nothing is asked twice in one look any more"


@pytest.mark.parametrize("world", USELESS)
def test_where_results_tell_nothing_it_costs_one_call_for_the_process_and_not_for_the_clip(world: str) -> None:
    early = EarlyResults()
    results_while_running = 0
    for _ in range(5):
        segmind = Segmind(USELESS[world])
        segmind.follow(early)
        results_while_running += segmind.looks_while_running["result"]
    assert results_while_running == 1


def test_an_hour_later_it_is_tried_once_more() -> None:
    early, segmind = EarlyResults(), Segmind(USELESS["404"])
    segmind.follow(early)
    later = Segmind(CLEAR["200 with a state"])
    later.now = START + AVOIDED + 10
    later.follow(early)
    assert later.looks_while_running["result"] > 2


def drive_poll(early: EarlyResults, answer: Callable[[Call[Any]], Any], age: float = 100.0) -> Any:
    steps = poll(ID, age, None, early, START)
    outcome: Any = None
    while True:
        try:
            step = advance(steps, outcome)
        except StopIteration as end:
            return end.value
        response = answer(step)
        try:
            outcome = step.read(response) if isinstance(response, Response) else response
        except SegmindError as error:
            outcome = error


@pytest.mark.parametrize("understood", [False, True])
def test_a_404_of_the_result_is_never_the_end_if_the_status_knows_the_request(understood: bool) -> None:
    early = EarlyResults()
    if understood:
        early.learn_clear()

    def answer(call: Call[Any]) -> Response:
        if call.path.endswith("/status"):
            return response(200, {"status": "PROCESSING"})
        return response(404, {"error": "not found"})

    assert drive_poll(early, answer) == Unfinished(state="PROCESSING")


def test_a_404_of_both_is_looked_up_in_the_history() -> None:
    asked = []

    def answer(call: Call[Any]) -> Response:
        asked.append(call.path.rpartition("/")[0])
        return response(404, {"error": "not found"})

    with pytest.raises(RequestExpiredError):
        drive_poll(EarlyResults(), answer)
    assert len(asked) == 3
    assert "history" in asked[-1]


def test_while_one_answer_is_awaited_others_ask_for_the_status() -> None:
    early = EarlyResults()
    first, second = poll(ID, 3, None, early, START), poll("other", 3, None, early, START)
    assert not next(first).path.endswith("/status")
    assert next(second).path.endswith("/status")
    first.close()  # its trigger is cancelled
    assert not next(poll("third", 3, None, early, START)).path.endswith("/status")


def test_a_request_that_fails_is_noticed_by_its_result() -> None:
    failed = response(422, {"status": "FAILED", "error": "GPU on fire"})
    segmind = Segmind(CLEAR["200 with a state"], 1.0, failed)
    with pytest.raises(RequestFailedError, match="GPU on fire"):
        segmind.follow(EarlyResults())
    assert segmind.counts == {"result": 1}


@pytest.mark.parametrize(("status", "error"), [(401, AuthenticationError), (429, RateLimitedError)])
def test_what_concerns_the_key_is_raised(status: int, error: type[SegmindError]) -> None:
    with pytest.raises(error):
        read_early_result(calls.early_result(ID), response(status, {"error": "no", "status": "PROCESSING"}))


@pytest.mark.parametrize("status", [200, 422, 500])
def test_an_end_counts_whatever_the_status_is(status: int) -> None:
    found = read_early_result(calls.early_result(ID), response(status, DONE))
    assert isinstance(found, RequestReport)
    assert found.completed


def test_a_result_without_a_state_may_be_half_of_one_and_is_asked_for_again() -> None:
    early = EarlyResults()
    bare = {"output": "https://x/y.mp4"}

    def answer(call: Call[Any]) -> Response:
        return response(200, {"status": "COMPLETED"} if call.path.endswith("/status") else bare)

    assert drive_poll(early, answer).body == bare
    assert not early.may_ask(START), "the status has to be asked for anyway"


def test_an_answer_from_a_cache_hides_an_end_for_two_looks_only() -> None:
    """A proxy keeps saying that the request runs; its status is not cached."""
    segmind = Segmind(CLEAR["200 with a state"])
    fresh = segmind.answer

    def answer(call: Call[Any], submitted_at: float = START) -> Any:
        if call.reader is read_early_result:
            fresh(call, submitted_at)
            return call.read(CLEAR["200 with a state"]())
        return fresh(call, submitted_at)

    segmind.answer = answer  # type: ignore[method-assign]
    assert segmind.follow(EarlyResults()).body == DONE
    assert segmind.asked[-1][1] < 1.2 * 144.5


def test_trouble_with_the_result_alone_is_asked_around_in_the_next_look() -> None:
    early = EarlyResults()
    early.learn_clear()
    down = iter([response(503, {"error": "down"})])
    segmind = Segmind(lambda: next(down, response(200, {"status": "PROCESSING"})))
    segmind.follow(early)
    assert [kind for kind, _, _ in segmind.asked[:2]] == ["result", "status"]
    assert segmind.asked[0][1] < segmind.asked[1][1]
    assert early.understood


def test_an_old_request_is_not_asked_for_early() -> None:
    """Its record has expired, and a 404 of the result would be one call more on the way to the history."""
    segmind = Segmind(CLEAR["200 with a state"], duration=4000)
    segmind.follow(EarlyResults(), age=3601)
    assert segmind.asked[0][0] == "status"


def test_a_host_of_many_words_is_not_believed() -> None:
    early = EarlyResults()
    for number in range(MOST_KINDS + 5):
        early.learn_unclear(UnclearAnswer(f"HTTP 200, {number}", True), START, running=True)
    assert not early.may_ask(START)
    assert not early.means_running(UnclearAnswer("HTTP 200, 0", True))


@given(
    st.integers(200, 599),
    st.text() | st.dictionaries(st.sampled_from(["status", "output", "error", "request_id"]), st.text()),
    st.booleans(),
)
def test_no_answer_is_too_odd(status: int, body: Any, complete: bool) -> None:
    try:
        found = read_early_result(calls.early_result(ID), response(status, body, complete=complete))
    except (AuthenticationError, RateLimitedError):
        assert status in (401, 429)
        return
    if isinstance(found, RequestReport):
        assert isinstance(body, dict)
        assert found.state in ("QUEUED", "PROCESSING", "COMPLETED", "FAILED")
    else:
        assert len(found.kind) < 300


def test_a_state_that_is_not_documented_is_passed_on() -> None:
    early, answer = EarlyResults(), UnclearAnswer("HTTP 200, WARMING_UP", True, state="WARMING_UP")
    early.learn_unclear(answer, START, running=True)
    steps = poll(ID, 100, early=early, now=START)
    next(steps)
    with pytest.raises(StopIteration) as end:
        steps.send(answer)
    assert end.value.value.state == "WARMING_UP"
