"""Run a PixelFlow workflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack

from airflow_provider_segmind.api.checks import check_parameters, check_workflow
from airflow_provider_segmind.api.locations import check_locations, check_no_files
from airflow_provider_segmind.arguments import (
    DEFAULT_MAX_OUTPUT_BYTES,
    is_literal,
    names,
    with_paths_as_text,
    with_plain_collections,
)
from airflow_provider_segmind.hooks.names import DEFAULT_CONNECTION_ID
from airflow_provider_segmind.links import SegmindOutputLink
from airflow_provider_segmind.operators.inference import DEFAULT_TIMEOUT, SegmindInferenceOperator

if TYPE_CHECKING:
    from os import PathLike

    from airflow_provider_segmind.compat import ObjectStoragePath, XComArg
    from airflow_provider_segmind.signatures import TaskArguments


class SegmindPixelFlowOperator(SegmindInferenceOperator):
    """
    Run a PixelFlow workflow and wait for its outputs, without holding a worker slot.

    Returns a dict with each output of the workflow by its name. How the task waits and fails, what it costs and
    what else it pushes to XCom is described at
    :class:`~airflow_provider_segmind.operators.inference.SegmindInferenceOperator`. It takes the same arguments,
    with ``workflow`` in place of ``model``, and ``inputs`` in place of ``parameters``.

    One rule is stricter. Segmind does not say whether its request history shows runs of workflows, nor whether a
    500 or 503 to their submit leaves a run. So the task never submits again after a submit without a clear answer:
    it searches the history, continues with the run if it is there, and otherwise stops with SubmitUnresolvedError,
    which says what to look for (docs/howto/pixelflow.md#a-submit-without-an-answer).

    The XCom ``summary``, metrics, assets and OpenLineage have the workflow's id where they have the model of other
    requests.

    :param workflow: The workflow's id or slug, as its API page has it: the end of the address there.
    :param inputs: The workflow's inputs, as its API page lists them.
    :param upload: The names of inputs that hold images, or lists of images, that Segmind cannot fetch: each an
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
    :param name_output_after: The name of an input that holds a file or a URL, such as ``image``. In an
        ``output_path`` that is a folder, the output is named after that file: ``mug.jpg`` becomes
        ``mug.jpg.png``. The name is never rendered as a template, and leads out of no folder.
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
        the time that the workflow usually takes, and slower again if it takes longer.
    :param expected_duration: Seconds that a run usually takes, if you know better. Default: what this process has
        seen of the workflow, and before that anything from seconds to minutes.
    :param expected_cost: USD that a run costs at most, which the limits reserve before its submit. Default: what
        such a run has cost so far, where the limit is counted; unknown before
        (docs/spending.md#what-a-request-may-cost).
    :param max_cost: USD that this task instance may cost, over all attempts and clears. A submit that would exceed
        it fails the task, and nothing is charged. It needs a record (docs/spending.md).
    :param max_cost_per_run: USD that all tasks of a DAG run with this argument may cost together. Default: the
        deployment's option ``[segmind] max_cost_per_run``, if it is set; of both, the lower one counts. It needs
        ``[segmind] records_path``, and the price of a request (docs/spending.md#a-limit-for-a-dag-run).
    :param durable: If False, nothing is remembered from one attempt to the next (docs/records.md).
    :param on_unresolved_submit: What to do if the history does not show what became of a submit without an answer:
        ``"fail"``, or ``"resubmit"`` and perhaps pay twice (docs/paid-once.md).
    :param on_changed_parameters: What to do if the task was cleared, its inputs have changed, and a run with the
        former ones is paid for and not delivered: ``"continue"`` with that run, or ``"resubmit"`` and pay for
        another. Default: continue; but resubmit in a mapped task, whose instance may stand for another item after
        a clear. A retry always continues (docs/records.md#parameters-that-change).
    :param abandon_request: The id of a request to give up: if it is this task's, is paid for or may be, and is not
        COMPLETED, the task leaves it and **pays for another one**, once. Of a submit whose request has no id that
        is known, the time that the error names. Several may stand there, with spaces or commas between them; what
        is not this task's is ignored. Default: the Airflow variable ``segmind_abandon_request``, if there is one
        (docs/runbook.md#give-up-a-request).
    :param push_result: Push the whole answer to XCom as well, under ``result``, if it has 64 KiB at most.
    :param kwargs: What every task of Airflow takes, such as ``task_id``, ``retries`` and ``pool``.
    """

    template_fields: Sequence[str] = (
        "workflow",
        "inputs",
        *(name for name in SegmindInferenceOperator.template_fields if name not in ("model", "parameters")),
    )
    template_fields_renderers = {"inputs": "json"}  # noqa: RUF012 - as in BaseOperator
    text_fields = ("workflow", *(name for name in SegmindInferenceOperator.text_fields if name != "model"))
    operator_extra_links = (SegmindOutputLink(),)
    is_workflow = True

    def __init__(
        self,
        *,
        workflow: str | XComArg,
        inputs: Mapping[str, Any] | str | XComArg | None = None,
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
        on_unresolved_submit: Literal["fail", "resubmit"] = "fail",
        on_changed_parameters: Literal["continue", "resubmit"] | None = None,
        abandon_request: str | XComArg | None = None,
        push_result: bool = False,
        **kwargs: Unpack[TaskArguments],
    ) -> None:
        self.workflow: Any = workflow
        self.inputs: Any = inputs if inputs is not None else {}
        super().__init__(
            model="",
            parameters={},
            upload=upload,
            input_conn_id=input_conn_id,
            output_path=output_path,
            output_conn_id=output_conn_id,
            name_output_after=name_output_after,
            if_output_exists=if_output_exists,
            max_output_bytes=max_output_bytes,
            segmind_conn_id=segmind_conn_id,
            deferrable=deferrable,
            wait_for_completion=wait_for_completion,
            timeout=timeout,
            poll_interval=poll_interval,
            expected_duration=expected_duration,
            expected_cost=expected_cost,
            max_cost=max_cost,
            max_cost_per_run=max_cost_per_run,
            durable=durable,
            check_parameters="off",  # the catalogue has no workflows
            on_unresolved_submit=on_unresolved_submit,
            on_changed_parameters=on_changed_parameters,
            abandon_request=abandon_request,
            push_result=push_result,
            **kwargs,
        )

    # The base class assigns `model` and `parameters`. Templates are rendered in the arguments, so these are read.

    @property
    def model(self) -> Any:
        """The workflow's id, where other tasks have a model."""
        return self.workflow

    @model.setter
    def model(self, _value: Any) -> None:
        pass

    @property
    def parameters(self) -> Any:
        """The workflow's inputs, where other tasks have a model's parameters."""
        return self.inputs

    @parameters.setter
    def parameters(self, _value: Any) -> None:
        pass

    def model_parameters(self) -> Mapping[str, Any]:
        """
        Return the workflow's inputs, as they go to Segmind.

        :raises InvalidParameterError: If one is wrong.
        """
        inputs, upload = with_plain_collections(self.inputs), names("upload", self.upload)
        check_no_files(inputs, "Add {name} to upload", upload, "inputs")
        return check_parameters(check_locations(with_paths_as_text(inputs), upload, "inputs"), "inputs")

    def _check_literals(self) -> None:
        if is_literal(self.workflow):
            check_workflow(self.workflow)
        if is_literal(self.inputs) and is_literal(self.upload):
            self.model_parameters()
        super()._check_literals()
