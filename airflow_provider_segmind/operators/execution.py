"""What one execution of a task works with: its options, its record, and the submission that they are for."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING

from airflow_provider_segmind.arguments import names_given_up
from airflow_provider_segmind.compat import read_variable
from airflow_provider_segmind.delivery import VARIABLE
from airflow_provider_segmind.durability.claims import Claims
from airflow_provider_segmind.durability.ending import finish
from airflow_provider_segmind.durability.limits import is_limited
from airflow_provider_segmind.durability.record import RecordState
from airflow_provider_segmind.durability.store import RecordStore
from airflow_provider_segmind.exceptions import SegmindError
from airflow_provider_segmind.lineage.metrics import count_bytes
from airflow_provider_segmind.media.existing_outputs import check_existing
from airflow_provider_segmind.media.mapped_outputs import check_instance

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_segmind.api.answers import RequestReport
    from airflow_provider_segmind.compat import Context
    from airflow_provider_segmind.durability.ending import (
        Completed,
        HandedOver,
        OutputDelivered,
        OutputLost,
        Submitted,
    )
    from airflow_provider_segmind.durability.spending import Spending
    from airflow_provider_segmind.durability.submission import Submission
    from airflow_provider_segmind.hooks.segmind import SegmindHook
    from airflow_provider_segmind.lineage.delivered import Delivered
    from airflow_provider_segmind.media.inputs import Inputs
    from airflow_provider_segmind.media.stored import ExistingOutput, StoredOutput
    from airflow_provider_segmind.media.storing import OutputStore
    from airflow_provider_segmind.operators.options import Options


log = logging.getLogger(__name__)


class OutputKept(Exception):  # noqa: N818 - it ends a task as its author wants it
    """
    The output is there already, and with ``if_output_exists="skip"`` nothing is submitted.

    :param outputs: The files.
    :param request_id: Of the task's own request that made them; None if another task or a person did.
    """

    def __init__(self, outputs: Sequence[ExistingOutput], request_id: str | None) -> None:
        self.outputs = outputs
        self.request_id = request_id
        super().__init__(", ".join(each.path for each in outputs))


class Execution:
    """
    One execution of a task: from its start, or from an event of its trigger, to a deferral or its end.

    :param hook: Returns the task's hook. It is asked for only where something is sent.
    :param inputs: Returns the model's parameters and the files among them, if they are needed.
    :param output_name: Returns the name of the output as far as a parameter gives it; None if none does.
    :param output_kinds: Beginnings of the media types that the model's outputs have.
    :param is_workflow: Whether ``model`` is a workflow.
    """

    def __init__(
        self,
        context: Context,
        model: str,
        options: Options,
        hook: Callable[[], SegmindHook],
        inputs: Callable[[Options], Inputs],
        output_name: Callable[[], str | None],
        output_kinds: tuple[str, ...] = ("",),
        *,
        is_workflow: bool = False,
    ) -> None:
        self.context = context
        self.model = model
        self.options = options
        self.store = RecordStore(
            context,
            durable=options.durable,
            output_path=options.output_path,
            output_conn_id=options.output_conn_id,
        )
        self._find_hook = hook
        self._read_inputs = inputs
        self._read_output_name = output_name
        self._output_kinds = output_kinds
        self._is_workflow = is_workflow
        self.has_summary = False
        """Whether the XCom ``summary`` is there."""
        self.has_warned = False
        """Whether this attempt has logged what is odd about its parameters. Its submit may have been held back."""
        self._claims = Claims(context)
        self._submission: Submission | None = None

    @property
    def needs_request_id(self) -> bool:
        """
        Whether the XCom ``request_id`` has a reader, also if the user wants no XComs.

        The other instances of a mapped task look there for which requests are taken. Where nothing else is
        remembered, a task whose wait Airflow has ended learns there which request it must not pay for again.
        """
        return self._claims.is_mapped or not self.store.remembers

    @property
    def request_id(self) -> str | None:
        """The id of the request that was submitted or found by now."""
        return self._submission.request_id if self._submission is not None else None

    @property
    def is_unresolved(self) -> bool:
        """Whether there may be a request whose id is not known."""
        return self._submission is not None and self._submission.is_unresolved

    @property
    def expected_duration(self) -> float | None:
        """Seconds that a request usually takes, if the task says so, or else its connection to an emulator."""
        given = self.options.expected_duration
        return self._find_hook().expected_duration if given is None else given

    @property
    def submission(self) -> Submission:
        """
        The request's way to Segmind.

        :raises InvalidParameterError: If a parameter of the model is wrong.
        """
        if self._submission is None:
            from airflow_provider_segmind.durability.submission import Submission  # not to deliver a result

            self._submission = Submission(
                self._find_hook(),
                self.store,
                self._claims,
                self._inputs,
                check_output=self._check_before_submit,
                max_tries=self._max_tries,
                timeout=self.options.timeout,
                look=self.options.wait_for_completion,
                resubmit_unresolved=self.options.on_unresolved_submit == "resubmit",
                expected_duration=self.expected_duration,
                resubmit_changed=self._resubmit_changed,
                given_up=self._read_given_up,
                is_workflow=self._is_workflow,
                spending=self.spending,
            )
        return self._submission

    @cached_property
    def spending(self) -> Spending | None:
        """What the task may still spend; None if nothing limits it."""
        options = self.options
        if not is_limited(options.max_cost, options.max_cost_per_run):
            return None
        from airflow_provider_segmind.durability.spending import spending_of  # most tasks have no limit

        return spending_of(
            self.context,
            self.store,
            max_cost=options.max_cost,
            max_cost_per_run=options.max_cost_per_run,
            expected_cost=options.expected_cost,
        )

    def _read_given_up(self) -> tuple[str, ...]:
        """
        Return what the user has given up: by the task's argument, else by the Airflow variable.

        What cannot be read gives up nothing: that costs nothing.
        """
        if self.options.abandon_request:
            return self.options.abandon_request
        try:
            return names_given_up(f"the variable {VARIABLE}", read_variable(VARIABLE))
        except SegmindError as error:
            log.warning("%s. Nothing is given up.", error.facts)
        except Exception:
            log.exception("Cannot read the Airflow variable %s. Nothing is given up.", VARIABLE)
        return ()

    @property
    def _resubmit_changed(self) -> bool:
        """
        Whether a cleared task with other parameters submits again, if what it has paid for is not delivered.

        Once a mapped task is cleared with what it is mapped over, an instance may stand for another item, whose
        output must not be that of the item before.
        """
        choice = self.options.on_changed_parameters
        return self._claims.is_mapped if choice is None else choice == "resubmit"

    @cached_property
    def _inputs(self) -> Inputs:
        return self._read_inputs(self.options)

    def _check_before_submit(self) -> None:
        """
        Check before a submit whatever can be checked. A request that is paid for gets here only if it has FAILED.

        :raises OutputKept: If the output is there, and is to be kept.
        :raises SegmindError: If nothing may be submitted.
        """
        self.check_output()
        inputs, mode = self._inputs, self.options.check_parameters
        if mode == "warn" and self.has_warned:
            return
        # Comparing parameters needs libraries that take long to import.
        from airflow_provider_segmind.operators.checking import compare_with_catalogue, warn_of_frames

        if not self.has_warned:
            warn_of_frames(mode, inputs)
        self.has_warned = True
        compare_with_catalogue(mode, self.model, inputs.parameters, self._find_hook())

    def check_output(self) -> None:
        """
        Check before a submit that its output is wanted and can be stored where ``output_path`` says, if it does.

        A request that an earlier attempt has paid for needs no submit, and gets here only if it has FAILED.

        :raises OutputKept: If the output is there, and is to be kept.
        :raises InvalidParameterError: If it cannot be stored, or is there and must not be.
        :raises UnwritableOutputError: If the storage has trouble that may pass.
        """
        if self._outputs is None:
            return
        check_instance(self.context, is_folder=str(self.options.output_path).endswith("/"))
        if self.options.if_output_exists != "replace":
            self._check_existing(self._outputs)
        self._outputs.check()

    def _check_existing(self, outputs: OutputStore) -> None:
        record = self.store.read()
        is_delivered = record is not None and record.state is RecordState.DELIVERED
        request_id = record.request_id if record is not None and is_delivered else None
        before = self._read_stored(request_id) if request_id is not None else []
        found = outputs.find_existing(self._output_kinds, before)
        check_existing(found, self.options.if_output_exists, "nothing was submitted")
        if found:
            raise OutputKept(found, request_id if found[0].sha256 is not None else None)

    def _read_stored(self, request_id: str) -> list[StoredOutput]:
        from airflow_provider_segmind.media.stored import StoredOutput  # only a task that stores its output

        return [StoredOutput.from_json(each) for each in self.store.read_outputs(request_id)]

    def store_outputs(self, result: RequestReport) -> list[StoredOutput]:
        """
        Store the outputs of a request where ``output_path`` says, if it does. What is there is not fetched again.

        :raises OutputError: If one cannot be stored.
        """
        request_id = result.request_id
        if self._outputs is None:
            return []
        before = self._read_stored(request_id)
        outputs = self._outputs.store_result(result, before, self.store.read_submitted_at(request_id))
        stored = []
        for number, output in enumerate(outputs, start=1):
            if output not in before:
                # Now, before the next one is fetched: an attempt that dies there has not stored this one in vain.
                self.store.keep_output(request_id, number, output.as_json())
                count_bytes(self.model, output.size)
            stored.append(output)
        return stored

    @cached_property
    def _outputs(self) -> OutputStore | None:
        options = self.options
        if options.output_path is None:
            return None
        # Storages and their libraries take long to import. Where they are needed, this comes before the submit.
        from airflow_provider_segmind.media.storing import OutputStore

        return OutputStore(
            options.output_path,
            options.output_conn_id,
            options.max_output_bytes,
            self._find_hook().fetch,
            name=self._read_output_name(),
        )

    def finish(
        self,
        state: Submitted | Completed,
        event: HandedOver | OutputDelivered | OutputLost,
        output: Delivered | None = None,
    ) -> None:
        """
        Store that the task has all that it will get of its request.

        :param output: What it got, if it got something.
        """
        finish(state, event, self.store, self._max_tries, output)

    @property
    def _max_tries(self) -> int:
        return int(self.context["ti"].max_tries)
