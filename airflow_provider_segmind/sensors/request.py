"""Wait for a request that something else submitted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Unpack

from airflow_provider_segmind.api.checks import check_model, check_request_id
from airflow_provider_segmind.arguments import (
    DEFAULT_MAX_OUTPUT_BYTES,
    byte_count,
    existing_choice,
    flag,
    is_literal,
    optional_output_path,
    optional_text,
    seconds,
)
from airflow_provider_segmind.compat import (
    AirflowSensorTimeout,
    AirflowSkipException,
    is_mapped_instance,
)
from airflow_provider_segmind.deferrable import read_deferrable
from airflow_provider_segmind.exceptions import (
    BROKEN_DEFERRAL,
    InvalidParameterError,
    RequestTimeoutError,
    SegmindError,
    runbook,
    still_running,
)
from airflow_provider_segmind.hooks.names import DEFAULT_CONNECTION_ID
from airflow_provider_segmind.links import SegmindModelLink, SegmindOutputLink
from airflow_provider_segmind.media.mapped_outputs import check_partial
from airflow_provider_segmind.sensors.base import SegmindBaseSensorOperator

if TYPE_CHECKING:
    from os import PathLike

    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_segmind.compat import Context, ObjectStoragePath, PokeReturnValue, XComArg
    from airflow_provider_segmind.sensors.waiting import RequestWait
    from airflow_provider_segmind.signatures import SensorArguments

DEFAULT_POKE_INTERVAL = 30.0
"""Seconds between polls of a task that is not deferred."""

DEFAULT_TIMEOUT = 3600.0
"""Seconds for which Segmind keeps the record of a request: ``RECORD_LIFETIME`` in ``api.follow``."""


class SegmindRequestSensor(SegmindBaseSensorOperator):
    """
    Wait for a request that something else submitted; never submits, so it is free to be retried.

    Pairs with an operator's ``wait_for_completion=False``, and picks up a request that an operator gave up
    waiting for. It waits in the triggerer or, with ``deferrable=False``, as ``mode="poke"`` or ``"reschedule"``
    says. Lost connections, server errors and rate limits are waited out. A request that FAILED or has expired
    fails the task without a retry, as does a passed ``timeout``, or a ``request_id`` that rendered to nothing;
    trouble that may pass, in the triggerer say, follows the task's ``retries``.
    With ``soft_fail=True`` or ``never_fail=True`` the task is skipped instead, in each mode and on each version
    of Airflow; see :class:`~airflow_provider_segmind.sensors.base.SegmindBaseSensorOperator`.

    Templated are ``request_id``, ``model``, ``output_path`` and the connections. All others are values.

    With ``output_path`` it stores the output as the operators do. A retry stores it again, and costs nothing.

    Each Asset among the task's ``outlets`` gets an event whose extra has ``url``, ``output_path``, ``request_id``
    and ``cost``; each AssetAlias an event with the URI of each stored file.

    XCom: the return value is the request's output, for video models a URL; ``request_id`` and ``summary`` beside
    it, as from the operators.

    :param request_id: The id that a submit returned; an operator's XCom ``request_id``.
    :param model: The model's slug, if you know it. The link to its page, the XCom, the metrics and the lineage
        name it then: Segmind's answers do not.
    :param output_path: Where to store the output: an object-storage URI or an absolute path on the worker. With a
        slash at its end it is a folder, in which the file is named after the request. Of several outputs, each
        gets a number (docs/videos.md).
    :param output_conn_id: The Airflow connection to the storage of ``output_path``; None for the storage's
        default.
    :param if_output_exists: What to do if the output is there before the task waits: ``"replace"`` it; ``"skip"``
        to wait for nothing and return its path; or ``"error"`` to fail
        (docs/videos.md#if-the-output-is-there-already).
    :param max_output_bytes: The most bytes that all outputs of a request may have together. Default 2 GiB.
    :param segmind_conn_id: A connection of the type ``segmind``, of the account that submitted
        (docs/connection.md).
    :param deferrable: True waits in the triggerer, False as ``mode`` says. Default: the deployment's option
        ``[segmind] deferrable``; else ``[operators] default_deferrable``, if it is set; else True
        (docs/waiting.md#without-a-triggerer).
    :param mode: How a task waits that is not deferred: ``"poke"`` holds the worker slot, ``"reschedule"`` frees it
        between polls.
    :param poke_interval: Seconds between polls, more than 0, in every mode. If neither this nor
        ``exponential_backoff`` is given, a deferred task polls when an answer is likely, and others every 30
        seconds.
    :param exponential_backoff: Wait longer from poll to poll, in every mode. If deferred, each wait is twice as
        long as the one before, from ``poke_interval`` on, and ``max_wait`` at most.
    :param max_wait: The longest pause between polls, in seconds or as a timedelta, with ``exponential_backoff``.
    :param timeout: Seconds from the sensor's start after which to give up. Default one hour, for which Segmind
        keeps the record.
    :param soft_fail: Skip the task when it would fail for good.
    :param never_fail: Skip the task after any error.
    :param push_result: Push the whole answer to XCom as well, under ``result``, if it has 64 KiB at most.
    :param kwargs: What every task of Airflow takes, such as ``task_id``, ``retries`` and ``pool``.
    """

    template_fields: Sequence[str] = ("request_id", "model", "output_path", "output_conn_id", "segmind_conn_id")
    text_fields = ("request_id", "model", "output_path", "output_conn_id", "segmind_conn_id")
    ui_color = "#e8e4fb"
    operator_extra_links = (SegmindOutputLink(), SegmindModelLink())

    def __init__(
        self,
        *,
        request_id: str | XComArg,
        model: str | XComArg | None = None,
        output_path: str | PathLike[str] | ObjectStoragePath | XComArg | None = None,
        output_conn_id: str | XComArg | None = None,
        if_output_exists: Literal["replace", "skip", "error"] = "replace",
        max_output_bytes: int = DEFAULT_MAX_OUTPUT_BYTES,
        segmind_conn_id: str | XComArg = DEFAULT_CONNECTION_ID,
        deferrable: bool | None = None,
        mode: Literal["poke", "reschedule"] = "poke",
        poke_interval: float | timedelta | None = None,
        exponential_backoff: bool = False,
        max_wait: float | timedelta | None = None,
        timeout: float | timedelta = DEFAULT_TIMEOUT,
        soft_fail: bool = False,
        never_fail: bool = False,
        push_result: bool = False,
        **kwargs: Unpack[SensorArguments],
    ) -> None:
        chosen_interval = DEFAULT_POKE_INTERVAL if poke_interval is None else poke_interval
        super().__init__(
            mode=mode,
            poke_interval=chosen_interval,
            exponential_backoff=exponential_backoff,
            max_wait=max_wait,
            timeout=timeout,
            soft_fail=soft_fail,
            never_fail=never_fail,
            **kwargs,
        )
        self.request_id: Any = request_id
        self.model: Any = model
        self.output_path: Any = output_path
        self.output_conn_id: Any = output_conn_id
        self.if_output_exists: str = if_output_exists
        self.max_output_bytes = max_output_bytes
        self.segmind_conn_id: Any = segmind_conn_id
        self.deferrable = read_deferrable(deferrable)
        self.push_result = push_result
        self.adapts = poke_interval is None and not self.exponential_backoff
        self._wait: RequestWait | None = None
        self.pokes = 0
        seconds("poke_interval", self.poke_interval)
        if not is_mapped_instance(self):
            self._check_literals()

    def _check_literals(self) -> None:
        """Check what is known when the DAG is parsed."""
        flag("push_result", self.push_result)
        byte_count("max_output_bytes", self.max_output_bytes)
        existing_choice("if_output_exists", self.if_output_exists)
        if self.if_output_exists != "replace" and self.output_path is None:
            raise InvalidParameterError("if_output_exists", "needs an output_path")
        for name, check in (("output_path", optional_output_path), ("output_conn_id", optional_text)):
            if is_literal(value := getattr(self, name)):
                check(name, value)
        if is_literal(self.model):
            self.known_model()
        if is_literal(self.request_id):
            self.check_request_id()

    def check_request_id(self) -> str:
        """
        Return the id of the request, if it can be one.

        :raises InvalidParameterError: If not.
        """
        if self.request_id in (None, "", "None"):
            raise InvalidParameterError(
                "request_id", "there is none: the task that should have returned it has returned nothing"
            )
        return check_request_id(self.request_id)

    def known_model(self) -> str | None:
        """
        Return the model's slug; None if the user does not know it.

        :raises InvalidParameterError: If it cannot be one.
        """
        return None if self.model in (None, "", "None") else check_model(self.model)

    @property
    def _model_if_valid(self) -> str | None:
        try:
            return self.known_model()
        except InvalidParameterError:
            return None

    @classmethod
    def partial(cls, **arguments: Any) -> Any:
        """
        Return the task with the arguments that all instances of it share, as for any operator.

        :raises InvalidParameterError: If all instances would write to the same file.
        """
        check_partial(arguments)
        return super().partial(**arguments)

    def wait(self, context: Context) -> Any:
        """Wait in the triggerer, or as ``mode`` says."""
        wait = self._begin(context)
        try:
            self.check_request_id()
            self.known_model()
            kept = wait.check_output()
        except SegmindError as error:
            self.fail(error)
        if kept:
            from airflow_provider_segmind.media.existing_outputs import paths_of  # parsing a DAG needs no storage

            return paths_of(kept)
        if self.deferrable:
            wait.defer()
        wait.log_polls()
        try:
            return super().wait(context)
        except (AirflowSensorTimeout, AirflowSkipException) as end:
            if end.__cause__ is not None:  # an error: at the timeout, Airflow raises either without a cause
                raise
            wait.time_out(RequestTimeoutError(str(end), request_id=self.request_id))

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll once, and deliver the result with the poll that finds it."""
        try:
            return self._begin(context).poll()
        except SegmindError as error:
            self.fail(error)

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Take up the task again when the trigger has seen the request's end."""
        wait = self._begin(context)
        try:
            return wait.complete(event)
        except RequestTimeoutError as error:
            wait.time_out(error)
        except SegmindError as error:
            self.fail(error)

    def _begin(self, context: Context) -> RequestWait:
        """Return the wait of this execution."""
        # What waits is imported where a task runs. All else in this module is what parsing a DAG needs.
        from airflow_provider_segmind.sensors.waiting import RequestWait

        self._wait = RequestWait(self, context)
        return self._wait

    def get_openlineage_facets_on_start(self) -> OperatorLineage[Any, Any]:
        """Return the request of this sensor. OpenLineage's provider asks."""
        from airflow_provider_segmind.lineage.openlineage import lineage_of

        return lineage_of(self.model, [], self.request_id)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Return the request of this sensor, and its files. OpenLineage's provider asks, also if it failed."""
        from airflow_provider_segmind.lineage.openlineage import lineage_of

        return lineage_of(self.model, [], self.request_id, self._wait.finished if self._wait else None)

    def fail(self, error: SegmindError) -> NoReturn:
        """Count the failure, and end the task for good."""
        from airflow_provider_segmind.lineage.metrics import count_failure

        count_failure(self._model_if_valid, error)
        super().fail(error)

    def broken_off(self, error: Exception) -> str:
        """Return what to say when Airflow has ended a deferral before its trigger has."""
        what = f"The wait for request {self.request_id} broke off: {error}."
        return f"{what} {self.advice()} {runbook(BROKEN_DEFERRAL)}"

    def advice(self) -> str:
        """Return what a user may do after a wait without an end."""
        return still_running(
            "Segmind keeps its record for one hour from submission: clear this task to wait for it again.",
            self.request_id,
        )
