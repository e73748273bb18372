"""The operator as it is, but mortal."""

from __future__ import annotations

from typing import Any

from dying import Death, wrap

from airflow_provider_segmind.durability import submission
from airflow_provider_segmind.durability.record import RecordState, RequestRecord
from airflow_provider_segmind.durability.store import RecordStore
from airflow_provider_segmind.hooks.segmind import SegmindHook
from airflow_provider_segmind.operators import running, starting
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator


class MortalKlingOperator(KlingImageToVideoOperator):
    """
    Kills its own process at a named point, once.

    Each attempt and each resumption is a separate process, so the points are set in the provider's classes.

    :param dies_at: The point.
    :param whole_worker: Whether the worker dies with the task.
    """

    def __init__(self, *, dies_at: str, whole_worker: bool = False, **kwargs: Any) -> None:
        self.dies_at = dies_at
        self.whole_worker = whole_worker
        super().__init__(**kwargs)

    def execute(self, context: Any) -> Any:
        """Go through the points before the wait."""
        self._mortal(context)
        return super().execute(context)

    def execute_after_search(self, context: Any, event: Any = None) -> Any:
        """Go through the points after a search for an unresolved submit."""
        self._mortal(context)
        return super().execute_after_search(context, event)

    def execute_complete(self, context: Any, event: Any = None) -> Any:
        """Go through the points after the wait."""
        self._mortal(context).at("at_resume")
        return super().execute_complete(context, event)

    def post_execute(self, context: Any, result: Any = None) -> None:
        """Go through the last one."""
        self._death(context).at("before_success")

    def _death(self, context: Any) -> Death:
        return Death(self.dies_at, context["ti"], whole_worker=self.whole_worker)

    def _mortal(self, context: Any) -> Death:
        death = self._death(context)

        def before_write(_store: RecordStore, record: RequestRecord) -> None:
            death.at("before_intent" if record.state is RecordState.SUBMITTING else "before_persist")

        def after_write(_store: RecordStore, record: RequestRecord) -> None:
            if record.state is RecordState.SUBMITTED:
                death.at("persisted")

        def before_submit(*_: Any) -> None:
            death.at("before_post")
            death.once_accepted("no_answer", self.segmind_conn_id)

        def after_send(_hook: SegmindHook, call: Any) -> None:
            if call.path.endswith("/status"):
                death.at("while_waiting")

        wrap(RecordStore, "write", before_write, after_write)
        wrap(
            RecordStore,
            "mark_delivered",
            lambda *_: death.at("before_delivered"),
            lambda *_: death.at("after_delivered"),
        )
        wrap(SegmindHook, "submit", before_submit)
        wrap(SegmindHook, "send", after=after_send)
        wrap(running, "push_summary", lambda *_: death.at("before_result"))
        wrap(starting.StartingRun, "_defer_until_done", lambda *_: death.at("at_defer"))
        return death


def believe_in_late_rows_for(seconds: float) -> None:
    """Have the operator give up on a row of the history sooner or later than after a minute."""
    submission.HISTORY_LAG = seconds
    submission.latest_usual_duration = lambda *_: 0.0
