"""What a task of SegmindRequestSensor does when it runs. Parsing a DAG needs none of it."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from airflow_provider_segmind.api.answers import RequestReport
from airflow_provider_segmind.api.follow import MOST_EARLY_RESULTS
from airflow_provider_segmind.api.moments import utc
from airflow_provider_segmind.api.output import model_output
from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.arguments import byte_count, optional_output_path, optional_text
from airflow_provider_segmind.compat import AirflowSensorTimeout, PokeReturnValue, first_start
from airflow_provider_segmind.delivery import (
    error_for_airflow,
    push_request_id,
    push_result,
    push_summary,
    push_summary_of_kept,
    raise_in_place_of,
)
from airflow_provider_segmind.exceptions import RequestTimeoutError
from airflow_provider_segmind.hooks.driving import fetch_completed, log_wait, poll_request
from airflow_provider_segmind.lineage.assets import add_asset_extras, suppress_asset_events
from airflow_provider_segmind.lineage.delivered import Delivered
from airflow_provider_segmind.lineage.metrics import CountedInTaskState, count_bytes, count_failure, count_once
from airflow_provider_segmind.media.existing_outputs import check_existing
from airflow_provider_segmind.media.mapped_outputs import check_instance
from airflow_provider_segmind.media.stored import ExistingOutput, StoredOutput
from airflow_provider_segmind.triggers.deferral import deferral_timeout, earliest_event
from airflow_provider_segmind.triggers.events import LargeResult, read_event
from airflow_provider_segmind.triggers.request import SegmindRequestTrigger

if TYPE_CHECKING:
    from airflow_provider_segmind.compat import Context
    from airflow_provider_segmind.hooks.segmind import SegmindHook
    from airflow_provider_segmind.media.storing import OutputStore

log = logging.getLogger(__name__)


class WaitingTask(Protocol):
    """What a wait needs of its sensor: the arguments, as they were rendered, and what Airflow gives each task."""

    request_id: str
    output_path: str | None
    output_conn_id: str | None
    if_output_exists: str
    max_output_bytes: int
    segmind_conn_id: str
    deferrable: bool
    push_result: bool
    adapts: bool
    pokes: int
    mode: str
    poke_interval: float
    exponential_backoff: bool
    max_wait: timedelta | None
    timeout: float
    do_xcom_push: bool
    outlets: list[Any]

    @property
    def hook(self) -> SegmindHook:
        """The hook for the task's connection."""

    @property
    def log(self) -> Any:
        """The task's logger."""

    @property
    def reschedule(self) -> bool:
        """Whether it frees the worker between two polls."""

    def known_model(self) -> str | None:
        """Return the model's slug; None if the user does not know it."""

    def advice(self) -> str:
        """Return what a user may do after a wait without an end."""

    def defer(self, *, trigger: Any, method_name: str, timeout: Any) -> NoReturn:
        """Free the worker until a trigger has ended its wait."""


class RequestWait:
    """
    One execution of a sensor: from its start, a poll or the event of its trigger.

    :param task: The sensor, whose templates have been rendered.
    :ivar finished: What the task has got, once it has.
    """

    def __init__(self, task: WaitingTask, context: Context) -> None:
        self._task = task
        self._context = context
        self.finished: Delivered | None = None

    def check_output(self) -> list[ExistingOutput]:
        """
        Check before the wait that the output is wanted and can be stored.

        A rescheduled task gets here before each poll, and only looks whether the output is there.

        :return: The files that are there already, and are to be kept.
        :raises InvalidParameterError: If it cannot be stored, or is there and must not be.
        :raises UnwritableOutputError: If the storage has trouble that may pass.
        """
        if self._outputs is None:
            return []
        task = self._task
        if task.if_output_exists != "replace":
            found = self._outputs.find_existing(request_id=task.request_id)
            check_existing(found, task.if_output_exists, "the task did not wait")
            if found:
                self._keep(found)
                return found
        if task.deferrable or not task.reschedule:
            check_instance(self._context, is_folder=str(task.output_path).endswith("/"))
            self._outputs.check()
        return []

    def _keep(self, outputs: list[ExistingOutput]) -> None:
        """Push what is known of the output that is there already. No asset has changed."""
        task, request_id = self._task, self._task.request_id
        task.log.info(
            "Request %s: %s is there already, and is kept",
            request_id,
            one_line(", ".join(each.path for each in outputs)),
        )
        suppress_asset_events(task)
        if task.do_xcom_push:
            push_request_id(self._context, request_id)
            push_summary_of_kept(self._context, self._model, request_id, outputs)

    def defer(self) -> NoReturn:
        """Free the worker until the trigger has seen the request's end."""
        task, now = self._task, time.time()
        longest = task.max_wait.total_seconds() if task.max_wait else None
        trigger = SegmindRequestTrigger(
            request_id=task.request_id,
            segmind_conn_id=task.segmind_conn_id,
            submitted_at=now,
            deadline=now + task.timeout,
            poll_interval=None if task.adapts else task.poke_interval,
            exponential_backoff=task.exponential_backoff,
            max_wait=longest or None,  # Airflow takes 0 for no limit, too
            earliest_event=earliest_event(),
            attempt=self._context["ti"].try_number,
        )
        log_wait(trigger.request, "triggerer")
        timeout = deferral_timeout(trigger.latest_end)
        task.defer(trigger=trigger, method_name="execute_complete", timeout=timeout)

    def log_polls(self) -> None:
        """Log that the task waits in the worker."""
        log.info(
            "Request %s: waiting in the worker (mode %s). It looks now, then every %.0f s, and gives up at %s",
            self._task.request_id,
            self._task.mode,
            self._task.poke_interval,
            utc(first_start(self._context) + self._task.timeout),
        )

    def poll(self) -> PokeReturnValue:
        """Poll once, and deliver the result with the poll that finds it."""
        task = self._task
        age = time.time() - first_start(self._context)
        found = poll_request(task.request_id, age, task.hook, by_result=self._may_ask_for_result())
        if isinstance(found, RequestReport):
            return PokeReturnValue(is_done=True, xcom_value=self._deliver(found))
        seen = found.state if found.trouble is None else found.trouble.facts
        log.debug("Request %s: %s. The next look is due in %.1f s", task.request_id, seen, task.poke_interval)
        return PokeReturnValue(is_done=False)

    def _may_ask_for_result(self) -> bool:
        """Return whether to ask for the result in place of the status. A rescheduled look is another process's."""
        self._task.pokes += 1
        return not self._task.reschedule and self._task.pokes % (MOST_EARLY_RESULTS + 1) != 0

    def complete(self, event: Any) -> Any:
        """Deliver what the trigger's event has."""
        found = read_event(event)
        if isinstance(found, LargeResult):
            found = fetch_completed(found.request_id, self._task.hook)
        return self._deliver(found)

    def time_out(self, error: RequestTimeoutError) -> NoReturn:
        """Fail the task because its time is up."""
        count_failure(self._model, error)
        message = f"{error.detail.rstrip('.')}. {self._task.advice()}"
        raise_in_place_of(error, error_for_airflow(error, message, AirflowSensorTimeout))

    @cached_property
    def _model(self) -> str | None:
        return self._task.known_model()

    @cached_property
    def _outputs(self) -> OutputStore | None:
        task = self._task
        path = optional_output_path("output_path", task.output_path)
        if path is None:
            return None
        from airflow_provider_segmind.media.storing import OutputStore  # few sensors store something

        most_bytes = byte_count("max_output_bytes", task.max_output_bytes)
        conn_id = optional_text("output_conn_id", task.output_conn_id)
        return OutputStore(path, conn_id, most_bytes, task.hook.fetch)

    def _deliver(self, result: RequestReport) -> Any:
        task, context = self._task, self._context
        charged = Delivered(self._model, result, model_output(result))
        count_once(charged, CountedInTaskState(context))  # whatever becomes of the output
        if task.do_xcom_push:
            push_request_id(context, result.request_id)
            push_summary(context, charged)
            if task.push_result is True:
                push_result(context, result)
        stored = self._store_outputs(result)
        self.finished = Delivered(self._model, result, charged.output, stored)
        if stored and task.do_xcom_push:
            push_summary(context, self.finished)
        add_asset_extras(context, task.outlets, self.finished)
        task.log.info("Request %s is done. Metrics: %s", result.request_id, result.metrics)
        return charged.output

    def _store_outputs(self, result: RequestReport) -> list[StoredOutput]:
        """Store the output where ``output_path`` says, if it does."""
        stored = []
        for output in self._outputs.store_result(result) if self._outputs is not None else ():
            count_bytes(self._model, output.size)
            stored.append(output)
        return stored
