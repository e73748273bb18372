"""What one execution of a task works with: its options, its record, and the submission that they are for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from airflow_provider_segmind.api.output import output_text, output_urls
from airflow_provider_segmind.durability.claims import Claims
from airflow_provider_segmind.durability.store import RecordStore
from airflow_provider_segmind.durability.submission import Submission
from airflow_provider_segmind.lineage.metrics import count_bytes
from airflow_provider_segmind.media.inputs import Inputs
from airflow_provider_segmind.media.storing import OutputStore, StoredOutput
from airflow_provider_segmind.operators.options import Options

if TYPE_CHECKING:
    from airflow_provider_segmind.api.answers import RequestReport
    from airflow_provider_segmind.compat import Context
    from airflow_provider_segmind.operators.inference import SegmindInferenceOperator


class Execution:
    """
    One execution of a task: from its start, or from an event of its trigger, to a deferral or its end.

    :raises InvalidParameterError: If an option is wrong.
    """

    def __init__(self, operator: SegmindInferenceOperator, context: Context) -> None:
        self._operator = operator
        self.context = context
        self.options = Options.of(operator)
        self.store = RecordStore(context, durable=self.options.durable)
        self._submission: Submission | None = None

    @property
    def accepted(self) -> str | None:
        """The id of the request that was submitted or found by now."""
        return self._submission.accepted if self._submission is not None else None

    @property
    def open(self) -> bool:
        """Whether there may be a request whose id is not known."""
        return self._submission is not None and self._submission.open

    @property
    def submission(self) -> Submission:
        """
        The request's way to Segmind.

        :raises InvalidParameterError: If a parameter of the model is wrong.
        """
        if self._submission is None:
            self._submission = self._made()
        return self._submission

    def _made(self) -> Submission:
        return Submission(
            self._operator.hook,
            self.store,
            Claims(self.context),
            self._inputs(),
            check_output=self.check_output,
            max_tries=self._max_tries,
            timeout=self.options.timeout,
            look=self.options.wait_for_completion,
            resubmit_unresolved=self.options.on_unresolved_submit == "resubmit",
        )

    def check_output(self) -> None:
        """
        Check before a submit that its output can be stored where ``output_path`` says, if it does.

        :raises InvalidParameterError: If it cannot.
        :raises UnwritableOutputError: If the storage has trouble that may pass.
        """
        if self._outputs is not None:
            self._outputs.check()

    def stored(self, result: RequestReport) -> list[StoredOutput]:
        """
        Store the outputs of a request where ``output_path`` says, if it does. What is there is not fetched again.

        :raises OutputError: If one cannot be stored.
        """
        request_id = result.request_id
        if self._outputs is None:
            return []
        before = [StoredOutput.from_json(each) for each in self.store.outputs(request_id)]

        def keep(stored: StoredOutput, number: int) -> None:
            self._keep(request_id, stored, number)

        text = output_text(result)
        if text is not None:
            return self._outputs.store_text(text, request_id, before, keep)
        produced_at = self.store.submitted_at(request_id)
        return self._outputs.store(output_urls(result), request_id, before, keep, produced_at=produced_at)

    def _keep(self, request_id: str, stored: StoredOutput, number: int) -> None:
        """Write down that an output is stored, and count its bytes: an attempt that finds it there does not."""
        self.store.keep_output(request_id, number, stored.as_json())
        count_bytes(self._operator.model, stored.size)

    @cached_property
    def _outputs(self) -> OutputStore | None:
        options = self.options
        if options.output_path is None:
            return None
        return OutputStore(
            options.output_path,
            options.output_conn_id,
            options.max_output_bytes,
            self._operator.hook.fetch,
            name=self._operator.output_name(),
        )

    def _inputs(self) -> Inputs:
        parameters = self._operator.checked_parameters()
        return Inputs(self._operator.model, parameters, self.options.upload, self.options.input_conn_id)

    def end(self, request_id: str) -> None:
        """Write down that the task has what it will get of a request."""
        self.store.end(request_id, self._max_tries)

    @property
    def _max_tries(self) -> int:
        return int(self.context["ti"].max_tries)
