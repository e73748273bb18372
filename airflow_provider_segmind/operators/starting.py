"""What a task of SegmindInferenceOperator does until its request has ended: submit, wait, defer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_segmind.api.follow import FollowedRequest
from airflow_provider_segmind.api.moments import utc
from airflow_provider_segmind.api.rate_limited_submit import RateLimitedSubmit
from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.api.unresolved_submit import UnresolvedSubmit
from airflow_provider_segmind.api.usual_duration import variant_of
from airflow_provider_segmind.delivery import push_request_id, push_summary_of_kept
from airflow_provider_segmind.durability.ending import Completed, HandedOver, Submitted
from airflow_provider_segmind.durability.submission import SubmissionStep
from airflow_provider_segmind.exceptions import SegmindError
from airflow_provider_segmind.hooks.driving import drive, log_wait, wait_for, wait_shortly
from airflow_provider_segmind.lineage.assets import suppress_asset_events
from airflow_provider_segmind.media.existing_outputs import paths_of
from airflow_provider_segmind.operators.execution import Execution, OutputKept
from airflow_provider_segmind.operators.running import InferenceRun
from airflow_provider_segmind.triggers.deferral import deferral_timeout, earliest_event
from airflow_provider_segmind.triggers.request import SegmindRequestTrigger

if TYPE_CHECKING:
    from airflow_provider_segmind.api.history_search import HistoryMatches
    from airflow_provider_segmind.triggers.base import SegmindTrigger

log = logging.getLogger(__name__)


class StartingRun(InferenceRun):
    """
    One run of a task from its start, or from the end of a wait before there was a request.

    What few submits need is imported where one needs it: the search for one without a clear answer, and the wait
    for a turn.
    """

    def start(self) -> Any:
        """Submit, or continue with the request of an earlier attempt; then wait as asked for."""
        with self._failing() as execution:
            return self._continue(execution, execution.submission.start)

    def continue_after_rate_limit(self, event: Any) -> Any:
        """Continue when the key may submit again."""
        from airflow_provider_segmind.triggers.submit_events import read_rate_limit_event

        with self._failing() as execution:
            submit = read_rate_limit_event(event)
            execution.has_warned = True  # before its submit was held back
            return self._continue(execution, lambda: execution.submission.continue_rate_limited(submit))

    def continue_after_search(self, event: Any) -> Any:
        """Continue when the history has been searched for an unresolved submit."""
        from airflow_provider_segmind.triggers.submit_events import read_search_event

        with self._failing(may_be_paid=True) as execution:
            submit, matches = read_search_event(event)
            return self._continue(execution, lambda: execution.submission.continue_unresolved(submit, matches))

    def _continue(self, execution: Execution, begin: Callable[[], SubmissionStep]) -> Any:
        """
        Continue with the task's submission, until the task defers or has its output.

        :param begin: Does what comes first. It may submit.
        """
        try:
            step = begin()
            while isinstance(step, (RateLimitedSubmit, UnresolvedSubmit)):
                if isinstance(step, RateLimitedSubmit):
                    step = self._wait_for_turn(execution, step)
                else:
                    step = self._search(execution, step)
        except OutputKept as kept:
            return self._keep(execution, kept)
        return self._follow(execution, step)

    def _keep(self, execution: Execution, kept: OutputKept) -> Any:
        """Return where the output is that is there already. Nothing was submitted, and no asset has changed."""
        self._task.log.info(
            "Nothing was submitted, and nothing is charged: %s is there already", one_line(str(kept))
        )
        suppress_asset_events(self._task)
        if kept.request_id is not None and (self._task.do_xcom_push or execution.needs_request_id):
            push_request_id(execution.context, kept.request_id)
        if self._task.do_xcom_push:
            push_summary_of_kept(execution.context, self._task.model, kept.request_id, kept.outputs)
        return paths_of(kept.outputs)

    def _follow(self, execution: Execution, step: Submitted | Completed) -> Any:
        """Continue with a request that is paid for, or will be, until the task defers or has its output."""
        self.request_id = step.result.request_id if isinstance(step, Completed) else step.request_id
        if self._task.do_xcom_push or execution.needs_request_id:
            push_request_id(execution.context, self.request_id)
        if isinstance(step, Completed):
            return self._deliver(execution, step)
        options = execution.options
        if not options.wait_for_completion:
            execution.finish(step, HandedOver())
            suppress_asset_events(self._task)
            return step.request_id
        request = FollowedRequest(
            step.request_id,
            step.sent_at,
            step.sent_at + options.timeout,
            options.poll_interval,
            self._task.model,
            execution.expected_duration,
            variant=self._read_variant(),
        )
        if not options.deferrable:
            log_wait(request, "worker")
            return self._deliver(execution, Completed(wait_for(request, self._task.hook)))
        done = wait_shortly(request, self._task.hook)
        if done is None:
            self._defer_until_done(execution, request)
        return self._deliver(execution, Completed(done))

    def _read_variant(self) -> str | None:
        """Return what decides how long the request takes. Its wait must not fail, whatever renders by now."""
        try:
            return variant_of(self._task.model_parameters())
        except SegmindError:
            return None

    def _wait_for_turn(self, execution: Execution, submit: RateLimitedSubmit) -> SubmissionStep:
        """Wait until the key may submit again: in the triggerer, or here if the task is not to be deferred."""
        log.info(
            "The submit to %s waits for its turn: until %s at least. It gives up at %s",
            one_line(self._task.model),
            utc(submit.not_before),
            utc(submit.deadline),
        )
        if execution.options.deferrable:
            from airflow_provider_segmind.triggers.rate_limit import SegmindRateLimitTrigger

            trigger = SegmindRateLimitTrigger(self._task.segmind_conn_id, submit.as_json())
            self._defer(execution, trigger, "execute_after_rate_limit")
        time.sleep(submit.pause(time.time()))
        return execution.submission.continue_rate_limited(submit, has_turn=False)

    def _search(self, execution: Execution, submit: UnresolvedSubmit) -> SubmissionStep:
        """Search the request history for an unresolved submit: in the triggerer, or here."""
        log.info(
            "Searching the request history for the submit to %s at %s: from %s until %s",
            one_line(submit.model),
            submit.name,
            utc(submit.search_from),
            utc(submit.search_until),
        )
        if execution.options.deferrable:
            from airflow_provider_segmind.triggers.unresolved_submit import SegmindUnresolvedSubmitTrigger

            trigger = SegmindUnresolvedSubmitTrigger(self._task.segmind_conn_id, submit.as_json())
            self._defer(execution, trigger, "execute_after_search")
        from airflow_provider_segmind.api.history_search import search_history

        matches: HistoryMatches = drive(search_history(submit, time.time), self._task.hook)
        return execution.submission.continue_unresolved(submit, matches)

    def _defer_until_done(self, execution: Execution, request: FollowedRequest) -> NoReturn:
        log_wait(request, "triggerer")
        trigger = SegmindRequestTrigger(segmind_conn_id=self._task.segmind_conn_id, **asdict(request))
        self._defer(execution, trigger, "execute_complete")

    def _defer(self, execution: Execution, trigger: SegmindTrigger, method_name: str) -> NoReturn:
        """Free the worker until a trigger has ended its wait."""
        trigger.attempt = execution.context["ti"].try_number
        trigger.earliest_event = earliest_event()
        self._task.defer(trigger=trigger, method_name=method_name, timeout=deferral_timeout(trigger.latest_end))
