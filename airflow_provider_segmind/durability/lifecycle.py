"""
The life of a task's request: one state machine, without I/O.

A state says what has to be done next, and an event says what has happened. :func:`advance` returns the state that
follows, and nothing else decides. ``submission.Submission`` does what the states ask for.

===================  ===================  ==================================  =====================================
State                Event                Next state                          Because
===================  ===================  ==================================  =====================================
Idle                 AttemptStarted       ReadyToSubmit                       there is no request, or a clear wants
                                                                              another
Idle                 AttemptStarted       Interrupted                         an attempt died while it submitted
Idle                 AttemptStarted       Reattached                          the task has a request
ReadyToSubmit        InputsReady          Submitting                          the intent is stored, then the POST
ReadyToSubmit        RecordChanged        Idle                                another attempt has submitted
ReadyToSubmit        RateLimitReached     RateLimitedSubmit                   an upload got a 429
ReadyToSubmit        RateLimitReached     Failed                              the same, and the time is up
Submitting           Accepted             Submitted                           the id is stored at once
Submitting           TakenByAnother       UnresolvedSubmit                    another mapped instance claimed it
Submitting           NoAnswer             UnresolvedSubmit                    there may be a request
Submitting           RateLimitReached     RateLimitedSubmit                   the submit got a 429: no charge
Submitting           RateLimitReached     Failed                              the same, and the time is up
Submitting           Refused              Failed                              the submit was refused: no charge
RateLimitedSubmit    TurnCame             Idle                                the record decides again
RateLimitedSubmit    TurnCame             ReadyToSubmit                       it replaces an unresolved submit
RateLimitedSubmit    RecordChanged        Idle                                the same event came before
Interrupted          NoAnswer             UnresolvedSubmit                    there may be a request
UnresolvedSubmit     MatchClaimed         Submitted                           the history has its request
UnresolvedSubmit     MatchesTaken         UnresolvedSubmit                    all matches belong to others
UnresolvedSubmit     AmbiguousMatches     ReadyToSubmit                       the user chose to pay twice rather
UnresolvedSubmit     AmbiguousMatches     Failed                              several may be it, or one hardly is
UnresolvedSubmit     NoMatch              ReadyToSubmit                       Segmind never accepted it
UnresolvedSubmit     NoMatch              Failed                              a second one is unresolved, too; or
                                                                              the history shows no workflows
UnresolvedSubmit     HistoryUnreadable    ReadyToSubmit                       the user accepts to pay twice
UnresolvedSubmit     HistoryUnreadable    Failed                              it may have been accepted
UnresolvedSubmit     RecordChanged        Idle                                the same event came before
Reattached           SeenFailed           ReadyToSubmit                       a FAILED request is not charged
Reattached           SeenUnfinished       Submitted                           it is still running, or not looked at
Reattached           SeenUnfinished       ReadyToSubmit                       the user has given it up
Reattached           SeenCompleted        Completed                           the output is there
Submitted            SeenCompleted        Completed                           the output is there
Submitted            HandedOver           Delivered                           the task returns the id alone
Submitted            OutputLost           Delivered                           there will be no output
Completed            OutputDelivered      Delivered                           it is stored and pushed
Completed            OutputLost           Delivered                           it cannot be fetched any more
===================  ===================  ==================================  =====================================

The rows of a request that is known, up to ``Delivered``, are in ``ending``.

Only ``Submitting`` sends a POST, and only ``InputsReady`` leads there: so the intent is stored before each submit.
An error in between ends the attempt. The next one starts at ``Idle`` with the record that was stored last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from airflow_provider_segmind.api.answers import RequestReport
from airflow_provider_segmind.api.rate_limited_submit import RateLimitedSubmit
from airflow_provider_segmind.api.unresolved_submit import UnresolvedSubmit
from airflow_provider_segmind.durability.ending import (
    ENDINGS,
    Completed,
    Delivered,
    HandedOver,
    Occurrence,
    OutputDelivered,
    OutputLost,
    Submitted,
    Transition,
    follow,
)
from airflow_provider_segmind.durability.record import RecordState, RequestRecord
from airflow_provider_segmind.exceptions import RateLimitedError, SegmindError, SubmitUnresolvedError

MOST_SUBMITS = 2
"""How many times one attempt submits at most: once, and once more if the history does not show the first."""

MOST_LISTED = 10
"""Ids of requests in one message."""

STILL_AVAILABLE = (
    "It may still run and be charged, and the example DAG segmind_adopt_request (SegmindRequestSensor) still gets "
    "its output"
)
"""What becomes of a request that its task leaves."""

FORGET_AFTER = 3600.0
"""Seconds after which the request of an unresolved submit that was replaced is no longer expected to appear."""


@dataclass(frozen=True)
class Idle:
    """
    An attempt begins, or begins again. Next: read the record.

    :param rate_limited: The submit that has waited for its turn, if one has.
    """

    rate_limited: RateLimitedSubmit | None = None


@dataclass(frozen=True)
class ReadyToSubmit:
    """
    A new request is wanted. Next: check the output's location, upload the files, store the intent.

    :param reason: Why there is to be another request; empty for the first one.
    :param replaces: The unresolved submit that this one replaces, if there is one.
    :param rate_limited: The submit that has waited for its turn, if one has.
    """

    reason: str = ""
    replaces: UnresolvedSubmit | None = None
    rate_limited: RateLimitedSubmit | None = None


@dataclass(frozen=True)
class Submitting:
    """
    The intent is stored. Next: the POST, which is the charge.

    :param parameters: The model's, as Segmind gets them.
    :param before: The record that the intent replaces, which holds again if the submit is refused.
    """

    intent: RequestRecord
    parameters: Mapping[str, Any]
    before: RequestRecord | None = None
    replaces: UnresolvedSubmit | None = None
    rate_limited: RateLimitedSubmit | None = None


@dataclass(frozen=True)
class Interrupted:
    """
    An earlier attempt died while it submitted. Next: find out where and until when to search.

    :param is_given_up: Whether the user has looked for its request, and wants to pay for another.
    """

    record: RequestRecord
    is_given_up: bool = False


@dataclass(frozen=True)
class Reattached:
    """
    The task has a request from an earlier attempt. Next: look at it once.

    :param is_given_up: Whether the user wants to pay for another, unless this one is COMPLETED by now.
    :param rate_limited: The submit that has waited for its turn, if one has.
    """

    record: RequestRecord
    request_id: str
    is_given_up: bool = False
    rate_limited: RateLimitedSubmit | None = None


@dataclass(frozen=True)
class Failed:
    """
    The attempt ends with an error.

    :param is_unresolved: Whether there may be a request whose id is not known.
    """

    error: SegmindError
    is_unresolved: bool = False


State = (
    Idle
    | ReadyToSubmit
    | Submitting
    | RateLimitedSubmit
    | Interrupted
    | UnresolvedSubmit
    | Reattached
    | Submitted
    | Completed
    | Delivered
    | Failed
)


@dataclass(frozen=True)
class SearchTerms:
    """
    Where and how long to search for an unresolved submit. All times are in seconds.

    :param now: Since the epoch.
    :param answer_limit: How long a submit can take, from the POST to its acceptance.
    :param history_lag: How long after that its row may still appear.
    :param is_mapped: Whether other instances of the task may still wait for the answers to their submits. Then the
        search starts later: it might take a request whose id is on its way to another instance.
    :param taken: Ids of requests that other instances have.
    """

    now: float
    answer_limit: float
    history_lag: float
    is_mapped: bool = False
    taken: frozenset[str] = frozenset()


@dataclass(frozen=True)
class AttemptStarted:
    """
    The record has been read.

    :param record: Of the attempts before; None if there is none.
    :param wanted: The fingerprint of what this attempt is asked for. It matters only after a clear, and only with
        ``resubmit_changed``.
    :param max_tries: The task's at this moment.
    :param resubmit_changed: Whether the user chose to submit again if a cleared task has other parameters.
    :param given_up: What the user has given up, by the names that ``abandon_request`` takes.
    """

    record: RequestRecord | None
    wanted: str
    max_tries: int
    resubmit_changed: bool = False
    given_up: frozenset[str] = frozenset()


@dataclass(frozen=True)
class InputsReady:
    """
    All that can be checked before a submit is checked, and the files are uploaded.

    :param intent: The record of the submit, without what comes from the record before.
    """

    intent: RequestRecord
    parameters: Mapping[str, Any]
    before: RequestRecord | None = None


@dataclass(frozen=True)
class Accepted:
    """Segmind has answered the submit with an id."""

    request_id: str


@dataclass(frozen=True)
class TakenByAnother:
    """Segmind has answered with an id that another instance claimed for its own unresolved submit."""

    request_id: str
    terms: SearchTerms


@dataclass(frozen=True)
class NoAnswer:
    """A submit may have been sent, and nothing says what became of it."""

    terms: SearchTerms


@dataclass(frozen=True)
class RateLimitReached:
    """
    Segmind answered with 429.

    :param now: In seconds since the epoch.
    :param timeout: Seconds from the first refusal after which to give up.
    """

    error: RateLimitedError
    now: float
    timeout: float


@dataclass(frozen=True)
class Refused:
    """Segmind certainly has not accepted the submit."""

    error: SegmindError


class TurnCame(Occurrence):
    """The key may submit again."""


class RecordChanged(Occurrence):
    """
    The record is no longer the one that this attempt went by: something else has submitted, or is about to.

    Nothing promises that Airflow resumes a task only once with the same event. And an attempt that Airflow took
    for dead may go on next to the one that followed it.
    """


@dataclass(frozen=True)
class MatchClaimed:
    """
    The history has a matching request, and no other instance has it.

    :param record: The stored record of the submit; None if nothing can be stored.
    """

    request_id: str
    record: RequestRecord | None = None


@dataclass(frozen=True)
class MatchesTaken:
    """All matching requests belong to other instances."""

    request_ids: tuple[str, ...]
    terms: SearchTerms


@dataclass(frozen=True)
class AmbiguousMatches:
    """
    Several requests match equally well, and not all of them can be this task's; or the only match is doubtful.

    :param resubmit: Whether the user chose to submit again then, and perhaps to pay twice.
    """

    request_ids: tuple[str, ...]
    resubmit: bool = False


@dataclass(frozen=True)
class NoMatch:
    """
    The history was read to its end, and has no matching request.

    :param is_conclusive: Whether it would have one, if there were a request. It is not known of workflows.
    :param resubmit: Whether the user chose to submit again if the history cannot tell, and perhaps to pay twice.
    """

    is_conclusive: bool = True
    resubmit: bool = False


@dataclass(frozen=True)
class HistoryUnreadable:
    """
    The history could not be read.

    :param resubmit: Whether the user chose to submit again then, and perhaps to pay twice.
    """

    trouble: SegmindError
    resubmit: bool = False


class SeenUnfinished(Occurrence):
    """The request is still running, or nobody has looked."""


@dataclass(frozen=True)
class SeenFailed:
    """The request has FAILED, and was not charged."""

    error: SegmindError


@dataclass(frozen=True)
class SeenCompleted:
    """The request is COMPLETED."""

    result: RequestReport


Event = (
    AttemptStarted
    | InputsReady
    | Accepted
    | TakenByAnother
    | NoAnswer
    | RateLimitReached
    | Refused
    | TurnCame
    | RecordChanged
    | MatchClaimed
    | MatchesTaken
    | AmbiguousMatches
    | NoMatch
    | HistoryUnreadable
    | SeenUnfinished
    | SeenFailed
    | SeenCompleted
    | HandedOver
    | OutputDelivered
    | OutputLost
)


def advance(state: State, event: Event) -> State:
    """
    Return the state that follows.

    :raises RuntimeError: If the event cannot happen in this state.
    """
    after: State = follow(TRANSITIONS, state, event)
    return after


class Unchanged(Enum):
    """Says that the stored record stays as it is."""

    UNCHANGED = "unchanged"


UNCHANGED = Unchanged.UNCHANGED


def record_to_store(before: State, event: Event, after: State) -> RequestRecord | Unchanged | None:
    """
    Return the record to store when a state is entered, before anything else happens in it.

    :return: None if no record holds any more; ``UNCHANGED`` if the stored one still does.
    """
    if isinstance(before, Submitting) and isinstance(event, (Refused, RateLimitReached)):
        return before.before
    if isinstance(after, Submitting):
        return after.intent
    if isinstance(after, Submitted):
        return after.record or UNCHANGED
    if isinstance(after, (Interrupted, Reattached)) and isinstance(event, AttemptStarted):
        return after.record if after.record != event.record else UNCHANGED
    return UNCHANGED


def _after_start(state: Idle, event: AttemptStarted) -> State:
    """
    Decide what an attempt does.

    It continues with what was submitted and not delivered, whatever its parameters render to now: a URL that a
    macro signs is another one in each attempt. Only a person clears a task, so other parameters after a clear may
    be meant. Whether they are worth another charge is for the user to say.
    """
    record, reason = event.record, ""
    if record is not None:
        continued = replace(record, max_tries=event.max_tries)
        is_given_up = record.is_named_in(event.given_up)
        if record.state is RecordState.SUBMITTING or record.request_id is None:
            return Interrupted(continued, is_given_up)
        if record.is_of_this_series(event.max_tries):
            return Reattached(record, record.request_id, is_given_up, state.rate_limited)
        is_as_before = not event.resubmit_changed or record.fingerprint == event.wanted
        if record.state is not RecordState.DELIVERED and is_as_before:
            return Reattached(continued, record.request_id, is_given_up, state.rate_limited)
        reason = (
            f"request {record.request_id} was delivered, and the task has been cleared since"
            if record.state is RecordState.DELIVERED
            else (
                "the task has been cleared, and its parameters have changed. It abandons request "
                f"{record.request_id}. {STILL_AVAILABLE}"
            )
        )
    return ReadyToSubmit(reason, rate_limited=state.rate_limited)


def _after_inputs(state: ReadyToSubmit, event: InputsReady) -> State:
    before, replaces = event.before, state.replaces
    earlier = () if replaces is None else (*replaces.earlier_sent_at, replaces.sent_at)
    intent = replace(
        event.intent,
        previous_id=(before.request_id or before.previous_id) if before is not None else None,
        earlier_sent_at=tuple(at for at in earlier if at > event.intent.sent_at - FORGET_AFTER),
    )
    return Submitting(intent, event.parameters, before, replaces, state.rate_limited)


def _after_rate_limit(state: ReadyToSubmit | Submitting, event: RateLimitReached) -> State:
    waiting = RateLimitedSubmit.after(
        event.error, event.now, event.timeout, previous=state.rate_limited, replaces=state.replaces
    )
    if waiting.is_overdue(event.now):
        return Failed(waiting.timeout_error(), is_unresolved=state.replaces is not None)
    return waiting


def _after_acceptance(state: Submitting, event: Accepted) -> State:
    return _submitted_state(event.request_id, state.intent.sent_at, state.intent)


def _submitted_state(request_id: str, sent_at: float, record: RequestRecord | None) -> Submitted:
    if record is not None:
        record = replace(
            record, state=RecordState.SUBMITTED, request_id=request_id, previous_id=None, earlier_sent_at=()
        )
    return Submitted(request_id, sent_at, record)


def _after_loss_to_another(state: Submitting, event: TakenByAnother) -> State:
    return _unresolved_submit(state, event.terms, event.request_id)


def _after_no_answer(state: Submitting, event: NoAnswer) -> State:
    return _unresolved_submit(state, event.terms)


def _unresolved_submit(state: Submitting, terms: SearchTerms, *others: str) -> UnresolvedSubmit:
    replaces = state.replaces
    ignored = (*others, *(replaces.ignored_ids if replaces is not None else ()))
    submits = replaces.submits + 1 if replaces is not None else 1
    return _unresolved_from_record(state.intent, terms, ignored, submits)


def _after_interruption(state: Interrupted, event: NoAnswer) -> State:
    return _unresolved_from_record(state.record, event.terms, (), is_given_up=state.is_given_up)


def _unresolved_from_record(
    record: RequestRecord,
    terms: SearchTerms,
    ignored: tuple[str, ...],
    submits: int = 1,
    *,
    is_given_up: bool = False,
) -> UnresolvedSubmit:
    previous = () if record.previous_id is None else (record.previous_id,)
    submit = UnresolvedSubmit(
        record.model,
        record.sent_fingerprint or "",
        sent_at=record.sent_at,
        accepted_by=record.sent_at + terms.answer_limit,
        search_from=0,
        search_until=0,
        ignored_ids=(*previous, *ignored),
        earlier_sent_at=record.earlier_sent_at,
        submits=submits,
        sent_digests=record.sent_digests,
        sent_media=record.sent_media,
        is_given_up=is_given_up,
    )
    return _with_search_times(submit, terms)


def _with_search_times(submit: UnresolvedSubmit, terms: SearchTerms) -> UnresolvedSubmit:
    search_from = submit.accepted_by if terms.is_mapped else terms.now
    # The user has looked for what is given up: a last look is to find what has come since.
    lag = 0 if submit.is_given_up else terms.history_lag
    return replace(
        submit,
        search_from=search_from,
        search_until=max(min(terms.now, submit.accepted_by) + lag, search_from, terms.now + 1),
        ignored_ids=tuple(sorted({*submit.ignored_ids, *terms.taken})),
    )


def _after_refusal(state: Submitting, event: Refused) -> State:
    return Failed(event.error, is_unresolved=state.replaces is not None)


def _after_turn(state: RateLimitedSubmit, _event: TurnCame) -> State:
    if state.replaces is None:
        return Idle(state)
    return ReadyToSubmit(replaces=state.replaces, rate_limited=state)


def _after_record_change(
    state: ReadyToSubmit | RateLimitedSubmit | UnresolvedSubmit, _event: RecordChanged
) -> State:
    if isinstance(state, ReadyToSubmit):
        return Idle(state.rate_limited)
    return Idle(state if isinstance(state, RateLimitedSubmit) else None)


def _after_claim(state: UnresolvedSubmit, event: MatchClaimed) -> State:
    return _submitted_state(event.request_id, state.sent_at, event.record)


def _after_taken_matches(state: UnresolvedSubmit, event: MatchesTaken) -> State:
    submit = replace(state, ignored_ids=(*state.ignored_ids, *event.request_ids))
    return _with_search_times(submit, event.terms)


def _after_ambiguity(state: UnresolvedSubmit, event: AmbiguousMatches) -> State:
    if event.resubmit or state.is_given_up:
        return _after_no_match(state, event)
    listed = ", ".join(event.request_ids[:MOST_LISTED])
    more = f" and {len(event.request_ids) - MOST_LISTED} more" if len(event.request_ids) > MOST_LISTED else ""
    error = SubmitUnresolvedError(
        f"{_submit_without_answer(state)}, and Segmind's history does not show which of these requests is its "
        f"own: {listed}{more}",
        submit=state.name,
        is_ambiguous=True,
    )
    return Failed(error, is_unresolved=True)


def _submit_without_answer(state: UnresolvedSubmit) -> str:
    return f"the submit to {state.model} at {state.name} had no clear answer"


def _after_no_match(state: UnresolvedSubmit, event: NoMatch | HistoryUnreadable | AmbiguousMatches) -> State:
    if isinstance(event, NoMatch) and not (event.is_conclusive or event.resubmit or state.is_given_up):
        error = SubmitUnresolvedError(
            f"{_submit_without_answer(state)}. The request history does not show it, but Segmind does not say "
            "whether runs of workflows are there: it may have been accepted, and charged",
            submit=state.name,
        )
        return Failed(error, is_unresolved=True)
    if state.submits >= MOST_SUBMITS:
        error = SubmitUnresolvedError(
            f"{state.submits} submits to {state.model} had no clear answer, the last one at {state.name}, and the "
            "request history shows neither",
            submit=state.name,
        )
        return Failed(error, is_unresolved=True)
    reason = "the request history does not show the submit without a clear answer"
    if state.is_given_up:
        reason = f"the submit at {state.name} is given up, as abandon_request says"
    return ReadyToSubmit(reason, replaces=state)


def _after_unreadable_history(state: UnresolvedSubmit, event: HistoryUnreadable) -> State:
    if event.resubmit or state.is_given_up:
        return _after_no_match(state, event)
    error = SubmitUnresolvedError(
        f"{_submit_without_answer(state)}, and the request history could not be searched: {event.trouble.detail}",
        submit=state.name,
    )
    return Failed(error, is_unresolved=True)


def _after_seen_failure(state: Reattached, _event: SeenFailed) -> State:
    reason = f"request {state.request_id} has failed, and was not charged"
    return ReadyToSubmit(reason, rate_limited=state.rate_limited)


def _after_seen_unfinished(state: Reattached, _event: SeenUnfinished) -> State:
    if state.is_given_up:
        reason = f"request {state.request_id} is given up, as abandon_request says. {STILL_AVAILABLE}"
        return ReadyToSubmit(reason, rate_limited=state.rate_limited)
    return Submitted(state.request_id, state.record.sent_at)


def _after_completion(_state: Reattached | Submitted, event: SeenCompleted) -> State:
    return Completed(event.result)


def _to(after: Callable[[Any, Any], State], *to: type[State]) -> Transition:
    return Transition(after, to)


TRANSITIONS: Mapping[tuple[type[State], type[Event]], Transition] = {
    (Idle, AttemptStarted): _to(_after_start, ReadyToSubmit, Interrupted, Reattached),
    (ReadyToSubmit, InputsReady): _to(_after_inputs, Submitting),
    (ReadyToSubmit, RecordChanged): _to(_after_record_change, Idle),
    (ReadyToSubmit, RateLimitReached): _to(_after_rate_limit, RateLimitedSubmit, Failed),
    (Submitting, Accepted): _to(_after_acceptance, Submitted),
    (Submitting, TakenByAnother): _to(_after_loss_to_another, UnresolvedSubmit),
    (Submitting, NoAnswer): _to(_after_no_answer, UnresolvedSubmit),
    (Submitting, RateLimitReached): _to(_after_rate_limit, RateLimitedSubmit, Failed),
    (Submitting, Refused): _to(_after_refusal, Failed),
    (RateLimitedSubmit, TurnCame): _to(_after_turn, Idle, ReadyToSubmit),
    (RateLimitedSubmit, RecordChanged): _to(_after_record_change, Idle),
    (Interrupted, NoAnswer): _to(_after_interruption, UnresolvedSubmit),
    (UnresolvedSubmit, MatchClaimed): _to(_after_claim, Submitted),
    (UnresolvedSubmit, MatchesTaken): _to(_after_taken_matches, UnresolvedSubmit),
    (UnresolvedSubmit, AmbiguousMatches): _to(_after_ambiguity, ReadyToSubmit, Failed),
    (UnresolvedSubmit, NoMatch): _to(_after_no_match, ReadyToSubmit, Failed),
    (UnresolvedSubmit, HistoryUnreadable): _to(_after_unreadable_history, ReadyToSubmit, Failed),
    (UnresolvedSubmit, RecordChanged): _to(_after_record_change, Idle),
    (Reattached, SeenFailed): _to(_after_seen_failure, ReadyToSubmit),
    (Reattached, SeenUnfinished): _to(_after_seen_unfinished, ReadyToSubmit, Submitted),
    (Reattached, SeenCompleted): _to(_after_completion, Completed),
    (Submitted, SeenCompleted): _to(_after_completion, Completed),
    **ENDINGS,
}
