"""What the end of a request means for an Airflow task: its XComs, or its failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_segmind.exceptions import (
    DownloadError,
    OutputError,
    OutputGoneError,
    OutputNotStoredError,
    RequestTimeoutError,
    SegmindError,
    SubmitUnresolvedError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_segmind.api.answers import RequestReport
    from airflow_provider_segmind.media.storing import StoredOutput

REQUEST_ID_KEY = "request_id"
RESULT_KEY = "result"
METRICS_KEY = "metrics"

_GOES_ON = (RequestTimeoutError, SubmitUnresolvedError, DownloadError, OutputNotStoredError)


def push_request_id(context: Context, request_id: str) -> None:
    """Push the id under ``request_id``: the way back to what was paid for."""
    context["ti"].xcom_push(key=REQUEST_ID_KEY, value=request_id)


def push_result(context: Context, result: RequestReport) -> None:
    """Push the whole answer under ``result`` and its figures under ``metrics``."""
    context["ti"].xcom_push(key=RESULT_KEY, value=result.body)
    context["ti"].xcom_push(key=METRICS_KEY, value=result.metrics)


def push_stored(context: Context, stored: Sequence[StoredOutput]) -> None:
    """Push what has been stored: a value for one file, a list for several, nothing for none."""
    columns: dict[str, list[Any]] = {
        "output_path": [each.path for each in stored],
        "output_bytes": [each.size for each in stored],
        "output_sha256": [each.sha256 for each in stored],
        "content_type": [each.content_type for each in stored],
    }
    for key, values in columns.items():
        if values:
            context["ti"].xcom_push(key=key, value=values[0] if len(values) == 1 else values)


def task_failure(error: SegmindError, *, remembered: bool = False) -> Exception:
    """
    Return what to raise from a task: what no retry can help must not burn the task's retries.

    :param remembered: Whether the next try will know the request, so that it goes on with it instead of paying
        for another one.
    """
    if error.can_retry or (remembered and isinstance(error, _GOES_ON)):
        return error
    return AirflowFailException(f"{error}{_what_clearing_costs(error, remembered)}")


def raise_task_failure(error: SegmindError, *, remembered: bool = False) -> NoReturn:
    """
    Raise what ``task_failure`` makes of an error.

    An error that stays as it is must not become its own cause: what prints a chain of causes would never end.
    """
    failure = task_failure(error, remembered=remembered)
    if failure is error:
        raise error
    raise failure from error


def _what_clearing_costs(error: SegmindError, remembered: bool) -> str:
    if not isinstance(error, OutputError) or isinstance(error, OutputGoneError):
        return ""
    if remembered:
        return " Clearing the task pays nothing more."
    return " Clearing the task would pay for another one: the address of this one is in the XCom `result`."
