"""
What a task of SegmindInferenceOperator does when it runs: submit, wait, deliver, or fail in the way that fits.

It is apart from the operator because parsing a DAG needs none of it: the transports, the record, the storages.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Protocol

from airflow_provider_segmind.api.follow import FollowedRequest
from airflow_provider_segmind.api.history_search import search_history
from airflow_provider_segmind.api.moments import utc
from airflow_provider_segmind.api.rate_limited_submit import RateLimitedSubmit
from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.api.unresolved_submit import UnresolvedSubmit
from airflow_provider_segmind.api.usual_duration import variant_of
from airflow_provider_segmind.compat import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    TaskDeferred,
)
from airflow_provider_segmind.delivery import (
    REQUEST_ID_KEY,
    RETRY_PAYS_AGAIN,
    push_request_id,
    push_result,
    push_summary,
    push_summary_of_kept,
    raise_task_failure,
)
from airflow_provider_segmind.durability.lifecycle import (
    Completed,
    HandedOver,
    OutputDelivered,
    OutputLost,
    Submitted,
)
from airflow_provider_segmind.durability.store import RecordStore
from airflow_provider_segmind.durability.submission import SubmissionStep
from airflow_provider_segmind.exceptions import (
    BROKEN_DEFERRAL,
    HISTORY,
    INTERRUPTED,
    InvalidParameterError,
    OutputGoneError,
    RequestExpiredError,
    RequestFailedError,
    SegmindError,
    SubmitUnresolvedError,
    UnusableOutputError,
    runbook,
    still_running,
)
from airflow_provider_segmind.hooks.driving import drive, fetch_completed, log_wait, wait_for, wait_shortly
from airflow_provider_segmind.lineage.assets import add_asset_extras, suppress_asset_events
from airflow_provider_segmind.lineage.delivered import Delivered
from airflow_provider_segmind.lineage.metrics import count_failure, count_once
from airflow_provider_segmind.media.existing_outputs import paths_of
from airflow_provider_segmind.media.inputs import Inputs
from airflow_provider_segmind.operators.execution import Execution, OutputKept
from airflow_provider_segmind.operators.options import Options
from airflow_provider_segmind.triggers.base import SegmindTrigger
from airflow_provider_segmind.triggers.deferral import deferral_timeout, earliest_event
from airflow_provider_segmind.triggers.events import (
    LargeResult,
    is_for_an_earlier_attempt,
    read_event,
    read_rate_limit_event,
    read_search_event,
)
from airflow_provider_segmind.triggers.rate_limit import SegmindRateLimitTrigger
from airflow_provider_segmind.triggers.request import SegmindRequestTrigger
from airflow_provider_segmind.triggers.unresolved_submit import SegmindUnresolvedSubmitTrigger

if TYPE_CHECKING:
    from airflow_provider_segmind.api.answers import RequestReport
    from airflow_provider_segmind.api.history_search import HistoryMatches
    from airflow_provider_segmind.compat import Context
    from airflow_provider_segmind.hooks.segmind import SegmindHook

_NOTHING_MORE_TO_GET = (RequestExpiredError, UnusableOutputError, OutputGoneError)
"""Errors after which going on with the same request cannot help: a cleared task submits another."""

_MEANT = (AirflowFailException, AirflowSkipException, TaskDeferred)
"""What ends an execution as it should."""

_STILL_RUNNING = still_running(RETRY_PAYS_AGAIN)
_MAY_BE_CHARGED = f"It may have been charged: look in {HISTORY} before you clear the task."
_PERHAPS_PAID = (
    f"If the task's log reports a submit without a clear answer, look for it in {HISTORY}; if not, nothing was "
    "charged. Then clear the task."
)


log = logging.getLogger(__name__)


class InferenceTask(Protocol):
    """What a run needs of its operator: the arguments, as they were rendered, and what Airflow gives each task."""

    task_id: str
    model: str
    segmind_conn_id: str
    durable: bool
    output_path: str | None
    output_conn_id: str | None
    do_xcom_push: bool
    outlets: list[Any]
    output_kinds: ClassVar[tuple[str, ...]]
    is_workflow: ClassVar[bool]

    @property
    def hook(self) -> SegmindHook:
        """The hook for the task's connection."""

    @property
    def log(self) -> Any:
        """The task's logger."""

    def model_parameters(self) -> Mapping[str, Any]:
        """Return the model's parameters, as they go to Segmind."""

    def output_of(self, result: RequestReport) -> Any:
        """Return the task's return value."""

    def output_name(self) -> str | None:
        """Return the name of the output, as far as it comes from a parameter."""

    def defer(self, *, trigger: Any, method_name: str, timeout: Any) -> NoReturn:
        """Free the worker until a trigger has ended its wait."""


class InferenceRun:
    """
    One run of a task: from its start, or from an event of its trigger, to a deferral or its end.

    :param task: The operator, whose templates have been rendered.
    :ivar request_id: The task's request, as soon as it is known.
    :ivar finished: What the task has got, once it has.
    """

    def __init__(self, task: InferenceTask, context: Context) -> None:
        self._task = task
        self._context = context
        self.request_id: str | None = None
        self.finished: Delivered | None = None

    def start(self) -> Any:
        """Submit, or continue with the request of an earlier attempt; then wait as asked for."""
        with self._failing() as execution:
            return self._continue(execution, execution.submission.start)

    def continue_after_rate_limit(self, event: Any) -> Any:
        """Continue when the key may submit again."""
        with self._failing() as execution:
            submit = read_rate_limit_event(event)
            execution.has_warned = True  # before its submit was held back
            return self._continue(execution, lambda: execution.submission.continue_rate_limited(submit))

    def continue_after_search(self, event: Any) -> Any:
        """Continue when the history has been searched for an unresolved submit."""
        with self._failing(may_be_paid=True) as execution:
            submit, matches = read_search_event(event)
            return self._continue(execution, lambda: execution.submission.continue_unresolved(submit, matches))

    def complete(self, event: Any) -> Any:
        """Continue when the trigger has seen the request's end."""
        with self._failing(may_be_paid=True) as execution:
            found = read_event(event)
            if isinstance(found, LargeResult):
                self.request_id = found.request_id
                found = fetch_completed(found.request_id, self._task.hook)
            return self._deliver(execution, Completed(found))

    def is_of_an_earlier_attempt(self, next_kwargs: Mapping[str, Any] | None) -> bool:
        """Whether Airflow resumes the task with what has ended an earlier attempt: this one starts over."""
        return is_for_an_earlier_attempt(next_kwargs, self._context)

    def undelivered_id(self) -> str | None:
        """Return the id of a request that an earlier attempt has paid for, and that is not delivered."""
        return self._record_store().read_undelivered_id()

    def fail_broken_off(self, error: Exception) -> NoReturn:
        """
        Fail a task whose deferral Airflow has ended. It must not lead to another charge.

        :param error: What Airflow says of it.
        """
        store = self._record_store()
        self.request_id = store.read_undelivered_id() or self._pull_request_id()
        what = f"for request {self.request_id}" if self.request_id else "to submit"
        message = f"The wait {what} was interrupted: {error}."
        if store.remembers:
            advice = f"{store.memory.continuation} {store.memory.giving_up(self.request_id)}".rstrip()
            raise AirflowException(f"{message} {advice} {runbook(BROKEN_DEFERRAL)}") from error
        advice = _STILL_RUNNING if self.request_id else _PERHAPS_PAID
        raise AirflowFailException(f"{message} {advice} {runbook(BROKEN_DEFERRAL)}") from error

    def _record_store(self) -> RecordStore:
        """Return the task's record, also if its other arguments cannot be used."""
        return RecordStore(
            self._context,
            durable=self._task.durable,
            output_path=self._task.output_path,
            output_conn_id=self._task.output_conn_id,
        )

    def _pull_request_id(self) -> str | None:
        """Return the XCom ``request_id``; None if there is none, or XCom cannot be read just now."""
        ti = self._context["ti"]
        try:
            pushed = ti.xcom_pull(task_ids=self._task.task_id, key=REQUEST_ID_KEY, map_indexes=ti.map_index)
        except Exception:
            self._task.log.exception("Cannot read the XCom %s", REQUEST_ID_KEY)
            return None
        return pushed if isinstance(pushed, str) else None

    def _execution(self) -> Execution:
        try:
            options = Options.of(self._task)
        except InvalidParameterError as error:
            error.request_id = self._record_store().read_undelivered_id()
            count_failure(self._task.model, error)
            raise_task_failure(error)
        return Execution(
            self._context,
            self._task.model,
            options,
            self._task.hook,
            self._read_inputs,
            self._task.output_name,
            self._task.output_kinds,
            is_workflow=self._task.is_workflow,
        )

    def _read_inputs(self, options: Options) -> Inputs:
        task = self._task
        return Inputs(task.model, task.model_parameters(), options.upload, options.input_conn_id)

    def _continue(self, execution: Execution, begin: Callable[[], SubmissionStep]) -> Any:
        """
        Continue with the task's submission, until the task defers or has its output.

        :param begin: Does what comes first. It may submit.
        """
        try:
            step = begin()
            while isinstance(step, (RateLimitedSubmit, UnresolvedSubmit)):
                if isinstance(step, RateLimitedSubmit):
                    step = self._wait_for_turn(execution, step)
                else:
                    step = self._search(execution, step)
        except OutputKept as kept:
            return self._keep(execution, kept)
        return self._follow(execution, step)

    def _keep(self, execution: Execution, kept: OutputKept) -> Any:
        """Return where the output is that is there already. Nothing was submitted, and no asset has changed."""
        self._task.log.info(
            "Nothing was submitted, and nothing is charged: %s is there already", one_line(str(kept))
        )
        suppress_asset_events(self._task)
        if kept.request_id is not None and (self._task.do_xcom_push or execution.needs_request_id):
            push_request_id(execution.context, kept.request_id)
        if self._task.do_xcom_push:
            push_summary_of_kept(execution.context, self._task.model, kept.request_id, kept.outputs)
        return paths_of(kept.outputs)

    def _follow(self, execution: Execution, step: Submitted | Completed) -> Any:
        """Continue with a request that is paid for, or will be, until the task defers or has its output."""
        self.request_id = step.result.request_id if isinstance(step, Completed) else step.request_id
        if self._task.do_xcom_push or execution.needs_request_id:
            push_request_id(execution.context, self.request_id)
        if isinstance(step, Completed):
            return self._deliver(execution, step)
        options = execution.options
        if not options.wait_for_completion:
            execution.finish(step, HandedOver())
            suppress_asset_events(self._task)
            return step.request_id
        request = FollowedRequest(
            step.request_id,
            step.sent_at,
            step.sent_at + options.timeout,
            options.poll_interval,
            self._task.model,
            execution.expected_duration,
            variant=self._read_variant(),
        )
        if not options.deferrable:
            log_wait(request, "worker")
            return self._deliver(execution, Completed(wait_for(request, self._task.hook)))
        done = wait_shortly(request, self._task.hook)
        if done is None:
            self._defer_until_done(execution, request)
        return self._deliver(execution, Completed(done))

    def _read_variant(self) -> str | None:
        """Return what decides how long the request takes. Its wait must not fail, whatever renders by now."""
        try:
            return variant_of(self._task.model_parameters())
        except SegmindError:
            return None

    def _wait_for_turn(self, execution: Execution, submit: RateLimitedSubmit) -> SubmissionStep:
        """Wait until the key may submit again: in the triggerer, or here if the task is not to be deferred."""
        log.info(
            "The submit to %s waits for its turn: until %s at least. It gives up at %s",
            one_line(self._task.model),
            utc(submit.not_before),
            utc(submit.deadline),
        )
        if execution.options.deferrable:
            trigger = SegmindRateLimitTrigger(self._task.segmind_conn_id, submit.as_json())
            self._defer(execution, trigger, "execute_after_rate_limit")
        time.sleep(submit.pause(time.time()))
        return execution.submission.continue_rate_limited(submit, has_turn=False)

    def _search(self, execution: Execution, submit: UnresolvedSubmit) -> SubmissionStep:
        """Search the request history for an unresolved submit: in the triggerer, or here."""
        log.info(
            "Searching the request history for the submit to %s at %s: from %s until %s",
            one_line(submit.model),
            submit.name,
            utc(submit.search_from),
            utc(submit.search_until),
        )
        if execution.options.deferrable:
            trigger = SegmindUnresolvedSubmitTrigger(self._task.segmind_conn_id, submit.as_json())
            self._defer(execution, trigger, "execute_after_search")
        matches: HistoryMatches = drive(search_history(submit, time.time), self._task.hook)
        return execution.submission.continue_unresolved(submit, matches)

    def _defer_until_done(self, execution: Execution, request: FollowedRequest) -> NoReturn:
        log_wait(request, "triggerer")
        trigger = SegmindRequestTrigger(segmind_conn_id=self._task.segmind_conn_id, **asdict(request))
        self._defer(execution, trigger, "execute_complete")

    def _defer(self, execution: Execution, trigger: SegmindTrigger, method_name: str) -> NoReturn:
        """Free the worker until a trigger has ended its wait."""
        trigger.attempt = execution.context["ti"].try_number
        trigger.earliest_event = earliest_event()
        self._task.defer(trigger=trigger, method_name=method_name, timeout=deferral_timeout(trigger.latest_end))

    def _deliver(self, execution: Execution, completed: Completed) -> Any:
        """Store the output of a request that is paid for, and push its XComs."""
        result = completed.result
        self.request_id = result.request_id
        charged = Delivered(self._task.model, result, None)
        count_once(charged, execution.store)  # whatever becomes of the output
        execution.spending.charge(charged.figure("cost"), request_id=result.request_id)
        # Before the output is looked at and stored, which may fail: the URL of what is paid for must be findable.
        self._push(execution, charged, result=execution.options.push_result)
        try:
            output = self._task.output_of(result)
            stored = execution.store_outputs(result)
        except UnusableOutputError:
            self._push(execution, charged, result=True)  # where its output is, if it is anywhere
            raise
        self.finished = Delivered(self._task.model, result, output, stored)
        if stored:
            self._push(execution, self.finished)
        add_asset_extras(execution.context, self._task.outlets, self.finished)
        execution.finish(completed, OutputDelivered(), self.finished)
        self._task.log.info("Request %s is done. Metrics: %s", result.request_id, result.metrics)
        return output

    def _push(self, execution: Execution, delivered: Delivered, *, result: bool = False) -> None:
        """Push what is known of a request by now, if XComs are wanted. ``result``: the whole answer, too."""
        if self._task.do_xcom_push:
            execution.has_summary = push_summary(execution.context, delivered)
            if result:
                push_result(execution.context, delivered.result)

    @contextmanager
    def _failing(self, *, may_be_paid: bool = False) -> Iterator[Execution]:
        """
        Fail in the way that fits the error, and keep the record true to it.

        :param may_be_paid: Whether there is a request, or may be one, before this execution does anything.
        """
        execution = self._execution()
        try:
            yield execution
        except SegmindError as error:
            self._fail(execution, error, may_be_paid=may_be_paid)
        except BaseException as error:  # noqa: BLE001 - what stops a task from outside; `_stop` raises
            self._stop(execution, error, may_be_paid=may_be_paid)

    def _fail(self, execution: Execution, error: SegmindError, *, may_be_paid: bool) -> NoReturn:
        """Raise what an error of Segmind means for the task. Most name a request, and each has to."""
        known = self.request_id or execution.request_id
        error.request_id = error.request_id or known or execution.store.read_undelivered_id()
        if isinstance(error, SubmitUnresolvedError):
            error.submit = error.submit or execution.store.read_unresolved_name()
        self.request_id = known or error.request_id
        count_failure(self._task.model, error)
        if isinstance(error, RequestFailedError):
            execution.spending.free(request_id=error.request_id)  # Segmind does not charge it
        if error.request_id is not None and isinstance(error, _NOTHING_MORE_TO_GET):
            execution.finish(Submitted(error.request_id, sent_at=0), OutputLost())
        raise_task_failure(
            error,
            memory=execution.store.memory,
            summarized=execution.has_summary,
            may_be_paid=may_be_paid or known is not None or execution.is_unresolved,
        )

    def _stop(self, execution: Execution, error: BaseException, *, may_be_paid: bool) -> NoReturn:
        """Raise what has stopped the task from outside, or an error in its place that no retry follows."""
        request_id = self.request_id = self.request_id or execution.request_id
        if isinstance(error, _MEANT) or not (request_id or execution.is_unresolved or may_be_paid):
            raise error
        if execution.store.remembers:
            advice = f"{execution.store.memory.continuation} {runbook(INTERRUPTED)}"
            self._task.log.error("%s", still_running(advice, request_id))
            raise error
        what, advice = (
            (f"Request {request_id} was submitted", _STILL_RUNNING)
            if request_id
            else ("A request may have been submitted", _MAY_BE_CHARGED)
        )
        raise AirflowFailException(
            f"{what}, then the task was interrupted: {one_line(f'{type(error).__name__}: {error}')}. {advice} "
            f"{runbook(INTERRUPTED)}"
        ) from error
