"""Run any model as a task."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowTaskTimeout,
    BaseOperator,
)

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.awaited_turn import AwaitedTurn, turn_after
from airflow_provider_segmind.api.follow import FollowedRequest
from airflow_provider_segmind.api.output import model_output
from airflow_provider_segmind.api.resolve import LostSubmit, find_lost
from airflow_provider_segmind.arguments import is_literal
from airflow_provider_segmind.delivery import REQUEST_ID_KEY, push_request_id, push_result, task_failure
from airflow_provider_segmind.durability.claims import Claims
from airflow_provider_segmind.durability.store import RecordStore
from airflow_provider_segmind.durability.submission import PaidRequest, Submission
from airflow_provider_segmind.exceptions import (
    InvalidParameterError,
    RateLimitedError,
    RequestExpiredError,
    SegmindError,
    UnusableOutputError,
)
from airflow_provider_segmind.hooks.connection import DEFAULT_CONNECTION_ID
from airflow_provider_segmind.hooks.segmind import SegmindHook
from airflow_provider_segmind.hooks.waiting import driven, wait_for
from airflow_provider_segmind.operators.options import Options, check_literals
from airflow_provider_segmind.triggers.events import read_event, read_traces, read_turn
from airflow_provider_segmind.triggers.lost_submit import SegmindLostSubmitTrigger
from airflow_provider_segmind.triggers.request import SegmindRequestTrigger
from airflow_provider_segmind.triggers.turn import SegmindTurnTrigger

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_segmind.api.answers import RequestReport

DEFAULT_TIMEOUT = 900.0

_NOTHING_MORE_TO_GET = (RequestExpiredError, UnusableOutputError)
"""Errors after which going on with the same request cannot help: a cleared task submits another."""

_LIVES_ON = (
    "It lives on at Segmind, and another try would pay for another one: wait for it with SegmindRequestSensor."
)


class SegmindInferenceOperator(BaseOperator):
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

    XCom: the return value is the model's output (usually a URL; Segmind deletes files after seven days). Beside
    it ``request_id``, pushed as soon as it exists, ``result``, the whole answer, and ``metrics``: ``cost`` and
    ``remaining_credits`` in USD, ``inference_time``, ``queue_time`` and ``total_time`` in seconds.

    :param model: The model's slug, the end of its page's address.
    :param parameters: What the model's page lists.
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
        "segmind_conn_id",
        "deferrable",
        "wait_for_completion",
        "timeout",
        "poll_interval",
        "expected_duration",
        "durable",
        "on_unresolved_submit",
    )
    template_fields_renderers = {"parameters": "json"}  # noqa: RUF012 - as in BaseOperator
    ui_color = "#e8e4fb"

    def __init__(
        self,
        *,
        model: str,
        parameters: Mapping[str, Any] | None = None,
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
        self.parameters = {} if parameters is None else parameters
        self.segmind_conn_id = segmind_conn_id
        self.deferrable = deferrable
        self.wait_for_completion = wait_for_completion
        self.timeout = timeout
        self.poll_interval = poll_interval
        self.expected_duration = expected_duration
        self.durable = durable
        self.on_unresolved_submit = on_unresolved_submit
        self._request_id: str | None = None
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
        return calls.checked_parameters(self.parameters)

    def output_of(self, result: RequestReport) -> Any:
        """Return the task's return value."""
        return model_output(result)

    def execute(self, context: Context) -> Any:
        """Submit, or go on with the request of an earlier try; then wait as asked for."""
        with self._failing(context) as options:
            return self._begun(context, options)

    def execute_turn(self, context: Context, event: Any = None) -> Any:
        """Take up the task again when the key may submit once more."""
        with self._failing(context) as options:
            return self._begun(context, options, read_turn(event))

    def execute_found(self, context: Context, event: Any = None) -> Any:
        """Take up the task again when the request history has been searched for a lost submit."""
        with self._failing(context) as options:
            submission = self._submission(context, options)
            try:
                return self._went_on(context, options, submission, submission.settle(*read_traces(event)))
            except RateLimitedError as refused:
                return self._begun(context, options, self._refused(options, refused))

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Take up the task again when the trigger has seen the request's end."""
        with self._failing(context) as options:
            return self._delivered(context, options, read_event(event))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Take up the task again; a trigger that broke off must not lead to another charge."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowException as error:
            if next_method != "__fail__" or self._store(context, self._options()).remembers:
                raise
            request_id = context["ti"].xcom_pull(task_ids=self.task_id, key=REQUEST_ID_KEY)
            raise AirflowFailException(
                f"The wait for request {request_id} broke off: {error}. {_LIVES_ON}"
            ) from error

    def on_kill(self) -> None:
        """Say what becomes of the request when the task is killed in the worker."""
        if self._request_id is not None:
            self.log.warning(
                "The task was killed, but Segmind cannot cancel request %s: it runs on and will be billed if it "
                "completes. Wait for it with SegmindRequestSensor.",
                self._request_id,
            )

    def _check_literals(self) -> None:
        """Check what is known when the DAG is parsed."""
        if is_literal(self.model):
            calls.checked_model(self.model)
        if is_literal(self.parameters):
            calls.checked_parameters(self.parameters)
        check_literals(self)

    def _options(self) -> Options:
        try:
            return Options.of(self)
        except InvalidParameterError as error:
            raise task_failure(error) from error

    def _submission(self, context: Context, options: Options) -> Submission:
        return Submission(
            self.hook,
            self._store(context, options),
            Claims(context),
            self.model,
            self.checked_parameters(),
            resubmit_unresolved=options.on_unresolved_submit == "resubmit",
        )

    def _store(self, context: Context, options: Options) -> RecordStore:
        return RecordStore(context, durable=options.durable)

    def _begun(self, context: Context, options: Options, turn: AwaitedTurn | None = None) -> Any:
        """
        Get the request, and go on with it.

        :param turn: What was waited for since the submit was refused, if it was.
        """
        submission = self._submission(context, options)
        while True:
            try:
                begun = submission.begin(context["ti"].max_tries, look=options.wait_for_completion)
                return self._went_on(context, options, submission, begun)
            except RateLimitedError as refused:
                turn = self._refused(options, refused, turn)

    def _refused(
        self, options: Options, refusal: RateLimitedError, before: AwaitedTurn | None = None
    ) -> AwaitedTurn:
        """Wait for the next turn to submit: in the triggerer, or here if the task is not to be deferred."""
        turn = turn_after(refusal, before, options.timeout, time.time())
        self.log.info("Not submitted, and not charged: %s Waiting for a turn.", refusal)
        if options.deferrable:
            self.defer(trigger=SegmindTurnTrigger(self.segmind_conn_id, asdict(turn)), method_name="execute_turn")
        time.sleep(max(min(turn.alone(time.time()), turn.deadline - time.time()), 0))
        return turn

    def _went_on(
        self, context: Context, options: Options, submission: Submission, begun: PaidRequest | LostSubmit
    ) -> Any:
        while isinstance(begun, LostSubmit):
            if options.deferrable:
                self.defer(
                    trigger=SegmindLostSubmitTrigger(self.segmind_conn_id, asdict(begun)),
                    method_name="execute_found",
                )
            begun = submission.settle(begun, driven(find_lost(begun, time.time), self.hook))
        self._request_id = begun.request_id
        push_request_id(context, begun.request_id)
        if not options.wait_for_completion:
            self._store(context, options).end(begun.request_id, context["ti"].max_tries)
            return begun.request_id
        if begun.result is not None:
            return self._delivered(context, options, begun.result)
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
        return self._delivered(context, options, wait_for(request, self.hook))

    def _defer_until_done(self, request: FollowedRequest) -> None:
        """
        Free the worker.

        No timeout is given to Airflow: the trigger keeps the deadline itself, and can say what became of the
        request, where Airflow's own timeout would be a failure without the request's id.
        """
        self.defer(
            trigger=SegmindRequestTrigger(segmind_conn_id=self.segmind_conn_id, **asdict(request)),
            method_name="execute_complete",
        )

    def _delivered(self, context: Context, options: Options, result: RequestReport) -> Any:
        self._request_id = result.request_id
        push_result(context, result)
        output = self.output_of(result)
        self._store(context, options).end(result.request_id, context["ti"].max_tries)
        self.log.info("Request %s is done. Metrics: %s", result.request_id, result.metrics)
        return output

    @contextmanager
    def _failing(self, context: Context) -> Iterator[Options]:
        """Hand out the options; fail in the way that fits the error, and keep the record true to it."""
        options = self._options()
        store = self._store(context, options)
        try:
            yield options
        except SegmindError as error:
            if error.request_id is not None and isinstance(error, _NOTHING_MORE_TO_GET):
                store.end(error.request_id, context["ti"].max_tries)
            raise task_failure(error, remembered=store.remembers) from error
        except (AirflowTaskTimeout, Exception) as error:
            if self._request_id is None or isinstance(error, AirflowException) or store.remembers:
                raise
            raise AirflowFailException(
                f"Request {self._request_id} was submitted, then the task broke off: "
                f"{type(error).__name__}: {error}. {_LIVES_ON}"
            ) from error
