"""What a task of SegmindSyncInferenceOperator does when it runs. Parsing a DAG needs none of it."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from airflow_provider_segmind.api.answers import RequestReport, RequestState
from airflow_provider_segmind.api.portable import make_portable
from airflow_provider_segmind.api.request_ids import submit_name
from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.api.usual_duration import variant_of
from airflow_provider_segmind.api.values import read_number
from airflow_provider_segmind.arguments import optional_amount, seconds
from airflow_provider_segmind.compat import AirflowFailException
from airflow_provider_segmind.delivery import (
    error_for_airflow,
    push_request_id,
    push_summary,
    raise_in_place_of,
    raise_task_failure,
)
from airflow_provider_segmind.durability.spending import Spending, spending_of
from airflow_provider_segmind.durability.store import RecordStore
from airflow_provider_segmind.exceptions import (
    HISTORY,
    INTERRUPTED,
    SegmindError,
    SubmitUnresolvedError,
    runbook,
)
from airflow_provider_segmind.lineage.assets import add_asset_extras
from airflow_provider_segmind.lineage.delivered import Delivered
from airflow_provider_segmind.lineage.metrics import count, count_failure
from airflow_provider_segmind.operators.checking import compare_with_catalogue
from airflow_provider_segmind.operators.options import check_mode

if TYPE_CHECKING:
    from airflow_provider_segmind.api.answers import SyncAnswer
    from airflow_provider_segmind.compat import Context
    from airflow_provider_segmind.hooks.segmind import SegmindHook

MARGIN = 5.0
"""Seconds before ``execution_timeout`` in which an answer must come, so that Segmind's own words are seen."""


class SyncTask(Protocol):
    """What a run needs of its operator."""

    model: str
    timeout: float
    expected_cost: object
    max_cost: object
    max_cost_per_run: object
    check_parameters: str
    execution_timeout: timedelta | None
    do_xcom_push: bool
    outlets: list[Any]

    @property
    def hook(self) -> SegmindHook:
        """The hook for the task's connection."""

    def model_parameters(self) -> Mapping[str, Any]:
        """Return the model's parameters, as they go to Segmind."""


class SyncRun:
    """
    One run of a task.

    :param task: The operator, whose templates have been rendered.
    :ivar finished: What the task has got, once it has been charged.
    """

    def __init__(self, task: SyncTask, context: Context) -> None:
        self._task = task
        self._context = context
        self.finished: Delivered | None = None
        self._began = time.monotonic()

    def start(self) -> Any:
        """Run the model and return its output."""
        try:
            parameters = self._task.model_parameters()
            timeout = seconds("timeout", self._task.timeout)
            compare_with_catalogue(
                check_mode("check_parameters", self._task.check_parameters),
                self._task.model,
                parameters,
                self._task.hook,
            )
            spending, submit = self._spending(), submit_name(time.time())
            spending.reserve(submit, self._task.model, variant_of(parameters))
        except SegmindError as error:
            self._fail(error)
        try:
            answer = self._task.hook.run_sync(self._task.model, parameters, self._time_left(timeout))
        except SegmindError as error:
            if not isinstance(error, SubmitUnresolvedError):
                spending.free(submit=submit)
            self._fail(error)
        except BaseException as error:  # what stops a task from outside is not an Exception
            raise AirflowFailException(
                f"The task was interrupted while {self._task.model} was running: {_words(error)}. The run may "
                f"have been charged: look in {HISTORY} before you clear the task. {runbook(INTERRUPTED)}"
            ) from error
        try:
            if answer.request_id:
                spending.accept(submit, answer.request_id)
            spending.charge(read_number(answer.metrics.get("cost"), 0), submit=submit)
            return self._deliver(answer)
        except BaseException as error:
            if isinstance(error, SegmindError):
                count_failure(self._task.model, error)
            charged = f"Request {answer.request_id}" if answer.request_id else f"A run of {self._task.model}"
            message = (
                f"{charged} was charged, but its output could not be delivered: "
                f"{_words(error)}. The output is in Segmind's request history; a retry would pay for a second one."
            )
            if isinstance(error, SegmindError):
                raise_in_place_of(error, error_for_airflow(error, message, AirflowFailException))
            raise AirflowFailException(f"{message} {runbook(INTERRUPTED)}") from error

    def _spending(self) -> Spending:
        costs = ("expected_cost", "max_cost", "max_cost_per_run")
        given = {name: optional_amount(name, getattr(self._task, name)) for name in costs}
        return spending_of(self._context, RecordStore(self._context, durable=True), **given)

    def _fail(self, error: SegmindError) -> NoReturn:
        count_failure(self._task.model, error)
        raise_task_failure(error)

    def _time_left(self, timeout: float) -> float:
        """Return the seconds to wait for the answer: not longer than Airflow lets the task run."""
        limit = self._task.execution_timeout
        if limit is None:
            return timeout
        left = limit.total_seconds() - (time.monotonic() - self._began)
        return min(timeout, max(left - MARGIN, MARGIN))

    def _deliver(self, answer: SyncAnswer) -> Any:
        result = RequestReport(answer.request_id or "", RequestState.COMPLETED, {"metrics": answer.metrics})
        self.finished = Delivered(self._task.model, result, None)
        count(self.finished)  # charged, whatever becomes of the output
        if answer.request_id and self._task.do_xcom_push:
            push_request_id(self._context, answer.request_id)
        output = self._output(answer)
        finished = replace(self.finished, output=output)
        if self._task.do_xcom_push:
            push_summary(self._context, finished, content_type=answer.content_type, bytes=len(answer.content))
        add_asset_extras(self._context, self._task.outlets, finished)
        return output

    def _output(self, answer: SyncAnswer) -> Any:
        if answer.document is not None:
            return answer.document
        if answer.content_type.startswith("text/"):
            return make_portable(answer.content.decode("utf-8", "replace"))
        encoded = base64.b64encode(answer.content).decode()
        content_type = answer.content_type or "application/octet-stream"
        return self._task.hook.upload([f"data:{content_type};base64,{encoded}"])[0]


def _words(error: BaseException) -> str:
    words = error.facts if isinstance(error, SegmindError) else error
    return one_line(f"{type(error).__name__}: {words}")
