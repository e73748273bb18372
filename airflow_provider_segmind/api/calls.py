"""The calls that Segmind understands: each function checks its input and returns a Call. It sends nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from airflow_provider_segmind.api import readers
from airflow_provider_segmind.api.answers import Credits, Model, RequestReport, SubmittedRequest, SyncAnswer
from airflow_provider_segmind.api.call import Call, Response, Service, Turn
from airflow_provider_segmind.api.checks import check_model, check_parameters, check_request_id, check_workflow
from airflow_provider_segmind.api.early_results import UnclearAnswer
from airflow_provider_segmind.exceptions import InvalidParameterError

if TYPE_CHECKING:
    from airflow_provider_segmind.api.history import HistoryEntry, HistoryPage

T = TypeVar("T")

SYNC_LIMIT = 128 * 1024 * 1024
"""Bytes of a synchronous run's output that are read."""

RESULT_LIMIT = 8 * 1024 * 1024
"""Bytes of a result that are read: a text model may write some megabytes."""

HISTORY_LIMIT = 8 * 1024 * 1024
"""Bytes of a page of history that are read: 100 rows with prompts of 80 KB."""

HISTORY_ENTRY_LIMIT = 1024 * 1024
CATALOGUE_LIMIT = 16 * 1024 * 1024

HISTORY_PATH = "/inference-request/request-history"
GENERATIONS_PATH = "/inference-request/generations"
MOST_ROWS = 100
LONGEST_WINDOW_DAYS = 31


def submit(model: str, parameters: Mapping[str, Any]) -> Call[SubmittedRequest]:
    """
    Return the call that submits a request (v2). Each one that Segmind accepts is charged once it completes.

    :param model: The slug, such as ``kling-o1-image-to-video``.
    :param parameters: What the model's page lists; any JSON values.
    """
    return Call(
        "POST",
        Service.GATEWAY,
        f"/v2/{check_model(model)}",
        readers.read_submitted,
        body=_encode(parameters),
        model=model,
        charged=True,
    )


def submit_workflow(workflow: str, inputs: Mapping[str, Any]) -> Call[SubmittedRequest]:
    """
    Return the call that submits a run of a PixelFlow workflow. What follows is the same as for a model.

    Segmind says of models that a submit may be sent again after its 500 or 503; it says nothing of workflows, and
    does not say whether the history shows their runs. So no answer but a 4xx says that nothing was accepted.

    :param workflow: The id or slug, as the workflow's API page has it, such as ``66cec9a38aeef98f887211f1-v1``.
    :param inputs: What that page lists; any JSON values.
    """
    return Call(
        "POST",
        Service.GATEWAY,
        f"/workflows/v2/{check_workflow(workflow)}",
        readers.read_submitted,
        body=_encode(inputs, "inputs"),
        model=workflow,
        charged=True,
        resubmits=False,
    )


def status(request_id: str, turn: Turn | None = None) -> Call[RequestReport]:
    """
    Return the call for the state of a request, without its output.

    :param turn: How it waits for others with the same key, here and in the other calls.
    """
    path = f"/v2/requests/{check_request_id(request_id)}/status"
    return Call("GET", Service.GATEWAY, path, readers.read_report, request_id=request_id, turn=turn)


def result(request_id: str, turn: Turn | None = None) -> Call[RequestReport]:
    """Return the call for the result of a request. Segmind keeps it for one hour from submission."""
    return _result(request_id, turn, readers.read_report)


def early_result(request_id: str, turn: Turn | None = None) -> Call[RequestReport | UnclearAnswer]:
    """Return the call for the result of a request that may still run. Its answer may say how the request is."""
    return _result(request_id, turn, readers.read_early_result)


def _result(request_id: str, turn: Turn | None, reader: Callable[[Call[Any], Response], T]) -> Call[T]:
    path = f"/v2/requests/{check_request_id(request_id)}"
    return Call("GET", Service.GATEWAY, path, reader, request_id=request_id, turn=turn, limit=RESULT_LIMIT)


def run_sync(model: str, parameters: Mapping[str, Any], timeout: float) -> Call[SyncAnswer]:
    """
    Return the call that runs a fast model and waits for its output (v1). A new charge each time it is sent.

    :param timeout: Seconds to wait for the answer.
    """
    return Call(
        "POST",
        Service.GATEWAY,
        f"/v1/{check_model(model)}",
        readers.read_sync_answer,
        body=_encode(parameters),
        model=model,
        charged=True,
        limit=SYNC_LIMIT,
        timeout=timeout,
    )


def credits() -> Call[Credits]:  # noqa: A001 - the field's own word
    """Return the call for the balance. Free, and runs no model."""
    return Call("GET", Service.GATEWAY, "/v1/get-user-credits", readers.read_credits)


def history(
    *,
    model: str | None = None,
    status: Literal["COMPLETED", "FAILED", "PENDING"] | None = None,
    from_date: date | None = None,
    to_date: date | None = None,
    page: int = 1,
    per_page: int = 20,
    sort_by: str | None = None,
    sort_order: Literal["asc", "desc"] | None = None,
    turn: Turn | None = None,
) -> Call[HistoryPage]:
    """
    Return the call for the account's requests, failed and unfinished ones included. They may lag behind.

    :param model: A part of the slug is enough.
    :param from_date: First day (UTC); Segmind's default is a week ago.
    :param to_date: Last day, included; at most 31 days after the first.
    :param per_page: Rows a page, 1 to 100.
    """
    if page < 1:
        raise InvalidParameterError("page", f"must be 1 or more, not {page}")
    if not 1 <= per_page <= MOST_ROWS:
        raise InvalidParameterError("per_page", f"must be 1 to {MOST_ROWS}, not {per_page}")
    if from_date and to_date and not 0 <= (to_date - from_date).days <= LONGEST_WINDOW_DAYS:
        raise InvalidParameterError(
            "to_date", f"must be 0 to {LONGEST_WINDOW_DAYS} days after from_date ({from_date} to {to_date})"
        )
    query = {
        "page": page,
        "per_page": per_page,
        "from_date": from_date,
        "to_date": to_date,
        "model_name": model,
        "status": status,
        "sort_by": sort_by,
        "sort_order": sort_order,
    }
    given = {name: str(value) for name, value in query.items() if value is not None}
    return Call(
        "GET",
        Service.PLATFORM,
        HISTORY_PATH,
        readers.read_history_page,
        query=given,
        turn=turn,
        limit=HISTORY_LIMIT,
    )


def newest_history(
    *, from_date: date, to_date: date, page: int, model: str | None = None, turn: Turn | None = None
) -> Call[HistoryPage]:
    """Return the call for a full page of the account's requests, the newest first: as ``history`` otherwise."""
    return history(
        model=model,
        from_date=from_date,
        to_date=to_date,
        page=page,
        per_page=MOST_ROWS,
        sort_by="model_created",
        sort_order="desc",
        turn=turn,
    )


def history_entry(request_id: str, turn: Turn | None = None) -> Call[HistoryEntry]:
    """Return the call for one request of the account, of any age, from its history."""
    path = f"{HISTORY_PATH}/{check_request_id(request_id)}"
    return Call(
        "GET",
        Service.PLATFORM,
        path,
        readers.read_history_entry,
        request_id=request_id,
        turn=turn,
        limit=HISTORY_ENTRY_LIMIT,
    )


def generations(
    *, model: str, start_date: date, end_date: date, page: int = 1, turn: Turn | None = None
) -> Call[HistoryPage]:
    """
    Return the call for the account's outputs, the newest first, without failures. In a team, teammates' as well.

    :param start_date: First day (UTC).
    :param end_date: Last day, included.
    """
    query = {"page": str(page), "model_name": model, "start_date": str(start_date), "end_date": str(end_date)}
    return Call(
        "GET",
        Service.PLATFORM,
        GENERATIONS_PATH,
        readers.read_generations,
        query=query,
        turn=turn,
        limit=HISTORY_LIMIT,
    )


def models() -> Call[tuple[Model, ...]]:
    """Return the call for the public catalogue. Needs no key."""
    path = "/inference-model-information/list"
    return Call("GET", Service.PLATFORM, path, readers.read_models, needs_key=False, limit=CATALOGUE_LIMIT)


def upload(data_urls: Sequence[str]) -> Call[tuple[str, ...]]:
    """
    Return the call that uploads files. Its answer is their URLs, in the same order. Free; Segmind keeps them.

    :param data_urls: Each file as ``data:image/png;base64,…``.
    """
    wrong = next((index for index, url in enumerate(data_urls) if not url.startswith("data:")), None)
    if not data_urls or wrong is not None:
        raise InvalidParameterError("data_urls", "must hold one or more URLs that start with data:")
    body = _encode({"data_urls": list(data_urls)})
    reader = partial(readers.read_uploaded, count=len(data_urls))
    return Call("POST", Service.STORAGE, "/upload-asset", reader, body=body)


def check_uploads() -> Call[None]:
    """Return a call that shows whether files can be uploaded with this key. It uploads none, and is free."""
    return Call(
        "POST", Service.STORAGE, "/upload-asset", readers.read_upload_check, body=_encode({"data_urls": []})
    )


def _encode(parameters: object, name: str = "parameters") -> bytes:
    return json.dumps(check_parameters(parameters, name), allow_nan=False).encode()
