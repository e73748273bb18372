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

MOST_REMARKS = 10
"""Kinds of trouble and odd states of one request that are remarked on. More of them are noise, and take memory."""

LONGEST_QUEUE = 1800.0
"""Seconds longer for which the result of a COMPLETED request may wait for its turn. Its record lasts an hour."""


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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
    following = _Following(request, now, experience)
    yield following.first_wait()
    while True:
        found = yield from following.looked()
        if isinstance(found, RequestReport):
            return found
        yield found


class _Following:
    """
    What is known of a request that is waited for. A thousand of them wait at once, so it keeps little.

    ``seen`` is the age at which it was last seen to be unfinished, ``outlasted`` whether it has been counted among
    those that take long, ``remarked`` the kinds of trouble and odd states that were remarked on.
    """

    __slots__ = ("experience", "now", "outlasted", "remarked", "request", "seen", "started")

    def __init__(self, request: FollowedRequest, now: Callable[[], float], experience: Experience) -> None:
        self.request = request
        self.now = now
        self.experience = experience
        self.started = now()
        self.seen = 0.0
        self.outlasted = False
        self.remarked: tuple[str, ...] = ()

    def first_wait(self) -> Wait:
        """Return the wait before the first look."""
        request, moment = self.request, self.started
        wait = first_look(moment - request.submitted_at, request.poll_interval, self._expected(moment))
        return Wait(min(wait, max(request.deadline - moment, 0)))

    def looked(self) -> Generator[Call[Any], Any, RequestReport | Wait]:
        """Look once, and return the result or the wait before the next look."""
        moment = self.now()
        expected = self._expected(moment)
        found = yield from look(
            self.request.request_id, self._age(moment), _turn(self.request, self.seen, expected)
        )
        if isinstance(found, RequestReport):
            self._learn(found, expected)
            return found
        moment = self.now()
        if moment >= self.request.deadline:
            raise _timed_out(self.request, found)
        self._note_unfinished(found, moment, expected)
        wait = _wait(self.request, found, moment, self._expected(moment))
        return Wait(min(wait, self.request.deadline - moment), self._remark(found))

    def _expected(self, moment: float) -> Expectation:
        return self.experience.expectation(self.request.model, moment, self.request.expected_duration)

    @property
    def _teaches(self) -> bool:
        """Whether it says something of its model: if the user said what to expect, it is of another kind."""
        return not self.outlasted and self.request.expected_duration is None

    def _learn(self, report: RequestReport, expected: Expectation) -> None:
        if self._teaches:
            counts_from = self.request.submitted_at + expected.latest()
            self.experience.learn(self.request.model, report.metrics.get("total_time"), counts_from)

    def _note_unfinished(self, found: Unfinished, moment: float, expected: Expectation) -> None:
        if found.trouble is None:
            self.seen = moment - self.request.submitted_at
        if self._teaches and self.seen > expected.latest():
            self.outlasted = True
            self.experience.outlasted(self.request.model, self.seen, moment, expected)

    def _age(self, moment: float) -> float:
        """
        Return the age of the request, for the 404 of one that is not registered yet.

        The clock of whoever submitted it may differ from this one, so that a request that looks a few minutes old
        is given the grace from the start of the wait.
        """
        age = moment - self.request.submitted_at
        return min(age, moment - self.started) if age < LARGEST_CLOCK_DIFFERENCE else age

    def _remark(self, found: Unfinished) -> str:
        """Return what is new about a look: each kind of trouble and each odd state is worth one line."""
        if found.trouble is not None:
            kind, remark = type(found.trouble).__name__, f"Will look again: {found.trouble}"
        elif found.state not in RequestState.__members__:
            kind = found.state
            name = f"Request {self.request.request_id}"
            remark = f"{name} is {found.state!r}, a state unknown to this version; waiting on."
        else:
            return ""
        if kind in self.remarked or len(self.remarked) >= MOST_REMARKS:
            return ""
        self.remarked += (kind,)
        return remark


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


def _wait(request: FollowedRequest, found: Unfinished, moment: float, expected: Expectation) -> float:
    wait = next_look(moment - request.submitted_at, request.poll_interval, expected)
    if isinstance(found.trouble, RateLimitedError) and found.trouble.reset_at:
        until_reset = (found.trouble.reset_at - datetime.fromtimestamp(moment, UTC)).total_seconds()
        return after_reset(until_reset, wait)
    return wait


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
