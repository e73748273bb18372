"""Doing what the state machine in ``lifecycle`` asks for, up to a wait: reading, storing, submitting, claiming."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from airflow_provider_segmind.api.answers import RequestReport
from airflow_provider_segmind.api.follow import Unfinished
from airflow_provider_segmind.api.rate_limited_submit import RateLimitedSubmit
from airflow_provider_segmind.api.request_ids import submit_name
from airflow_provider_segmind.api.text import one_line, without_login
from airflow_provider_segmind.api.unresolved_submit import HISTORY_LAG, UnresolvedSubmit
from airflow_provider_segmind.api.usual_duration import latest_usual_duration, variant_of
from airflow_provider_segmind.compat import Stats
from airflow_provider_segmind.durability.claims import Claims
from airflow_provider_segmind.durability.ending import Completed, Submitted
from airflow_provider_segmind.durability.lifecycle import (
    Accepted,
    AmbiguousMatches,
    AttemptStarted,
    Event,
    Failed,
    HistoryUnreadable,
    Idle,
    InputsReady,
    Interrupted,
    MatchClaimed,
    MatchesTaken,
    NoAnswer,
    NoMatch,
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
    Submitting,
    TakenByAnother,
    TurnCame,
    Unchanged,
    advance,
    record_to_store,
)
from airflow_provider_segmind.durability.limits import LONGEST_RESERVATION
from airflow_provider_segmind.durability.record import RecordState, RequestRecord
from airflow_provider_segmind.durability.store import RecordStore
from airflow_provider_segmind.exceptions import (
    PASSING_TROUBLE,
    RateLimitedError,
    RecordUnavailableError,
    RequestExpiredError,
    RequestFailedError,
    SegmindError,
    SubmitUnresolvedError,
)
from airflow_provider_segmind.hooks.driving import poll_request
from airflow_provider_segmind.lineage.metrics import count_by_name
from airflow_provider_segmind.media.inputs import Inputs

if TYPE_CHECKING:
    from airflow_provider_segmind.api.history_search import Confidence, HistoryMatches
    from airflow_provider_segmind.durability.spending import Spending
    from airflow_provider_segmind.hooks.segmind import SegmindHook

SubmissionStep = Submitted | Completed | RateLimitedSubmit | UnresolvedSubmit
"""What a submission has come to: the task's request, or what has to be waited for first."""

log = logging.getLogger(__name__)


class Submission:
    """
    The one request of a task instance: submitted now, or found again.

    :param check_output: Is called before each submit, and raises if there must be none: if the output could not be
        stored, say.
    :param max_tries: The task's at this moment.
    :param timeout: Seconds for which to wait for a turn, if a submit is refused for the key's rate limit.
    :param look: Whether to look at a request of an earlier attempt, and to replace it if it failed.
    :param resubmit_unresolved: Whether to submit again if the history cannot tell what became of a submit.
    :param resubmit_changed: Whether to submit again if the task was cleared and its parameters have changed,
        though a request with the former ones is paid for and not delivered.
    :param expected_duration: Seconds that a request usually takes, if the user said so.
    :param given_up: Returns what the user has given up, as ``abandon_request`` names it. Is asked only if there is
        something to give up.
    :param is_workflow: Whether it is a run of a workflow. A history without it says nothing then.
    :param spending: What the task may still spend; None for a task without a limit.
    :ivar state: Where the request is in its life, see :mod:`airflow_provider_segmind.durability.lifecycle`.
    """

    def __init__(
        self,
        hook: SegmindHook,
        store: RecordStore,
        claims: Claims,
        inputs: Inputs,
        *,
        max_tries: int,
        timeout: float,
        check_output: Callable[[], object] = lambda: None,
        look: bool = True,
        resubmit_unresolved: bool = False,
        resubmit_changed: bool = False,
        expected_duration: float | None = None,
        given_up: Callable[[], Collection[str]] = tuple,
        is_workflow: bool = False,
        spending: Spending | None = None,
    ) -> None:
        self._hook = hook
        self._store = store
        self._claims = claims
        self._inputs = inputs
        self._model = inputs.model
        self._is_workflow = is_workflow
        self._spending = spending
        self._check_output = check_output
        self._max_tries = max_tries
        self._timeout = timeout
        self._should_look = look
        self._resubmit_unresolved = resubmit_unresolved
        self._resubmit_changed = resubmit_changed
        self._expected_duration = expected_duration
        self._read_names_given_up = given_up
        self.state: State = Idle()
        self._accepted: str | None = None
        self._has_turn = False
        self._record: RequestRecord | None = None

    def start(self) -> SubmissionStep:
        """
        Submit the task's request, or find the one of an earlier attempt. A submit is a charge.

        :raises SegmindError: If there can be none.
        """
        self._store.log_what_is_missing()
        return self._run()

    def continue_rate_limited(self, submit: RateLimitedSubmit, *, has_turn: bool = True) -> SubmissionStep:
        """
        Submit, now that the key may submit again. The same errors.

        :param has_turn: Whether a trigger has waited for the turn in the key's queue.
        """
        self.state = submit
        self._has_turn = has_turn
        moved_on = submit.replaces is not None and self._has_moved_on(submit.replaces)
        return self._run(RecordChanged() if moved_on else TurnCame())

    def continue_unresolved(self, submit: UnresolvedSubmit, matches: HistoryMatches) -> SubmissionStep:
        """
        Take the request that the history has, or submit again if it has none. The same errors.

        :raises SubmitUnresolvedError: If the history cannot tell.
        """
        self.state = submit
        return self._run(self._identify(submit, matches))

    @property
    def request_id(self) -> str | None:
        """The id of the request, as soon as Segmind has accepted it or the history has shown it."""
        return self.state.request_id if isinstance(self.state, (Submitted, Reattached)) else self._accepted

    @property
    def is_unresolved(self) -> bool:
        """Whether there may be a request whose id is not known."""
        state = self.state
        if isinstance(state, Failed):
            return state.is_unresolved
        if isinstance(state, (ReadyToSubmit, RateLimitedSubmit)):
            return state.replaces is not None
        return isinstance(state, (Submitting, Interrupted, UnresolvedSubmit))

    def _run(self, event: Event | None = None) -> SubmissionStep:
        """Go from state to state until one of them has to wait."""
        if event is not None:
            self._enter(event)
        while not isinstance(self.state, SubmissionStep):
            self._enter(self._perform(self.state))
        return self.state

    def _enter(self, event: Event) -> None:
        """Store what the next state has to leave for the next attempt, before anything else happens in it."""
        state = advance(self.state, event)
        record = record_to_store(self.state, event, state)
        if not isinstance(record, Unchanged):
            self._store_record(record)
        self.state = state
        if isinstance(state, Failed):
            raise state.error
        if isinstance(state, (Interrupted, Reattached)):
            self._log_changed_parameters(state.record)

    def _perform(self, state: State) -> Event:
        """Do what a state asks for."""
        if isinstance(state, Idle):
            record = self._read_record()
            return AttemptStarted(
                record,
                self._read_wanted(record),
                self._max_tries,
                self._resubmit_changed,
                self._read_given_up(record),
            )
        if isinstance(state, ReadyToSubmit):
            return self._prepare(state)
        if isinstance(state, Submitting):
            return self._submit(state)
        if isinstance(state, Interrupted):
            log.warning(
                "An earlier attempt ended while it was submitting. %s",
                "Looking for its request once more, as abandon_request gives it up."
                if state.is_given_up
                else "Searching for its request.",
            )
            return NoAnswer(self._search_terms())
        if isinstance(state, Reattached):
            return self._look(state)
        raise RuntimeError(f"nothing is to be done in the state {type(state).__name__}")

    def _prepare(self, state: ReadyToSubmit) -> Event:
        if state.reason:
            log.info("Submitting again: %s", state.reason)
        self._check_output()
        self._check_spending()
        try:
            urls = self._upload_files()
            has_turn, self._has_turn = self._has_turn, False
            self._hook.wait_to_submit(has_turn=has_turn)  # before the intent: a wait may be interrupted
        except RateLimitedError as error:
            return self._rate_limit_reached(error)
        sent_at = time.time()
        self._reserve(sent_at)
        if self._has_been_overtaken():
            log.warning("Another attempt of this task has submitted meanwhile. Going by what it has written down.")
            if self._spending is not None:
                self._spending.free(submit=submit_name(sent_at))
            return RecordChanged()
        sent = self._inputs.sent(urls)
        self._store.describe_parameters(self._inputs.parameters)
        intent = RequestRecord(
            RecordState.SUBMITTING,
            self._model,
            self._inputs.fingerprint,
            sent_at=sent_at,
            max_tries=self._max_tries,
            written_fingerprint=self._inputs.given,
            sent_fingerprint=sent.fingerprint,
            digests=self._inputs.digests,
            sent_digests=sent.digests,
            sent_media=sent.media,
        )
        return InputsReady(intent, self._inputs.with_urls(urls), self._record)

    def _check_spending(self) -> None:
        """Check before anything is uploaded that a request is within the limits."""
        if self._spending is None:
            return
        # Without a record, no attempt has come as far as its intent.
        was_never_sent = self._record is None and self._store.remembers
        self._spending.check(self._model, variant_of(self._inputs.parameters), free_unaccepted=was_never_sent)

    def _reserve(self, sent_at: float) -> None:
        """Reserve what the submit may cost: before the intent, which the next attempt would search for."""
        if self._spending is None:
            return
        submit = submit_name(sent_at)
        self._spending.reserve(submit, self._model, variant_of(self._inputs.parameters))
        if time.time() - sent_at > LONGEST_RESERVATION:  # a search looks for a request of that time
            self._spending.free(submit=submit)
            raise RecordUnavailableError("writing down what the request may cost took too long")

    def _submit(self, state: Submitting) -> Event:
        """Send the POST, and note what it may cost or that it costs nothing."""
        event = self._send(state)
        if self._spending is not None:
            submit = submit_name(state.intent.sent_at)
            if isinstance(event, Accepted):
                self._spending.accept(submit, event.request_id)
            elif isinstance(event, (Refused, RateLimitReached)):
                self._spending.free(submit=submit)
        return event

    def _send(self, state: Submitting) -> Event:
        """Send the POST. It is the charge."""
        try:
            submit = self._hook.submit_workflow if self._is_workflow else self._hook.submit
            accepted = submit(self._model, state.parameters)
        except SubmitUnresolvedError as error:
            self._count("unresolved")
            terms = self._search_terms()
            log.warning(
                "%s. Looking for it in the request history. %s is certain after %.0f s; "
                "expected_duration can shorten that.",
                error.facts,
                "That it is not there" if self._is_workflow else "That it was never accepted",
                terms.history_lag,
            )
            return NoAnswer(terms)
        except RateLimitedError as error:
            return self._rate_limit_reached(error)
        except SegmindError as error:
            return Refused(error)
        self._accepted = accepted.request_id
        self._count("submitted")
        log.info("Submitted request %s to %s", accepted.request_id, self._model)
        if self._claims.is_claimed_by_another(accepted.request_id):
            log.warning(
                "Another instance took request %s for its own. Looking for the request of that instance.",
                accepted.request_id,
            )
            self._accepted = None
            return TakenByAnother(accepted.request_id, self._search_terms())
        return Accepted(accepted.request_id)

    def _rate_limit_reached(self, error: RateLimitedError) -> RateLimitReached:
        log.info("Not submitted, and not charged: %s. Waiting for a turn.", error.facts)
        return RateLimitReached(error, time.time(), self._timeout)

    def _look(self, state: Reattached) -> Event:
        """Look at the request of an earlier attempt: it may have failed, and then nothing was charged."""
        if not self._should_look:
            return SeenUnfinished()
        try:
            found = poll_request(state.request_id, time.time() - state.record.sent_at, self._hook)
        except RequestFailedError as error:
            self._store.forget_uploads()  # it may have failed because one is gone
            if self._spending is not None:
                self._spending.free(request_id=state.request_id)
            return SeenFailed(error)
        except RequestExpiredError:
            if state.is_given_up:
                return SeenUnfinished()
            raise
        if state.is_given_up and isinstance(found, Unfinished):
            if isinstance(found.trouble, PASSING_TROUBLE):
                # It may be COMPLETED by now. Another attempt may see that, and get its result for nothing.
                log.warning(
                    "Request %s is not given up yet: Segmind does not say what became of it", state.request_id
                )
                raise found.trouble
            return SeenUnfinished()
        if state.is_given_up:
            log.warning("Request %s is not given up: it is COMPLETED, and was charged", state.request_id)
        self._count("recovered" if isinstance(found, RequestReport) and found.from_history else "reattached")
        log.info("Continuing with request %s of an earlier attempt", state.request_id)
        return SeenCompleted(found) if isinstance(found, RequestReport) else SeenUnfinished()

    def _identify(self, submit: UnresolvedSubmit, matches: HistoryMatches) -> Event:
        """Find out whether one of the matches is this task's, and claim it."""
        if self._has_moved_on(submit):
            return RecordChanged()
        free = self._claims.free(matches.request_ids)
        if self._is_ambiguous(submit, free, matches.confidence):
            return AmbiguousMatches(free, self._resubmit_unresolved)
        request_id = self._claims.claim_first_free(free)
        if request_id is not None:
            self._count("resolved")
            log.info(
                "The unresolved submit became request %s (%s). Continuing with it.",
                request_id,
                matches.confidence.reason,
            )
            if self._spending is not None:
                self._spending.accept(submit.name, request_id)
            return MatchClaimed(request_id, self._record)
        if matches.request_ids:
            log.info("All matching requests belong to other instances of the task. Searching again.")
            return MatchesTaken(matches.request_ids, self._search_terms())
        if matches.trouble is not None:
            return HistoryUnreadable(matches.trouble, self._resubmit_unresolved)
        if self._spending is not None and not (self._is_workflow or submit.is_given_up):
            self._spending.free(submit=submit.name)  # Segmind has never accepted it
        return NoMatch(is_conclusive=not self._is_workflow, resubmit=self._resubmit_unresolved)

    def _is_ambiguous(self, submit: UnresolvedSubmit, free: Sequence[str], confidence: Confidence) -> bool:
        """
        Whether taking one of these requests might be taking another's.

        Instances of a mapped task may take any request with the same inputs: each still gets the right video.
        """
        from airflow_provider_segmind.api.history_search import Confidence  # few submits are searched for

        if confidence is Confidence.DOUBTFUL:
            return bool(free)
        if confidence is Confidence.CERTAIN and self._claims.is_mapped:
            return False
        return len(free) > len(submit.earlier_sent_at) + 1

    def _has_moved_on(self, submit: UnresolvedSubmit) -> bool:
        """Whether the record is no longer of this submit."""
        if not self._store.remembers:
            return False
        record = self._read_record()
        return (
            record is None
            or record.state is not RecordState.SUBMITTING
            or not math.isclose(record.sent_at, submit.sent_at, rel_tol=0, abs_tol=0.001)
        )

    def _read_given_up(self, record: RequestRecord | None) -> frozenset[str]:
        """Return what the user has given up, if the task has something to give up."""
        own = record.undelivered_name if record is not None else None
        if record is None or own is None:
            return frozenset()
        names = frozenset(self._read_names_given_up())
        if names and not record.is_named_in(names):
            log.info("Nothing is given up: abandon_request does not name what this task has, which is %s", own)
        return names

    def _has_been_overtaken(self) -> bool:
        """
        Whether another attempt has written a record since this one read it.

        Uploads take time, and an attempt that Airflow took for dead may still be at work.
        """
        read = self._record
        return _what_was_submitted(read) != _what_was_submitted(self._read_record())

    def _read_record(self) -> RequestRecord | None:
        self._record = self._store.read()
        return self._record

    def _store_record(self, record: RequestRecord | None) -> None:
        if record is None:
            self._store.forget()
        else:
            self._store.write(record)
        self._record = record if self._store.remembers else None

    @property
    def _reservation_limit(self) -> float:
        """Seconds that a submit may be sent after the time by which it is named."""
        return LONGEST_RESERVATION if self._spending is not None and self._spending.is_limited else 0.0

    def _search_terms(self) -> SearchTerms:
        return SearchTerms(
            now=time.time(),
            answer_limit=self._hook.submit_duration_limit + self._reservation_limit,
            history_lag=HISTORY_LAG
            + latest_usual_duration(self._model, self._inputs.parameters, self._expected_duration),
            is_mapped=self._claims.is_mapped,
            taken=frozenset(self._claims.read_taken_ids()),
        )

    def _log_changed_parameters(self, record: RequestRecord) -> None:
        now = self._inputs.digests
        names = sorted({*record.digests, *now})
        changed = [name for name in names if record.digests.get(name) != now.get(name)] if record.digests else []
        if changed:
            log.info(
                "Continuing with what was submitted, though these parameters have changed since: %s",
                one_line(", ".join(changed)),
            )

    def _read_wanted(self, record: RequestRecord | None) -> str:
        """
        Return the fingerprint of what this attempt is asked for, if that matters.

        A file whose video has been paid for may be gone by now: a retry need not read it, and after a clear its
        location decides.
        """
        if (
            record is None
            or not self._resubmit_changed
            or record.state is not RecordState.SUBMITTED
            or record.is_of_this_series(self._max_tries)
        ):
            return ""
        try:
            return self._inputs.fingerprint
        except SegmindError as error:
            if record.written_fingerprint != self._inputs.given:
                raise
            log.warning("%s. Going by what was submitted before, from the same location.", error.facts)
            return record.fingerprint

    def _upload_files(self) -> Mapping[str, str]:
        """
        Return the URL of each file, by the digest of its content.

        A file that was uploaded for this task is not uploaded again.
        """
        if not self._inputs.files:
            return {}
        urls = self._store.read_uploads()
        for location, file in self._inputs.files.items():
            if file.sha256 not in urls:
                (urls[file.sha256],) = self._hook.upload([file.data_url()])
                self._store.keep_uploads({file.sha256: urls[file.sha256]})
                log.info("Uploaded %s as %s", one_line(without_login(location)), urls[file.sha256])
        self._inputs.release()
        return urls

    def _count(self, what: str) -> None:
        """Count what became of a submit. A metric that cannot be sent must not lose the id of a paid request."""
        name = f"segmind.{what}"
        try:
            Stats.incr(name, tags={"model": self._model})
        except Exception:
            log.exception("Airflow could not send the metric %s", name)
        count_by_name(name, self._model)


def _what_was_submitted(record: RequestRecord | None) -> tuple[object, ...] | None:
    return None if record is None else (record.state, record.request_id, record.sent_at)
