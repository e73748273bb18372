"""
What a task of SegmindInferenceOperator does once its request has ended: deliver, or fail in the way that fits.

It is apart from the operator because parsing a DAG needs none of it, and from ``starting`` because a task that
resumes with its result submits nothing and waits for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Protocol

from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.compat import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    TaskDeferred,
)
from airflow_provider_segmind.delivery import (
    REQUEST_ID_KEY,
    RETRY_PAYS_AGAIN,
    push_result,
    push_summary,
    raise_task_failure,
)
from airflow_provider_segmind.durability.ending import Completed, OutputDelivered, OutputLost, Submitted
from airflow_provider_segmind.durability.store import RecordStore
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
from airflow_provider_segmind.lineage.assets import add_asset_extras
from airflow_provider_segmind.lineage.delivered import Delivered
from airflow_provider_segmind.lineage.metrics import count_failure, count_once
from airflow_provider_segmind.operators.execution import Execution
from airflow_provider_segmind.operators.options import Options
from airflow_provider_segmind.triggers.events import LargeResult, is_for_an_earlier_attempt, read_event

if TYPE_CHECKING:
    from airflow_provider_segmind.api.answers import RequestReport
    from airflow_provider_segmind.compat import Context
    from airflow_provider_segmind.hooks.segmind import SegmindHook
    from airflow_provider_segmind.media.inputs import Inputs

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
    One run of a task, from the event that its request has ended with. ``starting`` has the runs that begin before.

    :param task: The operator, whose templates have been rendered.
    :ivar request_id: The task's request, as soon as it is known.
    :ivar finished: What the task has got, once it has.
    """

    def __init__(self, task: InferenceTask, context: Context) -> None:
        self._task = task
        self._context = context
        self.request_id: str | None = None
        self.finished: Delivered | None = None

    def complete(self, event: Any) -> Any:
        """Continue when the trigger has seen the request's end."""
        with self._failing(may_be_paid=True) as execution:
            found = read_event(event)
            if isinstance(found, LargeResult):
                from airflow_provider_segmind.hooks.driving import fetch_completed  # few results are so large

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
            lambda: self._task.hook,
            self._read_inputs,
            self._task.output_name,
            self._task.output_kinds,
            is_workflow=self._task.is_workflow,
        )

    def _read_inputs(self, options: Options) -> Inputs:
        from airflow_provider_segmind.media.inputs import Inputs  # not to deliver a result

        task = self._task
        return Inputs(task.model, task.model_parameters(), options.upload, options.input_conn_id)

    def _deliver(self, execution: Execution, completed: Completed) -> Any:
        """Store the output of a request that is paid for, and push its XComs."""
        result = completed.result
        self.request_id = result.request_id
        charged = Delivered(self._task.model, result, None)
        count_once(charged, execution.store)  # whatever becomes of the output
        if execution.spending is not None:
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
        if isinstance(error, RequestFailedError) and execution.spending is not None:
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
