"""Run any model as a task."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.awaited_turn import AwaitedTurn
from airflow_provider_segmind.api.file_names import name_after
from airflow_provider_segmind.api.follow import FollowedRequest
from airflow_provider_segmind.api.locations import checked_places, listed
from airflow_provider_segmind.api.output import model_output
from airflow_provider_segmind.api.resolve import LostSubmit, find_lost
from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.arguments import (
    is_literal,
    names,
    optional_text,
    with_paths_as_text,
    with_plain_collections,
)
from airflow_provider_segmind.compat import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    BaseOperator,
    TaskDeferred,
)
from airflow_provider_segmind.delivery import (
    REQUEST_ID_KEY,
    push_request_id,
    push_result,
    push_stored,
    raise_task_failure,
)
from airflow_provider_segmind.durability.submission import Begun, PaidRequest
from airflow_provider_segmind.exceptions import (
    InvalidParameterError,
    OutputGoneError,
    RequestExpiredError,
    SegmindError,
    UnusableOutputError,
)
from airflow_provider_segmind.hooks.connection import DEFAULT_CONNECTION_ID
from airflow_provider_segmind.hooks.segmind import SegmindHook
from airflow_provider_segmind.hooks.waiting import driven, fetch_completed, wait_for
from airflow_provider_segmind.lineage.assets import tell_assets
from airflow_provider_segmind.lineage.delivered import Delivered
from airflow_provider_segmind.lineage.metrics import count_failure, count_once
from airflow_provider_segmind.operators.execution import Execution
from airflow_provider_segmind.operators.options import check_literals
from airflow_provider_segmind.rendering import UntrustedValuesUnrendered
from airflow_provider_segmind.triggers.driving import deferral_timeout
from airflow_provider_segmind.triggers.events import LargeResult, read_event, read_traces, read_turn
from airflow_provider_segmind.triggers.lost_submit import SegmindLostSubmitTrigger
from airflow_provider_segmind.triggers.request import SegmindRequestTrigger
from airflow_provider_segmind.triggers.turn import SegmindTurnTrigger

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_segmind.api.answers import RequestReport
    from airflow_provider_segmind.compat import Context

SegmindTrigger = SegmindRequestTrigger | SegmindLostSubmitTrigger | SegmindTurnTrigger

DEFAULT_TIMEOUT = 900.0
DEFAULT_MAX_OUTPUT_BYTES = 2 * 1024**3

_NOTHING_MORE_TO_GET = (RequestExpiredError, UnusableOutputError, OutputGoneError)
"""Errors after which going on with the same request cannot help: a cleared task submits another."""

_MEANT = (AirflowFailException, AirflowSkipException, TaskDeferred)
"""What ends an execution as it should."""

_LIVES_ON = (
    "It lives on at Segmind, and another try would pay for another one: wait for it with SegmindRequestSensor."
)
_PERHAPS_PAID = (
    "If the task's log tells of a submit without a clear answer, look for it in Segmind's request history; if it "
    "does not, nothing was charged. Then clear the task."
)


class SegmindInferenceOperator(UntrustedValuesUnrendered, BaseOperator):
    """
    Run a model and wait for its output, without holding a worker slot.

    Each submit is charged once the request completes, and Segmind can neither recognise a repeated submit
    nor cancel one. So the task pays once, whatever dies: it writes down the intent before the submit and
    the id after it, and the next try goes on with the same request. That takes Airflow 3.3 or later; below
    it, each try submits once, and what a retry would pay for again (a passed ``timeout``) fails without
    one. On every version, a submit without a clear answer is looked for in Segmind's request history, for
    up to two minutes, before anything else is sent. A submit that is refused for the key's rate limit waits
    for its turn in the triggerer, for ``timeout`` at most, and uses up no retry. A FAILED request is not
    charged, and follows the task's ``retries``, as do server errors before anything was accepted. What no
    retry can mend (a rejected key, wrong parameters, no credits) fails the task at once. All arguments are
    templated.

    Each Asset among the task's ``outlets`` gets an event whose extra has ``url``, ``output_path``, ``request_id``,
    ``model`` and ``cost``; each AssetAlias an event with the URI of each stored file.

    XCom: the return value is the model's output (usually a URL; Segmind deletes files after seven days). Beside
    it ``request_id``, pushed as soon as it exists, ``result``, the whole answer, and ``metrics``: ``cost`` and
    ``remaining_credits`` in USD, ``inference_time``, ``queue_time`` and ``total_time`` in seconds.

    :param model: The model's slug, the end of its page's address.
    :param parameters: What the model's page lists.
    :param upload: The names of parameters that hold images, or lists of images, which may lie where Segmind cannot
        fetch them: an object-storage URI (``s3://…``, ``gs://…``, ``file:///…``) or an absolute path on the
        worker, 20 MiB at most. They are uploaded to Segmind, whose URLs are public. From Airflow 3.3 a retry
        uploads nothing twice.
    :param input_conn_id: The Airflow connection to that storage; None for the storage's default.
    :param output_path: Where to store the output: an object-storage URI or an absolute path on the worker; with a
        slash at its end a folder, in which the file is called by the request's id. Of several outputs each gets a
        number. The file is there whole or not at all, and a retry fetches nothing that is there. XCom: the keys
        ``output_path``, ``output_bytes``, ``output_sha256`` and ``content_type``; lists if there are several.
    :param output_conn_id: The Airflow connection to that storage; None for the storage's default.
    :param name_output_after: The name of a parameter that holds a file or a URL, such as ``start_image_url``. In
        an ``output_path`` with a slash at its end, the output is called by that file: ``mug.jpg`` becomes
        ``mug.jpg.mp4``. The name is never rendered as a template, and leads out of no folder.
    :param max_output_bytes: The most that all outputs of a request may have together. Default 2 GiB.
    :param segmind_conn_id: A connection of the type ``segmind``.
    :param deferrable: Wait in the triggerer (default) or, if False, in the worker.
    :param wait_for_completion: If False, return the request id at once; SegmindRequestSensor waits for it.
    :param timeout: Seconds from submission after which to give up. The request itself lives on.
    :param poll_interval: Seconds between looks; None asks when an answer is likely: seldom at first, often around
        the time that the model usually takes, and slower again if it takes longer.
    :param expected_duration: Seconds that a request usually takes, if you know better. Default: what this process
        has seen of the model, before that 144.5 s for Kling O1, and anything from seconds to minutes for others.
    :param durable: If False, nothing is remembered from try to try.
    :param on_unresolved_submit: What to do if the history cannot tell whether a submit without an answer was
        accepted: ``"fail"``, or ``"resubmit"`` and perhaps pay twice.
    """

    template_fields: Sequence[str] = (
        "model",
        "parameters",
        "upload",
        "input_conn_id",
        "output_path",
        "output_conn_id",
        "name_output_after",
        "max_output_bytes",
        "segmind_conn_id",
        "deferrable",
        "wait_for_completion",
        "timeout",
        "poll_interval",
        "expected_duration",
        "durable",
        "on_unresolved_submit",
    )
    text_fields: ClassVar[Sequence[str]] = (
        *("model", "input_conn_id", "output_path", "output_conn_id", "name_output_after"),
        *("segmind_conn_id", "on_unresolved_submit"),
    )
    template_fields_renderers = {"parameters": "json"}  # noqa: RUF012 - as in BaseOperator
    ui_color = "#e8e4fb"

    def __init__(
        self,
        *,
        model: str,
        parameters: Mapping[str, Any] | None = None,
        upload: Sequence[str] = (),
        input_conn_id: str | None = None,
        output_path: str | None = None,
        output_conn_id: str | None = None,
        name_output_after: str | None = None,
        max_output_bytes: int | str = DEFAULT_MAX_OUTPUT_BYTES,
        segmind_conn_id: str = DEFAULT_CONNECTION_ID,
        deferrable: bool | str = True,
        wait_for_completion: bool | str = True,
        timeout: float | str = DEFAULT_TIMEOUT,
        poll_interval: float | str | None = None,
        expected_duration: float | str | None = None,
        durable: bool | str = True,
        on_unresolved_submit: str = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.parameters = {} if parameters is None else with_paths_as_text(parameters)
        self.upload = upload
        self.input_conn_id = input_conn_id
        self.output_path = with_paths_as_text(output_path)
        self.output_conn_id = output_conn_id
        self.name_output_after = name_output_after
        self.max_output_bytes = max_output_bytes
        self.segmind_conn_id = segmind_conn_id
        self.deferrable = deferrable
        self.wait_for_completion = wait_for_completion
        self.timeout = timeout
        self.poll_interval = poll_interval
        self.expected_duration = expected_duration
        self.durable = durable
        self.on_unresolved_submit = on_unresolved_submit
        self._request_id: str | None = None
        self._finished: Delivered | None = None
        self._check_literals()

    @cached_property
    def hook(self) -> SegmindHook:
        """The hook for this task's connection."""
        return SegmindHook(self.segmind_conn_id)

    def checked_parameters(self) -> Mapping[str, Any]:
        """
        Return the model's parameters, as they go to Segmind. Called when templates are rendered.

        :raises InvalidParameterError: If one is wrong.
        """
        parameters = with_plain_collections(self.parameters)
        return calls.checked_parameters(checked_places(parameters, names("upload", self.upload)))

    def output_of(self, result: RequestReport) -> Any:
        """Return the task's return value."""
        return model_output(result)

    def execute(self, context: Context) -> Any:
        """Submit, or go on with the request of an earlier try; then wait as asked for."""
        with self._failing(context) as execution:
            return self._went_on(execution, execution.submission.begin())

    def execute_turn(self, context: Context, event: Any = None) -> Any:
        """Take up the task again when the key may submit once more."""
        with self._failing(context) as execution:
            return self._went_on(execution, execution.submission.take(read_turn(event)))

    def execute_found(self, context: Context, event: Any = None) -> Any:
        """Take up the task again when the request history has been searched for a lost submit."""
        with self._failing(context) as execution:
            return self._went_on(execution, execution.submission.settle(*read_traces(event)))

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Take up the task again when the trigger has seen the request's end."""
        with self._failing(context) as execution:
            found = read_event(event)
            if isinstance(found, LargeResult):
                self._request_id = found.request_id
                found = fetch_completed(found.request_id, self.hook)
            return self._delivered(execution, found)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Take up the task again; a trigger that broke off must not lead to another charge."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowException as error:
            if next_method != "__fail__":
                raise
            self._request_id = context["ti"].xcom_pull(
                task_ids=self.task_id, key=REQUEST_ID_KEY, map_indexes=context["ti"].map_index
            )
            if self._execution(context).store.remembers:
                raise
            what, advice = (
                (f"for request {self._request_id}", _LIVES_ON)
                if self._request_id
                else ("to submit", _PERHAPS_PAID)
            )
            raise AirflowFailException(f"The wait {what} broke off: {error}. {advice}") from error

    def on_kill(self) -> None:
        """Say what becomes of the request when the task is killed in the worker."""
        if self._request_id is not None:
            self.log.warning(
                "The task was killed, but Segmind cannot cancel request %s: it runs on and will be billed if it "
                "completes. Wait for it with SegmindRequestSensor.",
                self._request_id,
            )

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Return this run's images, files and request. OpenLineage's provider asks, also if it failed."""
        from airflow_provider_segmind.lineage.openlineage import lineage_of

        return lineage_of(self.model, self._images(), self._request_id, self._finished)

    def _images(self) -> list[str]:
        """Return where the images of the model come from, as the user gave them; none if they are wrong."""
        try:
            parameters, uploaded = self.checked_parameters(), names("upload", self.upload)
        except InvalidParameterError:
            return []
        places = (place for name in uploaded for place in listed(parameters.get(name)))
        return [place for place in places if isinstance(place, str)]

    def _check_literals(self) -> None:
        """Check what is known when the DAG is parsed."""
        if is_literal(self.model):
            calls.checked_model(self.model)
        check_literals(self)
        if is_literal(self.parameters) and is_literal(self.upload):
            SegmindInferenceOperator.checked_parameters(self)  # an operator for one model has checks of its own
        if is_literal(self.name_output_after) and (names_of := self._names_of_parameters()) is not None:
            name = optional_text("name_output_after", self.name_output_after)
            if name is not None and name not in names_of:
                raise InvalidParameterError(
                    "name_output_after", f"there is no parameter {one_line(name)!r}; there are {sorted(names_of)}"
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
        parameters = self.checked_parameters()
        places = [place for place in listed(parameters.get(name)) if isinstance(place, str)]
        if len(places) != 1:
            raise InvalidParameterError(
                "name_output_after", f"must name a parameter with one file or URL, and {one_line(name)!r} has none"
            )
        return name_after(places[0])

    def _execution(self, context: Context) -> Execution:
        try:
            return Execution(self, context)
        except InvalidParameterError as error:
            count_failure(self.model, error)
            raise_task_failure(error)

    def _went_on(self, execution: Execution, begun: Begun) -> Any:
        """Go on with what a submission has come to, until the task defers or has its output."""
        while not isinstance(begun, PaidRequest):
            if isinstance(begun, AwaitedTurn):
                begun = self._turn_come(execution, begun)
            else:
                begun = self._searched(execution, begun)
        options = execution.options
        self._request_id = begun.request_id
        push_request_id(execution.context, begun.request_id)
        if not options.wait_for_completion:
            execution.end(begun.request_id)
            return begun.request_id
        if begun.result is not None:
            return self._delivered(execution, begun.result)
        request = FollowedRequest(
            begun.request_id,
            begun.submitted_at,
            begun.submitted_at + options.timeout,
            options.poll_interval,
            self.model,
            options.expected_duration,
        )
        if options.deferrable:
            self._defer_until_done(request)
        return self._delivered(execution, wait_for(request, self.hook))

    def _turn_come(self, execution: Execution, turn: AwaitedTurn) -> Begun:
        """Wait for the next turn to submit: in the triggerer, or here if the task is not to be deferred."""
        if execution.options.deferrable:
            self._defer(SegmindTurnTrigger(self.segmind_conn_id, turn.as_json()), "execute_turn")
        time.sleep(turn.alone(time.time()))
        return execution.submission.take(turn)

    def _searched(self, execution: Execution, lost: LostSubmit) -> Begun:
        """Search the request history for a submit without an answer: in the triggerer, or here."""
        if execution.options.deferrable:
            self._defer(SegmindLostSubmitTrigger(self.segmind_conn_id, lost.as_json()), "execute_found")
        return execution.submission.settle(lost, driven(find_lost(lost, time.time), self.hook))

    def _defer_until_done(self, request: FollowedRequest) -> None:
        trigger = SegmindRequestTrigger(segmind_conn_id=self.segmind_conn_id, **asdict(request))
        self._defer(trigger, "execute_complete")

    def _defer(self, trigger: SegmindTrigger, method_name: str) -> None:
        """Free the worker until a trigger has ended its wait."""
        self.defer(trigger=trigger, method_name=method_name, timeout=deferral_timeout(trigger.latest_end))

    def _delivered(self, execution: Execution, result: RequestReport) -> Any:
        self._request_id = result.request_id
        # It is charged, whatever becomes of the output.
        count_once(execution.context, Delivered(self.model, result, None))
        push_result(execution.context, result)
        output = self.output_of(result)
        stored = execution.stored(result)
        push_stored(execution.context, stored)
        self._finished = Delivered(self.model, result, output, stored)
        tell_assets(execution.context, self.outlets, self._finished)
        execution.end(result.request_id)
        self.log.info("Request %s is done. Metrics: %s", result.request_id, result.metrics)
        return output

    @contextmanager
    def _failing(self, context: Context) -> Iterator[Execution]:
        """Fail in the way that fits the error, and keep the record true to it."""
        execution = self._execution(context)
        remembered = execution.store.remembers
        try:
            yield execution
        except SegmindError as error:
            error.request_id = error.request_id or execution.accepted or execution.store.undelivered()
            self._request_id = self._request_id or error.request_id
            count_failure(self.model, error)
            if error.request_id is not None and isinstance(error, _NOTHING_MORE_TO_GET):
                execution.end(error.request_id)
            raise_task_failure(error, remembered=remembered)
        except BaseException as error:  # a task that is stopped from outside is no Exception
            request_id = self._request_id = self._request_id or execution.accepted
            if remembered or isinstance(error, _MEANT) or not (request_id or execution.open):
                raise
            what, advice = (
                (f"Request {request_id} was submitted", _LIVES_ON)
                if request_id
                else ("A submit had no clear answer", _PERHAPS_PAID)
            )
            raise AirflowFailException(
                f"{what}, then the task broke off: {one_line(f'{type(error).__name__}: {error}')}. {advice}"
            ) from error
