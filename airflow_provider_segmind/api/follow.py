"""
Following a request to its end, without I/O.

``follow`` and ``look`` are generators: they yield the calls to send (and ``Wait`` where time has to pass), get
each answer sent, or the SegmindError thrown, back in, and return the result. The trigger and the blocking
operator drive the same generator, so that both wait in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.answers import RequestReport, RequestState
from airflow_provider_segmind.api.call import Call, Rank, Turn
from airflow_provider_segmind.api.expectation import SEEN, Expectation, Experience
from airflow_provider_segmind.api.recover import recover
from airflow_provider_segmind.api.schedule import after_reset, first_look, next_look
from airflow_provider_segmind.exceptions import (
    PASSING_TROUBLE,
    RateLimitedError,
    RequestExpiredError,
    RequestTimeoutError,
    SegmindError,
)

REGISTRATION_GRACE = 30.0
"""Seconds after submission in which a 404 may mean that Segmind has not registered the request yet."""

LARGEST_CLOCK_DIFFERENCE = 600.0

LAST_TURN = 30.0
"""Seconds after the deadline in which a last look may still get its turn, if the key's budget is short."""

LONGEST_QUEUE = 1800.0
"""Seconds longer for which the result of a COMPLETED request may wait for its turn. Its record lasts an hour."""


@dataclass(frozen=True)
class FollowedRequest:
    """
    A request to wait for.

    :param submitted_at: Seconds since the epoch, when it was submitted.
    :param deadline: Seconds since the epoch, when to give up. Wall-clock time, because it has to survive a
        move to another process or machine.
    :param poll_interval: Seconds between looks; None to adapt to the request's age and to what is usual.
    :param model: Whose usual duration the looks go by, if known.
    :param expected_duration: Seconds that it is expected to take, if the user said so.
    """

    request_id: str
    submitted_at: float
    deadline: float
    poll_interval: float | None = None
    model: str | None = None
    expected_duration: float | None = None


@dataclass(frozen=True)
class Wait:
    """Let so many seconds pass. ``remark`` is worth a line in the log."""

    seconds: float
    remark: str = ""


@dataclass(frozen=True)
class Unfinished:
    """
    A look that found no end.

    :param trouble: What was in the way of seeing it, if anything.
    :param state: The state that Segmind named, if it could be seen.
    """

    trouble: SegmindError | None = None
    state: str = ""


Steps = Generator[Call[Any], Any, RequestReport | Unfinished]


def look(request_id: str, age: float, turn: Turn | None = None) -> Steps:
    """
    Look once: ask for the status and, if that is COMPLETED, for the result. If Segmind no longer has the
    request's record, its history may.

    :param age: Seconds since the submission.
    :param turn: How the question for the status waits for others with the same key. What follows from it goes
        first, and waits longer: the result is there.
    :raises SegmindError: If the request has ended in another way than COMPLETED, or cannot be asked about.
    """
    first = Turn(turn.not_after + LONGEST_QUEUE) if turn is not None else None
    state = ""
    try:
        report: RequestReport = yield calls.status(request_id, turn)
        if report.completed:
            state = report.state
            report = yield calls.result(request_id, first)
    except PASSING_TROUBLE as trouble:
        return Unfinished(trouble, state)
    except RequestExpiredError as missing:
        return Unfinished(missing) if age < REGISTRATION_GRACE else (yield from _recovered(request_id, first))
    report.raise_if_failed()
    return report if report.completed else Unfinished(state=report.state)


def _recovered(request_id: str, turn: Turn | None) -> Steps:
    try:
        return (yield from recover(request_id, turn))
    except PASSING_TROUBLE as trouble:
        return Unfinished(trouble)


def resume(steps: Generator[Any, Any, Any], outcome: Any) -> Any:
    """
    Give the outcome of the last step back, and return the next step.

    :param outcome: The answer to a call, the SegmindError it ended in, or None at the start and after a wait.
    :raises StopIteration: At the end; its ``value`` is what the generator returns.
    """
    return steps.throw(outcome) if isinstance(outcome, SegmindError) else steps.send(outcome)


def follow(
    request: FollowedRequest, now: Callable[[], float], experience: Experience = SEEN
) -> Generator[Call[Any] | Wait, Any, RequestReport]:
    """
    Follow a request until it is COMPLETED, and return its result.

    Lost connections, server errors, rate limits and unreadable answers are waited out until the deadline, and
    a 404 for the first 30 s. A state that is not documented is no end, and is remarked on once.

    :param now: The clock: seconds since the epoch.
    :param experience: What is known of the models' usual durations; the request's own is added in the end, unless
        the user said what to expect: then it is of another kind than the others.
    :raises SegmindError: If it ends in any other way.
    """
    remarked: set[str] = set()
    moment = started = now()
    seen, outlasted = 0.0, False
    expected = _expected(request, experience, moment)
    wait = first_look(started - request.submitted_at, request.poll_interval, expected)
    yield Wait(min(wait, max(request.deadline - started, 0)))
    while True:
        turn = _turn(request, seen, expected)
        found = yield from look(request.request_id, _age(request, started, now()), turn)
        if isinstance(found, RequestReport):
            if not outlasted and request.expected_duration is None:
                counts_from = request.submitted_at + expected.latest()
                experience.learn(request.model, found.metrics.get("total_time"), counts_from)
            return found
        moment = now()
        if moment >= request.deadline:
            raise _timed_out(request, found)
        if found.trouble is None:
            seen = moment - request.submitted_at
        if not outlasted and request.expected_duration is None and seen > expected.latest():
            outlasted = True
            experience.outlasted(request.model, seen, moment, expected)
        expected = _expected(request, experience, moment)
        wait = _wait(request, found, moment, expected)
        yield Wait(min(wait, request.deadline - moment), _remark(request, found, remarked))


def _expected(request: FollowedRequest, experience: Experience, moment: float) -> Expectation:
    return experience.expectation(request.model, moment, request.expected_duration)


def _turn(request: FollowedRequest, seen: float, expected: Expectation) -> Turn:
    """
    Return how the next look takes its turn.

    :param seen: The age at which the request was last seen to be unfinished.
    """
    return Turn(
        request.deadline + LAST_TURN,
        Rank.POLL,
        likelihood=lambda moment: expected.done_between(seen, moment - request.submitted_at),
    )


def _age(request: FollowedRequest, started: float, moment: float) -> float:
    """
    Return the age of a request, for the 404 of one that is not registered yet.

    The clock of whoever submitted it may differ from this one, so that a request that looks a few minutes old
    is given the grace from the start of the wait.
    """
    age = moment - request.submitted_at
    return min(age, moment - started) if age < LARGEST_CLOCK_DIFFERENCE else age


def _wait(request: FollowedRequest, found: Unfinished, moment: float, expected: Expectation) -> float:
    wait = next_look(moment - request.submitted_at, request.poll_interval, expected)
    if isinstance(found.trouble, RateLimitedError) and found.trouble.reset_at:
        until_reset = (found.trouble.reset_at - datetime.fromtimestamp(moment, UTC)).total_seconds()
        return after_reset(until_reset, wait)
    return wait


def _remark(request: FollowedRequest, found: Unfinished, remarked: set[str]) -> str:
    """Return what is new about a look: each kind of trouble and each odd state is worth one line."""
    if found.trouble is not None:
        kind, remark = type(found.trouble).__name__, f"Will look again: {found.trouble}"
    elif found.state not in RequestState.__members__:
        kind = found.state
        remark = f"Request {request.request_id} is {found.state!r}, a state unknown to this version; waiting on."
    else:
        return ""
    if kind in remarked:
        return ""
    remarked.add(kind)
    return remark


def _timed_out(request: FollowedRequest, found: Unfinished) -> RequestTimeoutError:
    waited = request.deadline - request.submitted_at
    last = (
        f"at the last look it was {found.state}"
        if found.trouble is None
        else f"last: {found.trouble.summary}: {found.trouble.detail}"
    )
    if found.state == RequestState.COMPLETED:
        return RequestTimeoutError(
            f"COMPLETED, but its result could not be fetched within {waited:.0f} s; {last}",
            request_id=request.request_id,
        )
    return RequestTimeoutError(f"not finished after {waited:.0f} s; {last}", request_id=request.request_id)
