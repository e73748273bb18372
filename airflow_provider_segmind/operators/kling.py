"""Turn an image into a video with Kling O1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack

from airflow_provider_segmind.api import kling
from airflow_provider_segmind.arguments import DEFAULT_MAX_OUTPUT_BYTES, is_literal
from airflow_provider_segmind.exceptions import InvalidParameterError
from airflow_provider_segmind.hooks.names import DEFAULT_CONNECTION_ID
from airflow_provider_segmind.links import KlingModelLink, SegmindOutputLink
from airflow_provider_segmind.operators.inference import DEFAULT_TIMEOUT, SegmindInferenceOperator

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    from airflow_provider_segmind.api.answers import RequestReport
    from airflow_provider_segmind.compat import ObjectStoragePath, XComArg
    from airflow_provider_segmind.signatures import TaskArguments


class KlingImageToVideoOperator(SegmindInferenceOperator):
    """
    Turn an image into a video with Kling O1: about 145 s and 0.91 USD each (Segmind's page of the model).

    Waits without holding a worker slot, and returns the **URL of the video**: public, in no need of a key, and
    deleted by Segmind after seven days. How it waits and fails, what it costs and what else it pushes to XCom is
    described at :class:`~airflow_provider_segmind.operators.inference.SegmindInferenceOperator`. It takes the same
    arguments, without ``model``, ``parameters`` and ``upload``.

    Wrong values fail when the DAG is parsed, or after rendering if they are templates; always before Segmind is
    asked.

    :param prompt: What happens between the first and the last frame.
    :param start_image_url: First frame: an absolute http(s) URL that Segmind can fetch; or an object-storage URI
        (``s3://…``, ``gs://…``, ``file:///…``) or an absolute path on the worker, whose image is uploaded.
    :param end_image_url: Last frame, likewise; left to the model if not given.
    :param duration: Seconds of video, 5 or 10.
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
    :raises InvalidParameterError: If one of these is wrong. It names the parameter.
    """

    template_fields: Sequence[str] = (
        *kling.CHECKS,
        *(
            name
            for name in SegmindInferenceOperator.template_fields
            if name not in ("model", "parameters", "upload")
        ),
    )

    output_kinds = ("video/",)
    operator_extra_links = (SegmindOutputLink(), KlingModelLink())

    text_fields = (*SegmindInferenceOperator.text_fields, "prompt", *kling.IMAGES)

    def __init__(
        self,
        *,
        prompt: str | XComArg,
        start_image_url: str | PathLike[str] | ObjectStoragePath | XComArg,
        end_image_url: str | PathLike[str] | ObjectStoragePath | XComArg | None = None,
        duration: int | str | XComArg = 5,
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
        self.prompt: Any = prompt
        self.start_image_url: Any = start_image_url
        self.end_image_url: Any = end_image_url
        self.duration: Any = duration
        super().__init__(
            model=kling.MODEL,
            parameters={},
            upload=(),
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
            check_parameters=check_parameters,
            on_unresolved_submit=on_unresolved_submit,
            on_changed_parameters=on_changed_parameters,
            abandon_request=abandon_request,
            push_result=push_result,
            **kwargs,
        )
        self.upload = kling.IMAGES

    @classmethod
    def partial(cls, **arguments: Any) -> Any:
        """
        Return the task with the arguments that all instances of it share, as for any operator.

        :raises InvalidParameterError: If one is of ``SegmindInferenceOperator`` alone, which Airflow would notice
            only when the task runs; or if all instances would write to the same file.
        """
        for name in ("model", "parameters", "upload"):
            if name in arguments:
                raise InvalidParameterError(
                    name, f"is set by {cls.__name__}; SegmindInferenceOperator takes it for any model"
                )
        return super().partial(**arguments)

    def model_parameters(self) -> Mapping[str, Any]:
        """Return the four parameters as Segmind wants them."""
        return kling.check_parameters({name: getattr(self, name) for name in kling.CHECKS})

    def output_of(self, result: RequestReport) -> str:
        """Return the URL of the video."""
        from airflow_provider_segmind.api.output import video_url  # parsing a DAG reads no result

        return video_url(result)

    def _names_of_parameters(self) -> Sequence[str]:
        return kling.IMAGES

    def _check_literals(self) -> None:
        super()._check_literals()
        for name, check in kling.CHECKS.items():
            if is_literal(value := getattr(self, name)):
                check(value)
