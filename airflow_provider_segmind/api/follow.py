"""
Following a request to its end, without I/O.

``follow`` and ``poll`` are generators: they yield the calls to send, and a ``Wait`` where time has to pass. Each
answer is sent back in, each SegmindError thrown back in, and the generator returns the result. The trigger and the
blocking operator drive the same generator, so that both wait in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.answers import RequestReport, RequestState
from airflow_provider_segmind.api.call import Call, Rank, Turn
from airflow_provider_segmind.api.early_results import EarlyResults, UnclearAnswer
from airflow_provider_segmind.api.expectation import Expectation, Experience
from airflow_provider_segmind.api.schedule import KeyLoad, first_wait, next_wait, postponement, wait_after_reset
from airflow_provider_segmind.exceptions import (
    PASSING_TROUBLE,
    RateLimitedError,
    RefusedError,
    RequestExpiredError,
    RequestTimeoutError,
    SegmindError,
)

if TYPE_CHECKING:
    from airflow_provider_segmind.api.history import HistoryEntry

RECORD_LIFETIME = 3600.0
"""Seconds from its submission for which Segmind keeps the record of a request. A 404 means expired after that."""

REGISTRATION_GRACE = 30.0
"""Seconds after submission in which a 404 may mean that Segmind has not registered the request yet."""

LARGEST_CLOCK_DIFFERENCE = 600.0

LAST_TURN = 30.0
"""Seconds after the deadline in which a last poll may still get its turn, if the key's budget is short."""

MOST_REMARKS = 10
"""Kinds of trouble and odd states of one request that are remarked on. More of them are noise, and take memory."""

MOST_EARLY_RESULTS = 2
"""
Early calls for the result of one request in a row; then comes its status. An answer from a cache, or one that is
taken for that of a request that runs, hides an end no longer.
"""

LONGEST_RESULT_QUEUE = 1800.0
"""Seconds longer for which the result of a COMPLETED request may wait for its turn. Its record lasts an hour."""


@dataclass(frozen=True, slots=True)
class FollowedRequest:
    """
    A request to wait for.

    :param submitted_at: Seconds since the epoch, when it was submitted.
    :param deadline: Seconds since the epoch, when to give up. Wall-clock time, because it has to survive a
        move to another process or machine.
    :param poll_interval: Seconds between polls; None to adapt to the request's age and to what is usual.
    :param model: Its usual duration decides when to poll; None if it is not known.
    :param expected_duration: Seconds that it is expected to take, if the user said so.
    :param exponential_backoff: Whether each wait is twice as long as the one before, from ``poll_interval`` on.
    :param max_wait: The longest of these waits, in seconds.
    :param variant: What of its parameters decides how long it takes, as ``usual_duration.variant_of`` returns it.
    """

    request_id: str
    submitted_at: float
    deadline: float
    poll_interval: float | None = None
    model: str | None = None
    expected_duration: float | None = None
    exponential_backoff: bool = False
    max_wait: float | None = None
    variant: str | None = None

    def interval(self, age: float) -> float | None:
        """
        Return the seconds to wait between looks at this age; None to adapt.

        With ``exponential_backoff`` the age, which survives a restart, says how many waits there have been: after
        those of 1, 2 and 4 intervals, it is 7 intervals, and the next wait takes 8.
        """
        if self.poll_interval is None or not self.exponential_backoff:
            return self.poll_interval
        wait = max(age, 0) + self.poll_interval
        return wait if self.max_wait is None else min(wait, self.max_wait)


@dataclass(frozen=True, slots=True)
class Wait:
    """
    Let so many seconds pass.

    :param remark: Is worth a line in the log.
    :param seen: What the look before the wait has seen, for people who follow each look; empty before the first.
    """

    seconds: float
    remark: str = ""
    seen: str = ""


@dataclass(frozen=True)
class Unfinished:
    """
    A poll that did not find the end.

    :param trouble: The error of the poll, if there was one.
    :param state: The state that Segmind returned; empty after an error.
    :param by_result: Whether the last answer was that to an early call for the result.
    """

    trouble: SegmindError | None = None
    state: str = ""
    by_result: bool = False


Steps = Generator[Call[Any], Any, RequestReport | Unfinished]


def poll(
    request_id: str, age: float, turn: Turn | None = None, early: EarlyResults | None = None, now: float = 0.0
) -> Steps:
    """
    Poll once: ask for the status and, if that is COMPLETED, for the result. If Segmind no longer has the
    request's record, its history may.

    :param age: Seconds since the submission.
    :param turn: How the first call waits for others with the same key. The calls that follow it go first, and
        may wait longer: the result may be ready.
    :param early: Asks for the result in place of the status, where that tells as much. None for the status.
    :param now: Seconds since the epoch, for ``early``.
    :raises SegmindError: If the request has ended in another way than COMPLETED, or cannot be asked about.
    """
    first = Turn(turn.not_after + LONGEST_RESULT_QUEUE) if turn is not None else None
    if early is not None and early.may_ask(now):
        with early.asking():
            return (yield from _poll_early(request_id, age, turn, first, early, now))
    return (yield from _poll_status(request_id, age, turn, first))


def _poll_early(
    request_id: str, age: float, turn: Turn | None, first: Turn | None, early: EarlyResults, now: float
) -> Steps:
    """Ask for the result, and for the status only if the answer does not say how the request is."""
    try:
        answer: RequestReport | UnclearAnswer = yield calls.early_result(request_id, turn)
    except PASSING_TROUBLE as trouble:
        return Unfinished(trouble, by_result=True)
    if isinstance(answer, RequestReport):
        answer.raise_if_failed()
        if answer.completed:
            return answer
        early.learn_clear()
        return Unfinished(state=answer.state, by_result=True)
    if early.means_running(answer):
        return Unfinished(state=answer.state or RequestState.PROCESSING, by_result=True)
    if early.understood and answer.trouble is not None:
        return Unfinished(answer.trouble, by_result=True)
    found = yield from _poll_status(request_id, age, first, first)
    running = isinstance(found, Unfinished) and found.state not in ("", RequestState.COMPLETED)
    if running or isinstance(found, RequestReport):
        early.learn_unclear(answer, now, running=running)
    return found


def _poll_status(request_id: str, age: float, turn: Turn | None, first: Turn | None) -> Steps:
    state = ""
    try:
        report: RequestReport = yield calls.status(request_id, turn)
        if report.completed:
            state = report.state
            report = yield calls.result(request_id, first)
    except PASSING_TROUBLE as trouble:
        return Unfinished(trouble, state)
    except RequestExpiredError as missing:
        return (
            Unfinished(missing) if age < REGISTRATION_GRACE else (yield from _recover_or_wait(request_id, first))
        )
    report.raise_if_failed()
    return report if report.completed else Unfinished(state=report.state)


def _recover_or_wait(request_id: str, turn: Turn | None) -> Steps:
    try:
        return (yield from recover(request_id, turn))
    except PASSING_TROUBLE as trouble:
        return Unfinished(trouble)


def recover(request_id: str, turn: Turn | None = None) -> Steps:
    """
    Ask the history for a request whose record has expired, and return its result as far as history has it.

    A request may outlive its record: one that the history shows in another state, such as PENDING, is not
    finished, and will be charged.

    :param turn: How the call waits for others with the same key.
    :raises RequestFailedError: If it failed, and so was not charged.
    :raises RequestExpiredError: If the history does not have it, or not its output.
    """
    try:
        entry: HistoryEntry = yield calls.history_entry(request_id, turn)
    except (RefusedError, RequestExpiredError) as error:
        raise _gone_error(request_id, f"the request history could not be read: {error.detail}") from error
    if entry.state == RequestState.FAILED:
        RequestReport(request_id, RequestState.FAILED, _failed_body(entry)).raise_if_failed()
    if entry.state not in ("", RequestState.COMPLETED):
        return Unfinished(state=entry.state)
    if entry.state != RequestState.COMPLETED or not entry.output_urls:
        outputs = f"{entry.state or 'in no state'}, with {len(entry.output_urls)} outputs"
        raise _gone_error(request_id, f"the request history lists it as {outputs}")
    urls = list(entry.output_urls)
    body = {
        "status": str(RequestState.COMPLETED),
        "output": urls[0] if len(urls) == 1 else urls,
        "metrics": {} if entry.cost is None else {"cost": entry.cost},
    }
    return RequestReport(request_id, RequestState.COMPLETED, body, from_history=True)


def _failed_body(entry: HistoryEntry) -> dict[str, Any]:
    """Return what a row says of a failure, under the names of an answer."""
    return {
        "error": entry.row.get("error") or entry.error,
        "error_message": entry.row.get("error_message"),
        "prompt": (entry.parameters or {}).get("prompt"),
    }


def _gone_error(request_id: str, why: str) -> RequestExpiredError:
    return RequestExpiredError(f"its record has expired, and {why}", request_id=request_id)


def advance(steps: Generator[Any, Any, Any], outcome: Any) -> Any:
    """
    Give the outcome of the last step to the generator, and return its next step.

    :param outcome: The answer to a call, the SegmindError it ended in, or None at the start and after a wait.
    :raises StopIteration: At the end; its ``value`` is what the generator returns.
    """
    return steps.throw(outcome) if isinstance(outcome, SegmindError) else steps.send(outcome)


def follow(
    request: FollowedRequest,
    now: Callable[[], float],
    experience: Experience,
    early: EarlyResults | None = None,
    load: Callable[[], KeyLoad] = KeyLoad,
) -> Generator[Call[Any] | Wait, Any, RequestReport]:
    """
    Follow a request until it is COMPLETED, and return its result.

    Lost connections, server errors, rate limits and unreadable answers are waited out until the deadline, and
    a 404 for the first 30 s. An undocumented state does not end the wait, and is logged once.

    :param now: The clock: seconds since the epoch.
    :param experience: What is known of the models' usual durations; the request's own is added in the end, unless
        the user said what to expect: then it is of another kind than the others.
    :param early: What is known of early calls for results; the request's own answers are added.
    :param load: Returns how scarce the key's turns are. With a ``poll_interval`` it does not matter.
    :raises SegmindError: If it ends in any other way.
    """
    following = _Following(request, now, experience, early or EarlyResults(), load)
    yield following.first_wait()
    while True:
        while (postponed := following.postponement()) > 0:
            yield Wait(postponed)
        found = yield from following.poll()
        if isinstance(found, RequestReport):
            return found
        yield found


class _Following:
    """
    What is known of a request that is waited for. A thousand of them wait at once, so it keeps little.

    ``seen`` is the age at which it was last seen to be unfinished, ``outlasted`` whether it has been counted among
    those that take long, ``remarked`` the kinds of trouble and odd states that were remarked on, ``early_looks``
    how many calls in a row were for its result.
    """

    __slots__ = (
        "early",
        "early_looks",
        "experience",
        "load",
        "now",
        "outlasted",
        "remarked",
        "request",
        "seen",
        "started",
    )

    def __init__(
        self,
        request: FollowedRequest,
        now: Callable[[], float],
        experience: Experience,
        early: EarlyResults,
        load: Callable[[], KeyLoad],
    ) -> None:
        self.request = request
        self.now = now
        self.experience = experience
        self.early = early
        self.early_looks = 0
        self.load = load
        self.started = now()
        self.seen = 0.0
        self.outlasted = False
        self.remarked: tuple[str, ...] = ()

    def first_wait(self) -> Wait:
        """Return the wait before the first poll."""
        request, moment = self.request, self.started
        age = moment - request.submitted_at
        wait = first_wait(age, request.interval(age), self._expectation(moment))
        return Wait(min(wait, max(request.deadline - moment, 0)))

    def postponement(self) -> float:
        """Return the seconds for which the next poll is not worth its turn. The key may have more room sooner."""
        moment = self.now()
        if self.request.poll_interval is not None or moment >= self.request.deadline:
            return 0.0
        # A request of a model that is not known was submitted by something else, and may have ended long ago.
        if not self.seen and (self.request.model is None or self.early.wants_to_learn(moment)):
            return 0.0
        age = moment - self.request.submitted_at
        wait = postponement(age, self.seen, self.load(), self._expectation(moment))
        return min(wait, self.request.deadline - moment)

    def _may_look_early(self, moment: float) -> bool:
        return self.early_looks < MOST_EARLY_RESULTS and moment - self.request.submitted_at < RECORD_LIFETIME

    def poll(self) -> Generator[Call[Any], Any, RequestReport | Wait]:
        """Poll once, and return the result or the wait before the next poll."""
        moment = self.now()
        expected = self._expectation(moment)
        found = yield from poll(
            self.request.request_id,
            self._age(moment),
            _poll_turn(self.request, self.seen, expected),
            self.early if self._may_look_early(moment) else None,
            moment,
        )
        if isinstance(found, RequestReport):
            self._learn(found, expected)
            return found
        if found.by_result and found.trouble is None:
            self.early_looks += 1
        else:  # after trouble with the result, the status may be without
            self.early_looks = MOST_EARLY_RESULTS if found.by_result else 0
        moment = self.now()
        if moment >= self.request.deadline:
            raise _timeout_error(self.request, found)
        self._note_unfinished(found, moment, expected)
        wait = _wait_before_next(self.request, found, moment, self._expectation(moment))
        seen = found.state if found.trouble is None else type(found.trouble).__name__
        return Wait(min(wait, self.request.deadline - moment), self._remark(found), seen)

    def _expectation(self, moment: float) -> Expectation:
        request = self.request
        return self.experience.expect(request.model, moment, request.expected_duration, request.variant)

    @property
    def _teaches(self) -> bool:
        """Whether its duration is typical of its model: not if the user gave an expected duration."""
        return not self.outlasted and self.request.expected_duration is None

    def _learn(self, report: RequestReport, expected: Expectation) -> None:
        if self._teaches:
            request, duration = self.request, report.metrics.get("total_time")
            counts_from = request.submitted_at + expected.latest()
            self.experience.learn(request.model, duration, counts_from, request.variant)

    def _note_unfinished(self, found: Unfinished, moment: float, expected: Expectation) -> None:
        if found.trouble is None:
            self.seen = moment - self.request.submitted_at
        if self._teaches and self.seen > expected.latest():
            self.outlasted = True
            self.experience.learn_overdue(self.request.model, self.seen, moment, expected, self.request.variant)

    def _age(self, moment: float) -> float:
        """
        Return the age of the request, for the 404 of one that is not registered yet.

        The clock of the machine that submitted it may differ, so that a request that seems a few minutes old gets
        the grace from the start of the wait.
        """
        age = moment - self.request.submitted_at
        return min(age, moment - self.started) if age < LARGEST_CLOCK_DIFFERENCE else age

    def _remark(self, found: Unfinished) -> str:
        """Return a line for the log, at the first poll with this kind of error or unknown state; else nothing."""
        if found.trouble is not None:
            kind, remark = type(found.trouble).__name__, f"Will poll again: {found.trouble.facts}."
        elif found.state not in RequestState.__members__:
            kind = found.state
            name = f"Request {self.request.request_id}"
            remark = f"{name} has the unknown state {found.state!r}; still waiting."
        else:
            return ""
        if kind in self.remarked or len(self.remarked) >= MOST_REMARKS:
            return ""
        self.remarked += (kind,)
        return remark


def _poll_turn(request: FollowedRequest, seen: float, expected: Expectation) -> Turn:
    """
    Return how the next poll takes its turn.

    :param seen: The age at which the request was last seen to be unfinished.
    """
    return Turn(
        request.deadline + LAST_TURN,
        Rank.POLL,
        likelihood=lambda moment: expected.done_between(seen, moment - request.submitted_at),
    )


def _wait_before_next(request: FollowedRequest, found: Unfinished, moment: float, expected: Expectation) -> float:
    age = moment - request.submitted_at
    wait = next_wait(age, request.interval(age), expected)
    if isinstance(found.trouble, RateLimitedError) and found.trouble.reset_at:
        until_reset = (found.trouble.reset_at - datetime.fromtimestamp(moment, UTC)).total_seconds()
        return wait_after_reset(until_reset, wait)
    return wait


def _timeout_error(request: FollowedRequest, found: Unfinished) -> RequestTimeoutError:
    waited = request.deadline - request.submitted_at
    last = (
        f"its last state was {found.state}"
        if found.trouble is None
        else f"last error: {found.trouble.summary}: {found.trouble.detail}"
    )
    if found.state == RequestState.COMPLETED:
        return RequestTimeoutError(
            f"COMPLETED, but its result could not be fetched within {waited:.0f} s; {last}",
            request_id=request.request_id,
        )
    return RequestTimeoutError(f"not finished after {waited:.0f} s; {last}", request_id=request.request_id)
