"""Run a fast model in one blocking call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack

from airflow_provider_segmind.api.checks import check_model, check_parameters
from airflow_provider_segmind.api.locations import check_no_files
from airflow_provider_segmind.arguments import is_literal, optional_amount, seconds, with_plain_collections
from airflow_provider_segmind.compat import BaseOperator, is_mapped_instance
from airflow_provider_segmind.hooks.names import DEFAULT_CONNECTION_ID
from airflow_provider_segmind.hooks.task_hook import WithSegmindHook
from airflow_provider_segmind.links import SegmindModelLink, SegmindOutputLink
from airflow_provider_segmind.operators.options import check_mode
from airflow_provider_segmind.rendering import UntrustedValuesUnrendered

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_segmind.compat import Context, XComArg
    from airflow_provider_segmind.operators.sync_running import SyncRun
    from airflow_provider_segmind.signatures import TaskArguments


class SegmindSyncInferenceOperator(WithSegmindHook, UntrustedValuesUnrendered, BaseOperator):
    """
    Run a fast model in one blocking call, through Segmind's v1 API.

    For models that answer within seconds: the worker slot is held, and nothing can be picked up again if the
    answer is lost. Anything slower belongs to
    :class:`~airflow_provider_segmind.operators.inference.SegmindInferenceOperator`. Each run is a new charge; a
    run without an answer fails the task without a retry, since it may have been charged.

    Each Asset among the task's ``outlets`` gets an event whose extra has ``url``, ``request_id``, ``model`` and
    ``cost``.

    Templated are ``model``, ``parameters``, ``segmind_conn_id`` and the costs. ``timeout`` is a value.

    XCom: the return value is the model's output. A model that answers with JSON gives that; one that answers
    with bytes, an image say, has them uploaded to Segmind's storage, and the URL is the value. Beside it
    ``request_id``, and ``summary`` as from SegmindInferenceOperator; of a file it has ``url``, ``content_type``
    and ``bytes``. With ``do_xcom_push=False`` nothing is pushed.

    :param model: The model's slug, the end of its page's address.
    :param parameters: The model's parameters, as its page lists them.
    :param segmind_conn_id: A connection of the type ``segmind`` (docs/connection.md).
    :param timeout: Seconds to wait for the answer; fewer if ``execution_timeout`` comes before.
    :param expected_cost: USD that a run costs at most, which the limits reserve before it. Default: what such a
        run has cost so far, where the limit is counted; unknown before (docs/spending.md#what-a-request-may-cost).
    :param max_cost: USD that this task instance may cost, over all attempts and clears. A run that would exceed it
        fails the task, and nothing is charged. It needs a record (docs/spending.md).
    :param max_cost_per_run: USD that all tasks of a DAG run with this argument may cost together. Default: the
        deployment's option ``[segmind] max_cost_per_run``, if it is set; of both, the lower one counts. It needs
        ``[segmind] records_path``, and the price of a run (docs/spending.md#a-limit-for-a-dag-run).
    :param check_parameters: What to do if the parameters of a request that is about to be submitted do not fit the
        model's entry in Segmind's public catalogue: ``"warn"`` logs a warning for each that does not; ``"error"``
        fails the task before anything is paid; ``"off"`` does not look. A catalogue that cannot be read is no
        error (docs/parameters.md).
    :param kwargs: What every task of Airflow takes, such as ``task_id``, ``retries`` and ``pool``.
    """

    template_fields: Sequence[str] = (
        *("model", "parameters", "segmind_conn_id", "expected_cost", "max_cost", "max_cost_per_run"),
    )
    template_fields_renderers = {"parameters": "json"}  # noqa: RUF012 - as in BaseOperator
    text_fields = ("model", "segmind_conn_id")
    ui_color = "#e8e4fb"
    operator_extra_links = (SegmindOutputLink(), SegmindModelLink())

    def __init__(
        self,
        *,
        model: str | XComArg,
        parameters: Mapping[str, Any] | str | XComArg | None = None,
        segmind_conn_id: str | XComArg = DEFAULT_CONNECTION_ID,
        timeout: float = 120.0,
        expected_cost: float | str | XComArg | None = None,
        max_cost: float | str | XComArg | None = None,
        max_cost_per_run: float | str | XComArg | None = None,
        check_parameters: Literal["warn", "error", "off"] = "warn",
        **kwargs: Unpack[TaskArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.model: Any = model
        self.parameters: Any = parameters if parameters is not None else {}
        self.segmind_conn_id: Any = segmind_conn_id
        self.timeout = timeout
        self.expected_cost: Any = expected_cost
        self.max_cost: Any = max_cost
        self.max_cost_per_run: Any = max_cost_per_run
        self.check_parameters: str = check_parameters
        self._run: SyncRun | None = None
        if not is_mapped_instance(self):  # there, a wrong value fails the task in `execute`, without a retry
            self._check_literals()

    def _check_literals(self) -> None:
        """Check what is known when the DAG is parsed."""
        seconds("timeout", self.timeout)
        for name in ("expected_cost", "max_cost", "max_cost_per_run"):
            if is_literal(cost := getattr(self, name)):
                optional_amount(name, cost)
        check_mode("check_parameters", self.check_parameters)
        if is_literal(self.model):
            check_model(self.model)
        if is_literal(self.parameters):
            self.model_parameters()

    def model_parameters(self) -> Mapping[str, Any]:
        """
        Return the model's parameters, as they go to Segmind. Called when templates are rendered.

        :raises InvalidParameterError: If one is wrong.
        """
        remedy = "This operator uploads nothing: use SegmindInferenceOperator with upload=[{name}]"
        parameters = with_plain_collections(self.parameters)
        check_no_files(parameters, remedy)
        return check_parameters(parameters)

    def execute(self, context: Context) -> Any:
        """Run the model and return its output."""
        # What runs a task is imported where a task runs. All else in this module is what parsing a DAG needs.
        from airflow_provider_segmind.operators.sync_running import SyncRun

        self._run = SyncRun(self, context)
        return self._run.start()

    def get_openlineage_facets_on_start(self) -> OperatorLineage[Any, Any]:
        """Return this run's model. OpenLineage's provider asks."""
        from airflow_provider_segmind.lineage.openlineage import lineage_of

        return lineage_of(self.model, [], None)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Return this run's request. OpenLineage's provider asks, also if it failed."""
        from airflow_provider_segmind.lineage.openlineage import lineage_of

        finished = self._run.finished if self._run else None
        return lineage_of(self.model, [], finished.result.request_id if finished else None, finished)
