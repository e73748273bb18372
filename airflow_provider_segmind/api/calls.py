"""The calls that Segmind understands: one function for each, which checks its input and builds the Call."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any, Literal

from airflow_provider_segmind.api import answers
from airflow_provider_segmind.api.call import Call, Service, Turn
from airflow_provider_segmind.api.request_ids import read_request_id
from airflow_provider_segmind.exceptions import InvalidParameterError

SYNC_LIMIT = 128 * 1024 * 1024
"""Bytes of a synchronous run's output that are read."""

RESULT_LIMIT = 8 * 1024 * 1024
"""Bytes of a result that are read: a text model may write some megabytes."""

HISTORY_LIMIT = 8 * 1024 * 1024
"""Bytes of a page of history that are read: 100 rows with prompts of 80 KB."""

HISTORY_ENTRY_LIMIT = 1024 * 1024
CATALOGUE_LIMIT = 16 * 1024 * 1024

HISTORY_PATH = "/inference-request/request-history"
MOST_ROWS = 100
LONGEST_WINDOW_DAYS = 31

_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def submit(model: str, parameters: Mapping[str, Any]) -> Call[answers.SubmittedRequest]:
    """
    Submit a request (v2). Each one that Segmind accepts is a new charge once it completes.

    :param model: The slug, such as ``kling-o1-image-to-video``.
    :param parameters: What the model's page lists; anything that JSON can say.
    """
    return Call(
        "POST",
        Service.GATEWAY,
        f"/v2/{checked_model(model)}",
        answers.submitted,
        body=_encoded(parameters),
        model=model,
        charged=True,
    )


def status(request_id: str, turn: Turn | None = None) -> Call[answers.RequestReport]:
    """
    Ask for the state of a request, without its output.

    :param turn: How it waits for others with the same key, here and in the other calls.
    """
    path = f"/v2/requests/{checked_request_id(request_id)}/status"
    return Call("GET", Service.GATEWAY, path, answers.report, request_id=request_id, turn=turn)


def result(request_id: str, turn: Turn | None = None) -> Call[answers.RequestReport]:
    """Ask for the result of a request. Segmind keeps it for one hour from submission."""
    path = f"/v2/requests/{checked_request_id(request_id)}"
    return Call("GET", Service.GATEWAY, path, answers.report, request_id=request_id, turn=turn, limit=RESULT_LIMIT)


def run_sync(model: str, parameters: Mapping[str, Any], patience: float) -> Call[answers.SyncAnswer]:
    """
    Run a fast model and wait for its output in one call (v1). A new charge each time.

    :param patience: Seconds to wait for the answer.
    """
    return Call(
        "POST",
        Service.GATEWAY,
        f"/v1/{checked_model(model)}",
        answers.sync_answer,
        body=_encoded(parameters),
        model=model,
        charged=True,
        limit=SYNC_LIMIT,
        patience=patience,
    )


def credits() -> Call[answers.Credits]:  # noqa: A001 - the field's own word
    """Ask for the balance. Free, and runs no model."""
    return Call("GET", Service.GATEWAY, "/v1/get-user-credits", answers.credits)


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
) -> Call[answers.HistoryPage]:
    """
    Ask for the account's requests, failed and unfinished ones included. It may lag behind the gateway.

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
        "GET", Service.PLATFORM, HISTORY_PATH, answers.history_page, query=given, turn=turn, limit=HISTORY_LIMIT
    )


def history_entry(request_id: str, turn: Turn | None = None) -> Call[answers.HistoryEntry]:
    """Ask the history for one of the account's own requests, of any age."""
    path = f"{HISTORY_PATH}/{checked_request_id(request_id)}"
    return Call(
        "GET",
        Service.PLATFORM,
        path,
        answers.history_entry,
        request_id=request_id,
        turn=turn,
        limit=HISTORY_ENTRY_LIMIT,
    )


def models() -> Call[tuple[answers.Model, ...]]:
    """Ask for the public catalogue. Needs no key."""
    path = "/inference-model-information/list"
    return Call("GET", Service.PLATFORM, path, answers.models, needs_key=False, limit=CATALOGUE_LIMIT)


def upload(data_urls: Sequence[str]) -> Call[tuple[str, ...]]:
    """
    Upload files and get their addresses, in the same order. Free; each call makes new files, for good.

    :param data_urls: Each file as ``data:image/png;base64,…``.
    """
    wrong = next((index for index, url in enumerate(data_urls) if not url.startswith("data:")), None)
    if not data_urls or wrong is not None:
        raise InvalidParameterError("data_urls", "must hold one or more URLs that start with data:")
    body = _encoded({"data_urls": list(data_urls)})
    reader = partial(answers.uploaded, count=len(data_urls))
    return Call("POST", Service.STORAGE, "/upload-asset", reader, body=body)


def checked_model(model: object) -> str:
    """Return the slug of a model if it can be one."""
    if isinstance(model, str) and _SLUG.fullmatch(model):
        return model
    raise InvalidParameterError(
        "model", f"must be the slug of a model, such as 'kling-o1-image-to-video', not {model!r}"
    )


def checked_request_id(request_id: object) -> str:
    """Return the id of a request if it can be one."""
    checked = read_request_id(request_id)
    if checked is not None:
        return checked
    raise InvalidParameterError("request_id", f"must be the id that a submit returned, not {request_id!r}")


def checked_parameters(parameters: object) -> Mapping[str, Any]:
    """Return the parameters of a model if JSON can say them."""
    if not isinstance(parameters, Mapping):
        raise InvalidParameterError(
            "parameters", f"must be a dict of the model's parameters, not {type(parameters).__name__}"
        )
    for name, value in parameters.items():
        if not isinstance(name, str):
            raise InvalidParameterError("parameters", f"names must be strings, not {name!r}")
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidParameterError(f"parameters[{name!r}]", f"cannot be sent as JSON: {error}") from None
    return parameters


def _encoded(parameters: object) -> bytes:
    return json.dumps(checked_parameters(parameters), allow_nan=False).encode()
