"""Run a fast model in one blocking call."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.answers import RequestReport, RequestState
from airflow_provider_segmind.api.portable import portable
from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.arguments import is_literal, seconds, with_plain_collections
from airflow_provider_segmind.delivery import METRICS_KEY, RESULT_KEY, push_request_id, raise_task_failure
from airflow_provider_segmind.exceptions import SegmindError
from airflow_provider_segmind.hooks.connection import DEFAULT_CONNECTION_ID
from airflow_provider_segmind.hooks.segmind import SegmindHook
from airflow_provider_segmind.lineage.assets import tell_assets
from airflow_provider_segmind.lineage.delivered import Delivered
from airflow_provider_segmind.lineage.metrics import count, count_failure
from airflow_provider_segmind.rendering import UntrustedValuesUnrendered

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_segmind.api.answers import SyncAnswer

MARGIN = 5.0
"""Seconds before ``execution_timeout`` in which an answer must come, so that Segmind's own words are seen."""


class SegmindSyncInferenceOperator(UntrustedValuesUnrendered, BaseOperator):
    """
    Run a fast model in one blocking call, through Segmind's v1 API.

    For models that answer within seconds: the worker slot is held, and nothing can be picked up again if the
    answer is lost. Anything slower belongs to
    :class:`~airflow_provider_segmind.operators.inference.SegmindInferenceOperator`. Each run is a new charge; a
    run without an answer fails the task without a retry, since it may have been charged.

    Each Asset among the task's ``outlets`` gets an event whose extra has ``url``, ``request_id``, ``model`` and
    ``cost``.

    XCom: the return value is the model's output. A model that answers with JSON gives that; one that answers
    with bytes, an image say, has them uploaded to Segmind's storage, and the URL is the value. Beside it
    ``request_id``, ``metrics`` (``cost`` and ``remaining_credits`` in USD, ``inference_time`` in seconds,
    ``seed``, as far as told) and ``result``: ``content_type`` and ``bytes`` of the answer.

    :param model: The model's slug, the end of its page's address.
    :param parameters: What the model's page lists.
    :param segmind_conn_id: A connection of the type ``segmind``.
    :param timeout: Seconds to wait for the answer.
    """

    template_fields: Sequence[str] = ("model", "parameters", "segmind_conn_id", "timeout")
    template_fields_renderers = {"parameters": "json"}  # noqa: RUF012 - as in BaseOperator
    text_fields = ("model", "segmind_conn_id")
    ui_color = "#e8e4fb"

    def __init__(
        self,
        *,
        model: str,
        parameters: Mapping[str, Any] | None = None,
        segmind_conn_id: str = DEFAULT_CONNECTION_ID,
        timeout: float | str = 120.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.parameters = {} if parameters is None else parameters
        self.segmind_conn_id = segmind_conn_id
        self.timeout = timeout
        self._finished: Delivered | None = None
        if is_literal(model):
            calls.checked_model(model)
        if is_literal(self.parameters):
            calls.checked_parameters(self.parameters)
        if is_literal(timeout):
            seconds("timeout", timeout)

    @cached_property
    def hook(self) -> SegmindHook:
        """The hook for this task's connection."""
        return SegmindHook(self.segmind_conn_id)

    def execute(self, context: Context) -> Any:
        """Run the model and return its output."""
        try:
            parameters = calls.checked_parameters(with_plain_collections(self.parameters))
            timeout = self._time_left(seconds("timeout", self.timeout))
        except SegmindError as error:
            self._fail(error)
        try:
            answer = self.hook.run_sync(self.model, parameters, timeout)
        except SegmindError as error:
            self._fail(error)
        except BaseException as error:  # a task that is stopped from outside is no Exception
            raise AirflowFailException(
                f"The task broke off while {self.model} was running: {_words(error)}. It may have "
                "been charged: look in Segmind's request history before you clear the task."
            ) from error
        try:
            return self._delivered(context, answer)
        except BaseException as error:
            if isinstance(error, SegmindError):
                count_failure(self.model, error)
            raise AirflowFailException(
                f"Request {answer.request_id} has run and was charged, but could not be delivered: "
                f"{_words(error)}. Its output is in Segmind's request history; another attempt "
                "would pay for another one."
            ) from error

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Return this run's request. OpenLineage's provider asks, also if it failed."""
        from airflow_provider_segmind.lineage.openlineage import lineage_of

        finished = self._finished
        return lineage_of(self.model, [], finished.result.request_id if finished else None, finished)

    def _fail(self, error: SegmindError) -> NoReturn:
        count_failure(self.model, error)
        raise_task_failure(error)

    def _time_left(self, timeout: float) -> float:
        """Return the seconds to wait for the answer: not longer than Airflow lets the task run."""
        limit = self.execution_timeout
        return timeout if limit is None else min(timeout, max(limit.total_seconds() - MARGIN, MARGIN))

    def _delivered(self, context: Context, answer: SyncAnswer) -> Any:
        result = RequestReport(answer.request_id or "", RequestState.COMPLETED, {"metrics": answer.metrics})
        self._finished = Delivered(self.model, result, None)
        count(self._finished)  # charged, whatever becomes of the output
        if answer.request_id:
            push_request_id(context, answer.request_id)
        facts = {"content_type": answer.content_type, "bytes": len(answer.content)}
        context["ti"].xcom_push(key=RESULT_KEY, value=facts)
        context["ti"].xcom_push(key=METRICS_KEY, value=answer.metrics)
        output = self._output(answer)
        tell_assets(context, self.outlets, replace(self._finished, output=output))
        return output

    def _output(self, answer: SyncAnswer) -> Any:
        if answer.document is not None:
            return answer.document
        if answer.content_type.startswith("text/"):
            return portable(answer.content.decode("utf-8", "replace"))
        encoded = base64.b64encode(answer.content).decode()
        content_type = answer.content_type or "application/octet-stream"
        return self.hook.upload([f"data:{content_type};base64,{encoded}"])[0]


def _words(error: BaseException) -> str:
    return one_line(f"{type(error).__name__}: {error}")
