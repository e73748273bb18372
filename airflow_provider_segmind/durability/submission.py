"""Getting a task instance its one request, whatever became of the tries before."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from airflow.providers.common.compat.sdk import Stats

from airflow_provider_segmind.api.answers import RequestReport
from airflow_provider_segmind.api.awaited_turn import AwaitedTurn, turn_after
from airflow_provider_segmind.api.fingerprint import fingerprint
from airflow_provider_segmind.api.locations import without_login
from airflow_provider_segmind.api.resolve import LATEST_ROW, LostSubmit, Traces
from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.durability.claims import Claims
from airflow_provider_segmind.durability.record import (
    Reattach,
    RecordState,
    RequestRecord,
    Resolve,
    Submit,
    next_step,
)
from airflow_provider_segmind.durability.store import RecordStore
from airflow_provider_segmind.exceptions import (
    RateLimitedError,
    RequestFailedError,
    SegmindError,
    SubmitUnresolvedError,
)
from airflow_provider_segmind.hooks.segmind import SegmindHook
from airflow_provider_segmind.hooks.waiting import look_at
from airflow_provider_segmind.lineage.metrics import count_by_name
from airflow_provider_segmind.media.inputs import Inputs

MOST_ATTEMPTS = 2
"""How often one try submits at most: once, and once more if the history shows that the first was lost."""

LATEST_SURPRISE = 3600.0
"""Seconds after which a submit that the history did not show is no longer looked for."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PaidRequest:
    """
    The request of a task instance.

    :param result: Its result, if it is COMPLETED already and was looked at.
    """

    request_id: str
    submitted_at: float
    result: RequestReport | None = None


Begun = PaidRequest | LostSubmit | AwaitedTurn
"""What a submission has come to: its request, or what has to be waited for first."""


class Submission:
    """
    One request for one task instance: submitted, or found again.

    The intent is written before the submit and the id at once after it, so that whatever dies in between, the
    next try knows that a request may exist and looks for it instead of submitting again.

    :param check_output: Is called before each submit: raises if its output could not be stored.
    :param max_tries: The task's of this moment.
    :param timeout: Seconds for which to wait for a turn, if a submit is refused for the key's rate limit.
    :param look: Whether to look at a request that is found again, and to replace it if it failed.
    :param resubmit_unresolved: Submit anew if the history cannot tell whether a lost submit was accepted.
    :ivar open: Whether there may be a request whose id is not known.
    :ivar accepted: The id of the request that was submitted or found.
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
    ) -> None:
        self._hook = hook
        self._store = store
        self._claims = claims
        self._inputs = inputs
        self._model = inputs.model
        self._check_output = check_output
        self._max_tries = max_tries
        self._timeout = timeout
        self._look = look
        self._resubmit_unresolved = resubmit_unresolved
        self.open = False
        self.accepted: str | None = None

    def begin(self, turn: AwaitedTurn | None = None) -> Begun:
        """
        Return this try's request: that of the tries before, or a new one.

        :param turn: What was waited for since a submit was refused, if one was.
        :raises SegmindError: If there can be none.
        """
        self._store.say_what_is_missing()
        record = self._store.read()
        step = next_step(record, self._wanted(record), self._max_tries)
        if isinstance(step, Submit):
            if step.reason:
                log.info("Submitting again: %s", step.reason)
            return self._submitted(turn)
        if record is not None:
            self._carry_on(record)
        if isinstance(step, Resolve):
            log.warning("An earlier attempt was submitting when it ended. Looking for its request.")
            return self._lost(step.sent or "", step.at, step.earlier, 1, step.previous)
        return self._reattached(step) if self._look else PaidRequest(step.request_id, step.submitted_at)

    def take(self, turn: AwaitedTurn) -> Begun:
        """Submit, now that the key's turn has come."""
        if turn.lost is None or self._moved_on_from(turn.lost):
            return self.begin(turn)
        return self._submitted(turn, turn.lost)

    def settle(self, submit: LostSubmit, traces: Traces) -> Begun:
        """
        Return the request, now that the history has been searched for a lost submit.

        :raises SubmitUnresolvedError: If the history cannot tell, and nobody said to submit anew then.
        """
        self.open = True
        if self._moved_on_from(submit):
            return self.begin()
        free = self._claims.claimed(traces.request_ids)
        if free is not None:
            self._count("adopted")
            log.info("Request %s is the one whose answer was lost; going on with it", free)
            return self._kept(self._store.read(), free, submit.at)
        if traces.request_ids:
            log.info("All requests found belong to others; looking for one more")
            ignore = (*submit.ignore, *traces.request_ids)
            return self._lost(submit.fingerprint, submit.at, submit.earlier, submit.attempt, *ignore)
        if traces.trouble is not None and not self._resubmit_unresolved:
            raise SubmitUnresolvedError(
                f"a submit to {self._model} had no clear answer, and the request history could not help: "
                f"{traces.trouble.detail}"
            )
        if submit.attempt >= MOST_ATTEMPTS:
            raise SubmitUnresolvedError(
                f"{submit.attempt} submits to {self._model} had no clear answer, and the history shows neither"
            )
        log.warning("Segmind's history does not show the submit whose answer was lost; submitting anew")
        return self._submitted(None, submit)

    def _moved_on_from(self, submit: LostSubmit) -> bool:
        """
        Whether the record is no longer of this submit.

        Nothing promises that Airflow takes a task up only once with the same event: the first to do so may have
        submitted, and died.
        """
        if not self._store.remembers:
            return False
        record = self._store.read()
        return (
            record is None
            or record.state is not RecordState.SUBMITTING
            or not math.isclose(record.at, submit.at, rel_tol=0, abs_tol=0.001)
        )

    def _carry_on(self, record: RequestRecord) -> None:
        """Continue with a record: the attempts after this one are its retries, unless somebody clears the task."""
        if not record.is_of_this_series(self._max_tries):
            self._store.write(replace(record, max_tries=self._max_tries))
        now = self._inputs.digests
        names = sorted({*record.digests, *now}, key=str)
        changed = [name for name in names if record.digests.get(name) != now.get(name)] if record.digests else []
        if changed:
            log.info(
                "Continuing with what was submitted, though these parameters have changed since: %s",
                one_line(", ".join(changed)),
            )

    def _reattached(self, step: Reattach) -> Begun:
        try:
            found = look_at(step.request_id, time.time() - step.submitted_at, self._hook)
        except RequestFailedError as failed:
            log.info("Submitting anew: %s", failed)
            self._store.forget_uploads()  # it may have failed because one is gone
            return self._submitted()
        result = found if isinstance(found, RequestReport) else None
        self._count("recovered" if result is not None and result.from_history else "reattached")
        log.info("Going on with request %s of an earlier try", step.request_id)
        return PaidRequest(step.request_id, step.submitted_at, result)

    def _submitted(self, turn: AwaitedTurn | None = None, lost: LostSubmit | None = None) -> Begun:
        """
        Submit.

        :param turn: What was waited for since the last refusal, if there was one.
        :param lost: The submit in whose place this one is made, if there is one.
        """
        self._check_output()
        try:
            parameters = self._uploaded()
        except RateLimitedError as error:
            return self._turn_after(error, turn, lost)
        sent = fingerprint(self._model, parameters)
        now = time.time()
        attempt = 1 if lost is None else lost.attempt + 1
        ignore = () if lost is None else lost.ignore
        before_it = () if lost is None else (*lost.earlier, lost.at)
        earlier = tuple(at for at in before_it if at > now - LATEST_SURPRISE)
        before = self._store.read()
        previous = (before.request_id or before.previous) if before is not None else None
        intent = RequestRecord(
            RecordState.SUBMITTING,
            self._model,
            self._inputs.fingerprint,
            now,
            max_tries=self._max_tries,
            previous=previous,
            earlier=earlier,
            given=self._inputs.given,
            sent=sent,
            digests=self._inputs.digests,
        )
        self._store.write(intent)
        self.open = True
        try:
            accepted = self._hook.submit(self._model, parameters)
        except SubmitUnresolvedError as error:
            self._count("unresolved")
            log.warning("%s Looking for it in the request history.", error)
            return self._lost(sent, now, earlier, attempt, previous, *ignore)
        except SegmindError as error:
            self.open = lost is not None
            self._store.put_back(before)
            if not isinstance(error, RateLimitedError):
                raise
            return self._turn_after(error, turn, lost)
        self._count("submitted")
        log.info("Submitted request %s to %s", accepted.request_id, self._model)
        if self._claims.claimed_by_another(accepted.request_id):
            log.warning(
                "Another instance took request %s for its own lost one; looking for that", accepted.request_id
            )
            return self._lost(sent, now, earlier, attempt, accepted.request_id, previous, *ignore)
        return self._kept(intent, accepted.request_id, now)

    def _turn_after(
        self, refusal: RateLimitedError, before: AwaitedTurn | None, lost: LostSubmit | None
    ) -> AwaitedTurn:
        log.info("Not submitted, and not charged: %s Waiting for a turn.", refusal)
        return turn_after(refusal, before, lost, self._timeout, time.time())

    def _kept(self, intent: RequestRecord | None, request_id: str, at: float) -> PaidRequest:
        self.open, self.accepted = False, request_id
        if intent is not None:
            self._store.write(
                replace(intent, state=RecordState.SUBMITTED, request_id=request_id, previous=None, earlier=())
            )
        return PaidRequest(request_id, at)

    def _wanted(self, record: RequestRecord | None) -> str:
        """
        Return the fingerprint of what this attempt is asked for, if that matters.

        A file may be gone by now whose video has been paid for: a retry need not read it, and after a clear its
        name has to do.
        """
        if (
            record is None
            or record.state is not RecordState.SUBMITTED
            or record.is_of_this_series(self._max_tries)
        ):
            return ""
        try:
            return self._inputs.fingerprint
        except SegmindError as error:
            if record.given != self._inputs.given:
                raise
            log.warning("%s Going by what was submitted before, from the same place.", error)
            return record.fingerprint

    def _uploaded(self) -> Mapping[str, Any]:
        """Return the parameters as Segmind gets them. What was uploaded for this task before is not again."""
        if not self._inputs.files:
            return self._inputs.sent({})
        urls = self._store.uploads()
        for location, file in self._inputs.files.items():
            if file.sha256 not in urls:
                (urls[file.sha256],) = self._hook.upload([file.data_url()])
                self._store.keep_uploads({file.sha256: urls[file.sha256]})
                log.info("Uploaded %s as %s", one_line(without_login(location)), urls[file.sha256])
        self._inputs.release()
        return self._inputs.sent(urls)

    def _lost(
        self, sent: str, at: float, earlier: tuple[float, ...], attempt: int, *ignore: str | None
    ) -> LostSubmit:
        """
        Return what to look for.

        :param sent: The fingerprint of what Segmind got.

        Instances of a mapped task first let the answers to each other's submits come in, or one might take a
        request whose id is still on its way to another.
        """
        self.open = True
        now = time.time()
        latest = at + self._hook.patience
        not_before = latest if self._claims.mapped else now
        others = {*self._claims.taken(), *ignore} - {None}
        return LostSubmit(
            self._model,
            sent,
            at=at,
            latest=latest,
            not_before=not_before,
            deadline=max(min(now, latest) + LATEST_ROW, not_before, now + 1),
            ignore=tuple(sorted(map(str, others))),
            earlier=earlier,
            attempt=attempt,
        )

    def _count(self, what: str) -> None:
        """Count what became of a submit. A metric that cannot be sent must not lose the id of a paid request."""
        name = f"segmind.{what}"
        try:
            Stats.incr(name, tags={"model": self._model})
        except Exception:
            log.exception("Airflow could not send the metric %s", name)
        count_by_name(name, self._model)
