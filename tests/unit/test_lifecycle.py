"""The state machine of a task's request: its table, its diagram and its code say the same, and it pays once."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest

from airflow_provider_segmind.api.answers import RequestReport
from airflow_provider_segmind.api.rate_limited_submit import RateLimitedSubmit
from airflow_provider_segmind.api.unresolved_submit import UnresolvedSubmit
from airflow_provider_segmind.durability import lifecycle
from airflow_provider_segmind.durability.lifecycle import (
    FORGET_AFTER,
    MOST_SUBMITS,
    TRANSITIONS,
    Accepted,
    AmbiguousMatches,
    AttemptStarted,
    Completed,
    Delivered,
    Event,
    Failed,
    HandedOver,
    HistoryUnreadable,
    Idle,
    InputsReady,
    Interrupted,
    MatchClaimed,
    MatchesTaken,
    NoAnswer,
    NoMatch,
    OutputDelivered,
    OutputLost,
    RateLimitReached,
    ReadyToSubmit,
    Reattached,
    RecordChanged,
    Refused,
    SearchTerms,
    SeenCompleted,
    SeenFailed,
    SeenUnfinished,
    State,
    Submitted,
    Submitting,
    TakenByAnother,
    TurnCame,
    Unchanged,
    advance,
    record_to_store,
)
from airflow_provider_segmind.durability.record import RecordState, RequestRecord
from airflow_provider_segmind.exceptions import (
    RateLimitedError,
    RequestFailedError,
    ServerError,
    SubmitUnresolvedError,
)

ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"
SENT_AT = 1_000_000.0
TERMS = SearchTerms(now=SENT_AT + 10, answer_limit=60, history_lag=120)
INTENT = RequestRecord(
    RecordState.SUBMITTING, "some-model", "wanted", SENT_AT, max_tries=3, sent_fingerprint="sent"
)
SUBMITTED = replace(INTENT, state=RecordState.SUBMITTED, request_id="r1")
DELIVERED = replace(SUBMITTED, state=RecordState.DELIVERED)
SUBMIT = UnresolvedSubmit("some-model", "sent", SENT_AT, SENT_AT + 60, SENT_AT, SENT_AT + 120)
GIVEN_UP = replace(SUBMIT, is_given_up=True)
SECOND = replace(SUBMIT, submits=MOST_SUBMITS)
WAITING = RateLimitedSubmit(SENT_AT + 30, SENT_AT + 900)
RESULT = RequestReport("r1", "COMPLETED", {"output": "https://x/y.mp4"})
LIMIT = RateLimitedError("slow down", status=429)

STATES: list[State] = [
    Idle(),
    Idle(WAITING),
    ReadyToSubmit(),
    ReadyToSubmit("again", SUBMIT, WAITING),
    Submitting(INTENT, {}),
    Submitting(INTENT, {}, DELIVERED, SUBMIT, WAITING),
    WAITING,
    replace(WAITING, replaces=SUBMIT),
    Interrupted(INTENT),
    Interrupted(INTENT, is_given_up=True),
    SUBMIT,
    SECOND,
    GIVEN_UP,
    Reattached(SUBMITTED, "r1"),
    Reattached(SUBMITTED, "r1", is_given_up=True),
    Submitted("r1", SENT_AT),
    Completed(RESULT),
    Delivered("r1"),
    Failed(LIMIT),
]
EVENTS: list[Event] = [
    *(
        AttemptStarted(record, wanted, max_tries, resubmit_changed, given_up)
        for record in (None, INTENT, SUBMITTED, DELIVERED)
        for wanted in ("wanted", "another")
        for max_tries in (3, 6)
        for resubmit_changed in (False, True)
        for given_up in (frozenset(), frozenset({"r1"}), frozenset({INTENT.undelivered_name or ""}))
    ),
    InputsReady(INTENT, {}),
    InputsReady(INTENT, {}, SUBMITTED),
    Accepted("r1"),
    TakenByAnother("r2", TERMS),
    NoAnswer(TERMS),
    RateLimitReached(LIMIT, SENT_AT, 900),
    RateLimitReached(LIMIT, SENT_AT + 900, 0),
    Refused(ServerError("down", status=503)),
    TurnCame(),
    RecordChanged(),
    MatchClaimed("r1", INTENT),
    MatchClaimed("r1"),
    MatchesTaken(("r2",), TERMS),
    AmbiguousMatches(("r2", "r3")),
    AmbiguousMatches(("r2", "r3"), resubmit=True),
    NoMatch(),
    HistoryUnreadable(ServerError("down", status=503)),
    HistoryUnreadable(ServerError("down", status=503), resubmit=True),
    SeenUnfinished(),
    SeenFailed(RequestFailedError("boom")),
    SeenCompleted(RESULT),
    HandedOver(),
    OutputDelivered(),
    OutputLost(),
]

Edge = tuple[str, str, str]


def written() -> set[Edge]:
    return {
        (state.__name__, event.__name__, to.__name__)
        for (state, event), transition in TRANSITIONS.items()
        for to in transition.to
    }


def played() -> set[Edge]:
    """Every transition that any of the states and events above leads to."""
    edges: set[Edge] = set()
    for state in STATES:
        for event in EVENTS:
            if (type(state), type(event)) in TRANSITIONS:
                after = advance(state, event)
                edges.add((type(state).__name__, type(event).__name__, type(after).__name__))
    return edges


def in_docstring() -> set[Edge]:
    rows = [line.split() for line in (lifecycle.__doc__ or "").splitlines()]
    return {
        (row[0], row[1], row[2])
        for row in rows
        if len(row) > 3 and row[0] in {t.__name__ for t in get_args(State)}
    }


def in_diagram() -> set[Edge]:
    return set(re.findall(r"^ +(\w+) --> (\w+): (\w+)$", ARCHITECTURE.read_text(), re.M))


def test_the_table_in_the_docstring_is_that_of_the_code() -> None:
    assert in_docstring() == written()


def test_the_diagram_in_the_docs_is_that_of_the_code() -> None:
    assert {(state, event, to) for state, to, event in in_diagram()} == written()


def test_the_code_does_what_the_table_says_and_all_of_it() -> None:
    assert played() == written()


def test_all_states_and_events_are_in_the_table() -> None:
    states = {name for state, _, to in written() for name in (state, to)}
    assert states == {each.__name__ for each in get_args(State)}
    assert {event for _, event, _ in written()} == {each.__name__ for each in get_args(Event)}


def test_an_event_that_cannot_happen_is_an_error_and_no_submit() -> None:
    with pytest.raises(RuntimeError, match="Accepted cannot happen in the state Delivered"):
        advance(Delivered("r1"), Accepted("r2"))


def test_only_a_stored_intent_leads_to_the_post() -> None:
    assert {(state, event) for state, event, to in written() if to == "Submitting"} == {
        ("ReadyToSubmit", "InputsReady")
    }


def test_no_further_submit_follows_while_a_submit_has_no_answer() -> None:
    """Only the history, or the user's own choice, leads from an unresolved submit to another one."""
    found = {event for state, event, to in written() if state == "UnresolvedSubmit" and to == "ReadyToSubmit"}
    assert found == {"NoMatch", "HistoryUnreadable", "AmbiguousMatches"}
    assert isinstance(advance(SUBMIT, HistoryUnreadable(ServerError("down", status=503))), Failed)
    assert isinstance(advance(SUBMIT, AmbiguousMatches(("r2", "r3"))), Failed)


def test_requests_that_cannot_be_told_apart_are_listed() -> None:
    ids = tuple(f"req-{number}" for number in range(25))
    state = advance(SUBMIT, AmbiguousMatches(ids))
    assert isinstance(state, Failed)
    assert state.is_unresolved
    assert "req-0, req-1, " in str(state.error)
    assert "req-9 and 15 more" in str(state.error)


@pytest.mark.parametrize("wanted", ["wanted", "another"])
@pytest.mark.parametrize(
    ("record", "state"),
    [
        (INTENT, Interrupted(INTENT)),
        (SUBMITTED, Reattached(SUBMITTED, "r1")),
        (DELIVERED, Reattached(DELIVERED, "r1")),
    ],
)
def test_a_retry_continues_whatever_its_parameters_are_by_now(
    record: RequestRecord, state: State, wanted: str
) -> None:
    assert advance(Idle(), AttemptStarted(record, wanted, max_tries=3)) == state


def test_a_cleared_task_still_searches_for_what_was_sent() -> None:
    state = advance(Idle(), AttemptStarted(INTENT, "another", max_tries=6))
    assert state == Interrupted(replace(INTENT, max_tries=6))
    submit = advance(state, NoAnswer(TERMS))
    assert isinstance(submit, UnresolvedSubmit)
    assert submit.sent_fingerprint == "sent"


@pytest.mark.parametrize("wanted", ["wanted", "another"])
def test_a_cleared_task_continues_with_what_it_has_not_delivered(wanted: str) -> None:
    state = advance(Idle(), AttemptStarted(SUBMITTED, wanted, max_tries=6))
    assert state == Reattached(replace(SUBMITTED, max_tries=6), "r1"), "its retries are of the new series"


@pytest.mark.parametrize(
    ("record", "wanted", "resubmit_changed"),
    [(DELIVERED, "wanted", False), (DELIVERED, "another", False), (SUBMITTED, "another", True)],
)
def test_a_clear_means_a_new_request_after_a_delivery_or_if_the_user_wants_one_for_other_parameters(
    record: RequestRecord, wanted: str, resubmit_changed: bool
) -> None:
    state = advance(Idle(), AttemptStarted(record, wanted, 6, resubmit_changed))
    assert isinstance(state, ReadyToSubmit)
    assert "r1" in state.reason


@pytest.mark.parametrize("max_tries", [3, 6])
def test_a_request_is_given_up_by_its_exact_id_and_no_other(max_tries: int) -> None:
    for name, given_up in (("r1", True), ("R-1", True), ("r11", False), ("r2", False), ("", False)):
        state = advance(Idle(), AttemptStarted(SUBMITTED, "wanted", max_tries, given_up=frozenset({name})))
        assert isinstance(state, Reattached)
        assert state.is_given_up is given_up, name
    assert isinstance(advance(Reattached(SUBMITTED, "r1"), SeenUnfinished()), Submitted)


def test_what_is_given_up_is_looked_at_first_and_delivered_if_it_is_completed() -> None:
    state = Reattached(SUBMITTED, "r1", is_given_up=True)
    assert isinstance(advance(state, SeenCompleted(RESULT)), Completed)
    ready = advance(state, SeenUnfinished())
    assert isinstance(ready, ReadyToSubmit)
    assert "r1 is given up" in ready.reason


def test_what_is_delivered_cannot_be_given_up() -> None:
    state = advance(Idle(), AttemptStarted(DELIVERED, "wanted", 3, given_up=frozenset({"r1"})))
    assert state == Reattached(DELIVERED, "r1")


def test_what_is_given_up_is_no_match_for_the_next_submit() -> None:
    state = advance(ReadyToSubmit("given up"), InputsReady(INTENT, {}, SUBMITTED))
    unresolved = advance(state, NoAnswer(TERMS))
    assert isinstance(unresolved, UnresolvedSubmit)
    assert "r1" in unresolved.ignored_ids
    assert not unresolved.is_given_up


def test_a_submit_is_given_up_by_its_time_after_a_last_look() -> None:
    name = INTENT.undelivered_name
    assert name == "1970-01-12T13:46:40.000000Z"
    interrupted = advance(Idle(), AttemptStarted(INTENT, "wanted", 6, given_up=frozenset({name})))
    assert interrupted == Interrupted(replace(INTENT, max_tries=6), is_given_up=True)
    submit = advance(interrupted, NoAnswer(TERMS))
    assert isinstance(submit, UnresolvedSubmit)
    assert submit.search_until == TERMS.now + 1, "the user has waited for its row"
    assert UnresolvedSubmit.from_json(submit.as_json()) == submit
    assert isinstance(advance(submit, MatchClaimed("r1", INTENT)), Submitted), "it has come after all"
    for event in (NoMatch(), HistoryUnreadable(ServerError("down")), AmbiguousMatches(("r2", "r3"))):
        assert isinstance(advance(submit, event), ReadyToSubmit)


def test_waiting_for_a_turn_goes_on_where_a_former_request_has_failed_or_is_given_up() -> None:
    """Otherwise each refusal would set a deadline of its own, and the task would wait for ever."""
    for given_up, event in (
        (frozenset(), SeenFailed(RequestFailedError("boom"))),
        (frozenset({"r1"}), SeenUnfinished()),
    ):
        state = advance(Idle(WAITING), AttemptStarted(SUBMITTED, "wanted", 3, given_up=given_up))
        ready = advance(state, event)
        assert isinstance(ready, ReadyToSubmit)
        assert ready.rate_limited == WAITING


def test_a_submit_keeps_what_the_next_search_needs() -> None:
    state = advance(
        ReadyToSubmit(replaces=SUBMIT), InputsReady(replace(INTENT, sent_at=SENT_AT + 200), {}, DELIVERED)
    )
    assert isinstance(state, Submitting)
    assert (state.intent.previous_id, state.intent.earlier_sent_at) == ("r1", (SENT_AT,))
    again = advance(state, NoAnswer(replace(TERMS, taken=frozenset({"r9"}))))
    assert isinstance(again, UnresolvedSubmit)
    assert (again.ignored_ids, again.earlier_sent_at, again.submits) == (("r1", "r9"), (SENT_AT,), 2)


def test_a_submit_of_long_ago_is_no_longer_expected_to_appear() -> None:
    late = replace(INTENT, sent_at=SENT_AT + FORGET_AFTER + 1)
    state = advance(ReadyToSubmit(replaces=SUBMIT), InputsReady(late, {}))
    assert isinstance(state, Submitting)
    assert state.intent.earlier_sent_at == ()


def test_a_request_that_another_instance_took_is_not_taken_again() -> None:
    submit = advance(Submitting(INTENT, {}), TakenByAnother("r2", TERMS))
    assert isinstance(submit, UnresolvedSubmit)
    assert submit.ignored_ids == ("r2",)
    further = advance(submit, MatchesTaken(("r3",), TERMS))
    assert isinstance(further, UnresolvedSubmit)
    assert further.ignored_ids == ("r2", "r3")


def test_two_submits_without_an_answer_are_the_end_of_an_attempt() -> None:
    for event in (NoMatch(), HistoryUnreadable(ServerError("down", status=503), resubmit=True)):
        state = advance(SECOND, event)
        assert isinstance(state, Failed)
        assert isinstance(state.error, SubmitUnresolvedError)
        assert state.is_unresolved


def test_instances_of_a_mapped_task_first_let_each_others_answers_come_in() -> None:
    alone = advance(Submitting(INTENT, {}), NoAnswer(TERMS))
    mapped = advance(Submitting(INTENT, {}), NoAnswer(replace(TERMS, is_mapped=True)))
    assert isinstance(alone, UnresolvedSubmit)
    assert isinstance(mapped, UnresolvedSubmit)
    assert (alone.search_from, mapped.search_from) == (TERMS.now, SENT_AT + 60)


def test_the_waits_of_a_submit_in_place_of_another_do_not_forget_it() -> None:
    state: State = Submitting(INTENT, {}, replaces=SUBMIT)
    waiting = advance(state, RateLimitReached(LIMIT, SENT_AT, 900))
    assert isinstance(waiting, RateLimitedSubmit)
    ready = advance(waiting, TurnCame())
    assert isinstance(ready, ReadyToSubmit)
    assert ready.replaces == SUBMIT
    late = replace(waiting, deadline=SENT_AT)
    failed = advance(ReadyToSubmit(replaces=SUBMIT, rate_limited=late), RateLimitReached(LIMIT, SENT_AT + 1, 900))
    assert isinstance(failed, Failed)
    assert failed.is_unresolved


def test_a_refusal_waits_for_the_moment_that_the_answer_names() -> None:
    reset = datetime.fromtimestamp(SENT_AT + 42, UTC)
    limit = RateLimitedError("slow down", status=429, reset_at=reset)
    waiting = advance(ReadyToSubmit(), RateLimitReached(limit, SENT_AT, 900))
    assert isinstance(waiting, RateLimitedSubmit)
    assert waiting.not_before == SENT_AT + 42


class World:
    """
    A task instance and a Segmind, both as small as they can be.

    What happens is drawn at random: answers get lost before or after the submit was accepted, attempts die between
    any two steps, a person clears the task, requests fail. The history tells the truth.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a simulation that can be repeated
        self.now = SENT_AT
        self.states: dict[str, str] = {}
        self.created_at: dict[str, float] = {}
        self.record: RequestRecord | None = None
        self.max_tries = 3
        self.wanted = 1
        self.given_up: set[str] = set()
        self.steps = 0

    def run_attempt(self) -> None:
        """Run one attempt until it ends, dies or delivers."""
        state: State = Idle()
        while not isinstance(state, (Failed, Delivered)) and self.random.random() > 0.05:
            event = self.perform(state)
            if event is None:
                return
            after = advance(state, event)
            record = record_to_store(state, event, after)
            if not isinstance(record, Unchanged):
                self.record = record
            state = after
            self.steps += 1
        if isinstance(state, Delivered) and self.record is not None:
            self.record = replace(self.record, state=RecordState.DELIVERED, max_tries=self.max_tries)
            if self.random.random() < 0.3:
                self.max_tries += 3
                self.wanted += 1

    def perform(self, state: State) -> Event | None:
        """Return what happens in a state; None if the attempt ends with an error."""
        self.now += self.random.choice([0, 1, 50] if isinstance(state, Submitting) else [0, 1, 100])
        match state:
            case Idle():
                wanted = self.random.choice(["wanted", "signed again"])
                return AttemptStarted(self.record, wanted, self.max_tries, given_up=self.names_given_up())
            case ReadyToSubmit():
                intent = replace(INTENT, sent_at=self.now, max_tries=self.max_tries)
                return self.random.choice([InputsReady(intent, {}, self.record)] * 5 + [self.limit()])
            case Submitting():
                return self.submit()
            case RateLimitedSubmit():
                self.now = max(self.now, state.not_before)
                return TurnCame()
            case Interrupted():
                return NoAnswer(self.terms())
            case UnresolvedSubmit():
                return self.search(state)
            case Reattached():
                return self.look_again(state)
            case Submitted():
                self.now += 145
                seen = self.look(state.request_id)
                return seen if isinstance(seen, SeenCompleted) else None
            case Completed():
                return OutputDelivered()
            case _:
                raise AssertionError(state)

    def submit(self) -> Event:
        fate = self.random.choice(["accepted", "accepted", "lost before", "lost after", "limited", "refused"])
        request_id = f"r{len(self.states)}"
        if fate in ("accepted", "lost after"):
            self.states[request_id], self.created_at[request_id] = "PROCESSING", self.now
        if fate == "accepted":
            return Accepted(request_id)
        if fate == "limited":
            return self.limit()
        return Refused(ServerError("down", status=503)) if fate == "refused" else NoAnswer(self.terms())

    def search(self, submit: UnresolvedSubmit) -> Event:
        if self.random.random() < 0.2:
            return HistoryUnreadable(ServerError("down", status=503))
        found = self.found_for(submit)
        return MatchClaimed(found[0], self.record) if found else NoMatch()

    def found_for(self, submit: UnresolvedSubmit) -> list[str]:
        return [
            request_id
            for request_id, state in self.states.items()
            if state != "FAILED"
            and request_id not in submit.ignored_ids
            and submit.may_be_of(datetime.fromtimestamp(self.created_at[request_id], UTC))
        ]

    def look(self, request_id: str) -> SeenFailed | SeenUnfinished | SeenCompleted:
        if self.states[request_id] == "PROCESSING":
            self.states[request_id] = self.random.choice(["PROCESSING", "COMPLETED", "FAILED"])
        if self.states[request_id] == "FAILED":
            return SeenFailed(RequestFailedError("boom"))
        if self.states[request_id] == "PROCESSING":
            return SeenUnfinished()
        return SeenCompleted(RequestReport(request_id, "COMPLETED", {}))

    def look_again(self, state: Reattached) -> Event:
        seen = self.look(state.request_id)
        if state.is_given_up and isinstance(seen, SeenUnfinished):
            self.given_up.add(state.request_id)
        return seen

    def names_given_up(self) -> frozenset[str]:
        """
        Return what a person has given up by now: what the record has, something else, or nothing.

        Of a submit without an answer, a person has looked in the history first.
        """
        if self.record is None or self.random.random() < 0.7:
            return frozenset()
        name = self.record.undelivered_name
        submit = advance(Interrupted(self.record), NoAnswer(self.terms()))
        assert isinstance(submit, UnresolvedSubmit)
        if name is None or (self.record.request_id is None and self.found_for(submit)):
            return frozenset({"r0", "another"})
        return frozenset({name, "another"})

    def terms(self) -> SearchTerms:
        return SearchTerms(self.now, answer_limit=60, history_lag=120)

    def limit(self) -> RateLimitReached:
        return RateLimitReached(LIMIT, self.now, 900)


@pytest.mark.parametrize("first_seed", range(0, 2000, 500))
def test_no_sequence_of_deaths_and_lost_answers_pays_for_more_than_was_asked_for(first_seed: int) -> None:
    for seed in range(first_seed, first_seed + 500):
        world = World(seed)
        for _ in range(30):
            world.run_attempt()
        charged = [request_id for request_id, state in world.states.items() if state != "FAILED"]
        paid_again = world.given_up.intersection(charged)
        assert len(charged) <= world.wanted + len(paid_again), f"seed {seed}: {world.states}"


def test_each_submit_in_place_of_another_says_why() -> None:
    ready = advance(SUBMIT, NoMatch())
    assert isinstance(ready, ReadyToSubmit)
    assert (ready.reason, ready.replaces) == (
        "the request history does not show the submit without a clear answer",
        SUBMIT,
    )
    given_up = advance(replace(SUBMIT, is_given_up=True), NoMatch())
    assert isinstance(given_up, ReadyToSubmit)
    assert given_up.reason == f"the submit at {SUBMIT.name} is given up, as abandon_request says"
