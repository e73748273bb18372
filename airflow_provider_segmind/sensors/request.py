"""Wait for a request that something else submitted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.answers import RequestReport
from airflow_provider_segmind.api.output import model_output
from airflow_provider_segmind.arguments import flag, is_literal, optional_seconds
from airflow_provider_segmind.compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    BaseSensorOperator,
    PokeReturnValue,
)
from airflow_provider_segmind.delivery import push_request_id, push_result
from airflow_provider_segmind.exceptions import RequestTimeoutError, SegmindError
from airflow_provider_segmind.hooks.connection import DEFAULT_CONNECTION_ID
from airflow_provider_segmind.hooks.segmind import SegmindHook
from airflow_provider_segmind.hooks.waiting import fetch_completed, look_at
from airflow_provider_segmind.lineage.assets import tell_assets
from airflow_provider_segmind.lineage.delivered import Delivered
from airflow_provider_segmind.lineage.metrics import count_failure, count_once
from airflow_provider_segmind.rendering import UntrustedValuesUnrendered
from airflow_provider_segmind.sensors.started import first_start
from airflow_provider_segmind.triggers.driving import deferral_timeout
from airflow_provider_segmind.triggers.events import LargeResult, read_event
from airflow_provider_segmind.triggers.request import SegmindRequestTrigger

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_segmind.compat import Context

DEFAULT_TIMEOUT = 3600.0
"""Segmind keeps the record of a request for one hour: waiting longer cannot help."""


class SegmindRequestSensor(UntrustedValuesUnrendered, BaseSensorOperator):
    """
    Wait for a request that something else submitted; never submits, so it is free to be retried.

    Pairs with an operator's ``wait_for_completion=False``, and picks up a request that an operator gave up
    waiting for. Works as any sensor with ``mode="poke"`` or ``"reschedule"`` too, if ``deferrable=False``; lost
    connections, server errors and rate limits are waited out. A request that FAILED or has expired fails the
    task without a retry (``soft_fail=True`` skips it).

    Each Asset among the task's ``outlets`` gets an event whose extra has ``url``, ``request_id`` and ``cost``.

    XCom: the return value is the request's output, for video models a URL; ``request_id``, ``result`` and
    ``metrics`` beside it, as from the operators.

    :param request_id: The id that a submit returned; an operator's XCom ``request_id``.
    :param segmind_conn_id: A connection of the type ``segmind``, of the account that submitted.
    :param deferrable: Wait in the triggerer (default); if False, as ``mode`` says.
    :param poll_interval: Seconds between looks while deferred; None adapts to the time waited.
    :param poke_interval: Seconds between looks if not deferrable. Default 30.
    :param timeout: Seconds from the sensor's start after which to give up. Default one hour, for which Segmind
        keeps the record.
    """

    template_fields: Sequence[str] = ("request_id", "segmind_conn_id", "deferrable", "poll_interval")
    text_fields = ("request_id", "segmind_conn_id")
    ui_color = "#e8e4fb"

    def __init__(
        self,
        *,
        request_id: str,
        segmind_conn_id: str = DEFAULT_CONNECTION_ID,
        deferrable: bool | str = True,
        poll_interval: float | str | None = None,
        poke_interval: float = 30.0,
        timeout: float = DEFAULT_TIMEOUT,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, timeout=timeout, **kwargs)
        self.request_id = request_id
        self.segmind_conn_id = segmind_conn_id
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self._finished: Delivered | None = None
        if is_literal(request_id):
            calls.checked_request_id(request_id)
        if is_literal(deferrable):
            flag("deferrable", deferrable)
        if is_literal(poll_interval):
            optional_seconds("poll_interval", poll_interval)

    @cached_property
    def hook(self) -> SegmindHook:
        """The hook for this task's connection."""
        return SegmindHook(self.segmind_conn_id)

    def execute(self, context: Context) -> Any:
        """Wait in the triggerer, or as ``mode`` says."""
        try:
            calls.checked_request_id(self.request_id)
            poll_interval = optional_seconds("poll_interval", self.poll_interval)
            deferrable = flag("deferrable", self.deferrable)
        except SegmindError as error:
            self._fail(error)
        if deferrable:
            now = time.time()
            trigger = SegmindRequestTrigger(
                request_id=self.request_id,
                segmind_conn_id=self.segmind_conn_id,
                submitted_at=now,
                deadline=now + self.timeout,
                poll_interval=poll_interval,
            )
            timeout = deferral_timeout(trigger.latest_end)
            self.defer(trigger=trigger, method_name="execute_complete", timeout=timeout)
        try:
            return super().execute(context)
        except AirflowSensorTimeout as error:
            raise AirflowSensorTimeout(f"{error} {self._lives_on()}") from error

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once; the result comes with the look that finds it."""
        try:
            found = look_at(self.request_id, time.time() - first_start(context), self.hook)
            if isinstance(found, RequestReport):
                return PokeReturnValue(is_done=True, xcom_value=self._delivered(context, found))
        except SegmindError as error:
            self._fail(error)
        self.log.info("Request %s: %s", self.request_id, found.trouble or found.state)
        return PokeReturnValue(is_done=False)

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Take up the task again when the trigger has seen the request's end."""
        try:
            found = read_event(event)
            if isinstance(found, LargeResult):
                found = fetch_completed(found.request_id, self.hook)
            return self._delivered(context, found)
        except RequestTimeoutError as error:
            count_failure(None, error)
            raise AirflowSensorTimeout(f"{error.detail}. {self._lives_on()}") from error
        except SegmindError as error:
            self._fail(error)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Return the request of this sensor. OpenLineage's provider asks, also if it failed."""
        from airflow_provider_segmind.lineage.openlineage import lineage_of

        return lineage_of(None, [], self.request_id, self._finished)

    def _fail(self, error: SegmindError) -> NoReturn:
        count_failure(None, error)
        raise AirflowFailException(str(error)) from error

    def _lives_on(self) -> str:
        return (
            f"Request {self.request_id} lives on: Segmind cannot cancel it, and keeps its record for one hour "
            "from submission. Clear this task to wait for it again."
        )

    def _delivered(self, context: Context, result: RequestReport) -> Any:
        self._finished = Delivered(None, result, model_output(result))
        count_once(context, self._finished)
        push_request_id(context, result.request_id)
        push_result(context, result)
        tell_assets(context, self.outlets, self._finished)
        return self._finished.output
