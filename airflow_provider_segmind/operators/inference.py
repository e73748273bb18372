"""Run any model as a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Unpack

from airflow_provider_segmind.api.checks import check_model, check_parameters
from airflow_provider_segmind.api.file_names import name_after
from airflow_provider_segmind.api.locations import as_list, check_locations, check_no_files
from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.arguments import (
    DEFAULT_MAX_OUTPUT_BYTES,
    is_literal,
    names,
    optional_text,
    with_paths_as_text,
    with_plain_collections,
)
from airflow_provider_segmind.compat import AirflowException, BaseOperator, is_mapped_instance
from airflow_provider_segmind.deferrable import read_deferrable
from airflow_provider_segmind.exceptions import InvalidParameterError, still_running
from airflow_provider_segmind.hooks.names import DEFAULT_CONNECTION_ID
from airflow_provider_segmind.hooks.task_hook import WithSegmindHook
from airflow_provider_segmind.links import SegmindModelLink, SegmindOutputLink
from airflow_provider_segmind.media.mapped_outputs import check_partial
from airflow_provider_segmind.operators.options import check_literals
from airflow_provider_segmind.rendering import UntrustedValuesUnrendered

if TYPE_CHECKING:
    from os import PathLike

    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_segmind.api.answers import RequestReport
    from airflow_provider_segmind.compat import BaseOperatorLink, Context, ObjectStoragePath, XComArg
    from airflow_provider_segmind.operators.running import InferenceRun
    from airflow_provider_segmind.operators.starting import StartingRun
    from airflow_provider_segmind.signatures import TaskArguments

DEFAULT_TIMEOUT = 900.0


class SegmindInferenceOperator(WithSegmindHook, UntrustedValuesUnrendered, BaseOperator):
    """
    Run a model and wait for its output, without holding a worker slot.

    Each submit is charged once the request completes, and Segmind can neither recognise a repeated submit nor
    cancel one. So the task pays once, whatever dies: it stores the intent before the submit and the id after it,
    and the next attempt continues with the same request. Airflow 3.3 has a store for that. Other versions need the
    option ``[segmind] records_path``, or an ``output_path`` (docs/records.md). Without a record, each attempt
    submits once, and the task fails without a retry where a retry would pay again, such as after ``timeout``.

    The task searches Segmind's request history for a submit without a clear answer, until its request could have
    finished and been recorded, before it sends anything else (docs/paid-once.md). A submit that is refused for the
    key's rate limit waits for its turn in the triggerer, for ``timeout`` at most, and uses up no retry. A FAILED
    request is not charged, and follows the task's ``retries``, as do server errors before anything was accepted.
    An error that no retry can fix (a rejected key, wrong parameters, no credits, blocked content) fails at once.

    Templated is what says which model runs, on what, for whom and to where: ``model``, ``parameters``, ``upload``,
    ``expected_duration``, the costs, the paths and the connections; and ``abandon_request``. How the task waits is
    not: ``timeout``, ``deferrable``, ``max_output_bytes`` and the others are values that are checked when the DAG
    is parsed. A DAG whose ``model`` is a template sets them for the slowest model and the largest output.

    Each Asset among the task's ``outlets`` gets an event whose extra has ``url``, ``output_path``, ``request_id``,
    ``model`` and ``cost``; each AssetAlias an event with the URI of each stored file.

    XCom: the return value is the model's output (usually a URL; Segmind deletes files after seven days). Beside
    it ``request_id``, pushed as soon as it exists, and ``summary``, 16 KiB at most: ``request_id``, ``model``;
    ``cost`` and ``remaining_credits`` in USD; ``queue_time``, ``inference_time`` and ``total_time`` in seconds;
    ``file_count``, and ``files`` with the ``url`` of each and, once it is stored, its ``output_path``, ``bytes``,
    ``sha256`` and ``content_type``. With ``do_xcom_push=False`` the task pushes only what
    keeps it from paying twice (docs/xcoms.md).

    :param model: The model's slug, the end of its page's address.
    :param parameters: The model's parameters, as its page lists them.
    :param upload: The names of parameters that hold images, or lists of images, that Segmind cannot fetch: each an
        object-storage URI (``s3://…``, ``gs://…``, ``file:///…``) or an absolute path on the worker, with 20 MiB
        at most. They are uploaded to Segmind, whose URLs are public. From Airflow 3.3 a retry
        uploads nothing twice (docs/images.md).
    :param input_conn_id: The Airflow connection to the storage of the images; None for the storage's default.
    :param output_path: Where to store the output: an object-storage URI or an absolute path on the worker. With a
        slash at its end it is a folder, in which the file is named after the request. Of several outputs, each
        gets a number. The file is there whole or not at all, and a retry fetches nothing that is there
        (docs/videos.md).
    :param output_conn_id: The Airflow connection to the storage of ``output_path``; None for the storage's
        default.
    :param name_output_after: The name of a parameter that holds a file or a URL, such as ``start_image_url``. In
        an ``output_path`` that is a folder, the output is named after that file: ``mug.jpg`` becomes
        ``mug.jpg.mp4``. The name is never rendered as a template, and leads out of no folder.
    :param if_output_exists: What to do if the output is there before the task submits anything: ``"replace"`` it;
        ``"skip"`` to submit nothing and return its path; or ``"error"`` to fail before anything is paid. A request
        that the task has already paid for is delivered all the same. The last two take an output whose name is
        known before: an ``output_path`` of a file, or ``name_output_after``
        (docs/videos.md#if-the-output-is-there-already).
    :param max_output_bytes: The most bytes that all outputs of a request may have together. Default 2 GiB.
    :param segmind_conn_id: A connection of the type ``segmind`` (docs/connection.md).
    :param deferrable: True waits in the triggerer, False in the worker. Default: the deployment's option
        ``[segmind] deferrable``; else ``[operators] default_deferrable``, if it is set; else True
        (docs/waiting.md#without-a-triggerer).
    :param wait_for_completion: If False, return the request id at once; SegmindRequestSensor waits for it.
    :param timeout: Seconds from submission after which to give up. The request itself is not cancelled.
    :param poll_interval: Seconds between polls; None asks when an answer is likely: seldom at first, often around
        the time that the model usually takes, and slower again if it takes longer.
    :param expected_duration: Seconds that a request usually takes, if you know better. Default: what this process
        has seen of the model, before that 144.5 s for Kling O1, and anything from seconds to minutes for others.
    :param expected_cost: USD that a request costs at most, which the limits reserve before its submit. Default:
        what such a request has cost so far, where the limit is counted; before that 0.91 for Kling O1, 1.82 with
        ``duration=10``, and unknown for others (docs/spending.md#what-a-request-may-cost).
    :param max_cost: USD that this task instance may cost, over all attempts and clears. A submit that would exceed
        it fails the task, and nothing is charged. It needs a record (docs/spending.md).
    :param max_cost_per_run: USD that all tasks of a DAG run with this argument may cost together. Default: the
        deployment's option ``[segmind] max_cost_per_run``, if it is set; of both, the lower one counts. It needs
        ``[segmind] records_path``, and the price of a request (docs/spending.md#a-limit-for-a-dag-run).
    :param durable: If False, nothing is remembered from one attempt to the next (docs/records.md).
    :param check_parameters: What to do if the parameters of a request that is about to be submitted do not fit the
        model's entry in Segmind's public catalogue: ``"warn"`` logs a warning for each that does not; ``"error"``
        fails the task before anything is paid; ``"off"`` does not look. A catalogue that cannot be read is no
        error (docs/parameters.md).
    :param on_unresolved_submit: What to do if the history cannot tell whether a submit without an answer was
        accepted: ``"fail"``, or ``"resubmit"`` and perhaps pay twice (docs/paid-once.md).
    :param on_changed_parameters: What to do if the task was cleared, its parameters have changed, and a request
        with the former ones is paid for and not delivered: ``"continue"`` with that request, or ``"resubmit"``
        and pay for another. Default: continue; but resubmit in a mapped task, whose instance may stand for
        another item after a clear. A retry always continues (docs/records.md#parameters-that-change).
    :param abandon_request: The id of a request to give up: if it is this task's, is paid for or may be, and is not
        COMPLETED, the task leaves it and **pays for another one**, once. Of a submit whose request has no id that
        is known, the time that the error names. Several may stand there, with spaces or commas between them; what
        is not this task's is ignored. Default: the Airflow variable ``segmind_abandon_request``, if there is one
        (docs/runbook.md#give-up-a-request).
    :param push_result: Push the whole answer to XCom as well, under ``result``, if it has 64 KiB at most.
    :param kwargs: What every task of Airflow takes, such as ``task_id``, ``retries`` and ``pool``.
    """

    template_fields: Sequence[str] = (
        "model",
        "parameters",
        "upload",
        "input_conn_id",
        "output_path",
        "output_conn_id",
        "name_output_after",
        "segmind_conn_id",
        "expected_duration",
        "expected_cost",
        "max_cost",
        "max_cost_per_run",
        "abandon_request",
    )
    text_fields: ClassVar[Sequence[str]] = (
        *("model", "input_conn_id", "output_path", "output_conn_id", "name_output_after"),
        *("segmind_conn_id", "abandon_request"),
    )
    output_kinds: ClassVar[tuple[str, ...]] = ("",)
    """Beginnings of the media types that the model's outputs have: all, if the model is not known."""

    is_workflow: ClassVar[bool] = False
    """Whether ``model`` is the id of a workflow."""

    template_fields_renderers = {"parameters": "json"}  # noqa: RUF012 - as in BaseOperator
    ui_color = "#e8e4fb"
    operator_extra_links: tuple[BaseOperatorLink, ...] = (SegmindOutputLink(), SegmindModelLink())

    def __init__(
        self,
        *,
        model: str | XComArg,
        parameters: Mapping[str, Any] | str | XComArg | None = None,
        upload: Sequence[str] | XComArg = (),
        input_conn_id: str | XComArg | None = None,
        output_path: str | PathLike[str] | ObjectStoragePath | XComArg | None = None,
        output_conn_id: str | XComArg | None = None,
        name_output_after: str | XComArg | None = None,
        if_output_exists: Literal["replace", "skip", "error"] = "replace",
        max_output_bytes: int = DEFAULT_MAX_OUTPUT_BYTES,
        segmind_conn_id: str | XComArg = DEFAULT_CONNECTION_ID,
        deferrable: bool | None = None,
        wait_for_completion: bool = True,
        timeout: float = DEFAULT_TIMEOUT,
        poll_interval: float | None = None,
        expected_duration: float | str | XComArg | None = None,
        expected_cost: float | str | XComArg | None = None,
        max_cost: float | str | XComArg | None = None,
        max_cost_per_run: float | str | XComArg | None = None,
        durable: bool = True,
        check_parameters: Literal["warn", "error", "off"] = "warn",
        on_unresolved_submit: Literal["fail", "resubmit"] = "fail",
        on_changed_parameters: Literal["continue", "resubmit"] | None = None,
        abandon_request: str | XComArg | None = None,
        push_result: bool = False,
        **kwargs: Unpack[TaskArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.model: Any = model
        self.parameters: Any = parameters if parameters is not None else {}
        self.upload: Any = upload
        self.input_conn_id: Any = input_conn_id
        self.output_path: Any = output_path
        self.output_conn_id: Any = output_conn_id
        self.name_output_after: Any = name_output_after
        self.if_output_exists = if_output_exists
        self.max_output_bytes = max_output_bytes
        self.segmind_conn_id: Any = segmind_conn_id
        self.deferrable = read_deferrable(deferrable)
        self.wait_for_completion = wait_for_completion
        self.timeout = timeout
        self.poll_interval = poll_interval
        self.expected_duration: Any = expected_duration
        self.expected_cost: Any = expected_cost
        self.max_cost: Any = max_cost
        self.max_cost_per_run: Any = max_cost_per_run
        self.durable = durable
        self.check_parameters = check_parameters
        self.on_unresolved_submit = on_unresolved_submit
        self.on_changed_parameters = on_changed_parameters
        self.abandon_request: Any = abandon_request
        self.push_result = push_result
        self._run: InferenceRun | None = None
        if not is_mapped_instance(self):  # there, a wrong value fails the task in `execute`, without a retry
            self._check_literals()

    @classmethod
    def partial(cls, **arguments: Any) -> Any:
        """
        Return the task with the arguments that all instances of it share, as for any operator.

        :raises InvalidParameterError: If all instances would write to the same file.
        """
        check_partial(arguments)
        return super().partial(**arguments)

    def model_parameters(self) -> Mapping[str, Any]:
        """
        Return the model's parameters, as they go to Segmind. Called when templates are rendered.

        :raises InvalidParameterError: If one is wrong.
        """
        parameters, upload = with_plain_collections(self.parameters), names("upload", self.upload)
        check_no_files(parameters, "Add {name} to upload", upload)
        return check_parameters(check_locations(with_paths_as_text(parameters), upload))

    def output_of(self, result: RequestReport) -> Any:
        """Return the task's return value."""
        from airflow_provider_segmind.api.output import model_output  # parsing a DAG reads no result

        return model_output(result)

    def execute(self, context: Context) -> Any:
        """Submit, or continue with the request of an earlier attempt; then wait as asked for."""
        return self._begin_submit(context).start()

    def execute_after_rate_limit(self, context: Context, event: Any = None) -> Any:
        """Resume the task when the key may submit again. Frozen name: it is stored while tasks are deferred."""
        return self._begin_submit(context).continue_after_rate_limit(event)

    def execute_after_search(self, context: Context, event: Any = None) -> Any:
        """Resume the task when the history has been searched for an unresolved submit. Frozen name."""
        return self._begin_submit(context).continue_after_search(event)

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Resume the task when the trigger has seen the request's end. Frozen name."""
        return self._begin(context).complete(event)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume the task. A deferral that Airflow has ended must not lead to another charge."""
        run = self._begin(context)
        if run.is_of_an_earlier_attempt(next_kwargs):
            return self.execute(context)
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowException as error:
            if next_method != "__fail__":
                raise
            run.fail_broken_off(error)

    # What runs a task is imported where a task runs. All else in this module is what parsing a DAG needs.

    def _begin(self, context: Context) -> InferenceRun:
        """Return a new run of the task, which submits nothing."""
        from airflow_provider_segmind.operators.running import InferenceRun

        self._run = InferenceRun(self, context)
        return self._run

    def _begin_submit(self, context: Context) -> StartingRun:
        """Return a new run of the task, which may submit."""
        from airflow_provider_segmind.operators.starting import StartingRun

        self._run = run = StartingRun(self, context)
        return run

    def on_kill(self) -> None:
        """Say what becomes of the request when the task is killed in the worker."""
        if self._run is not None and self._run.request_id is not None:
            self.log.warning("The task was killed. %s", still_running(request_id=self._run.request_id))

    def get_openlineage_facets_on_start(self) -> OperatorLineage[Any, Any]:
        """
        Return this run's model and images. OpenLineage's provider asks, also when a deferred task is resumed.

        It asks in a fork of the worker, which must not use the worker's connection to Airflow. So this cannot look
        whether there is a request.
        """
        from airflow_provider_segmind.lineage.openlineage import lineage_of

        return lineage_of(self.model, self._images(), None)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Return this run's images, files and request. OpenLineage's provider asks, also if it failed."""
        from airflow_provider_segmind.lineage.openlineage import lineage_of

        request_id, finished = (self._run.request_id, self._run.finished) if self._run else (None, None)
        return lineage_of(self.model, self._images(), request_id, finished)

    def _images(self) -> list[str]:
        """Return where the images of the model come from, as the user gave them; none if they are not known."""
        if self.is_half_rendered:
            return []
        try:
            parameters, uploaded = self.model_parameters(), names("upload", self.upload)
        except Exception:  # noqa: BLE001 - the task fails of it when it runs; an event without images still names it
            return []
        locations = (location for name in uploaded for location in as_list(parameters.get(name)))
        return [location for location in locations if isinstance(location, str)]

    def _check_literals(self) -> None:
        """Check what is known when the DAG is parsed. No logic on templates: they are rendered later."""
        if is_literal(self.model):
            check_model(self.model)
        check_literals(self)
        if is_literal(self.parameters) and is_literal(self.upload):
            SegmindInferenceOperator.model_parameters(self)  # an operator for one model checks more, later
        if is_literal(self.name_output_after) and (names_of := self._names_of_parameters()) is not None:
            name = optional_text("name_output_after", self.name_output_after)
            if name is not None and name not in names_of:
                raise InvalidParameterError(
                    "name_output_after",
                    f"there is no parameter {one_line(name)!r}; the parameters are {sorted(names_of)}",
                )

    def _names_of_parameters(self) -> Sequence[str] | None:
        """Return the names of the model's parameters; None if they are not known when the DAG is parsed."""
        return [str(name) for name in self.parameters] if is_literal(self.parameters) else None

    def output_name(self) -> str | None:
        """
        Return the name of the output, as far as it comes from a parameter; None if it does not.

        :raises InvalidParameterError: If there is no such parameter, or no file in it.
        """
        name = optional_text("name_output_after", self.name_output_after)
        if name is None:
            return None
        parameters = self.model_parameters()
        locations = [location for location in as_list(parameters.get(name)) if isinstance(location, str)]
        if len(locations) != 1:
            raise InvalidParameterError(
                "name_output_after", f"must name a parameter with one file or URL, but {one_line(name)!r} has none"
            )
        return name_after(locations[0])
