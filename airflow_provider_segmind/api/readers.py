"""Reading Segmind's answers from a response: the functions that a ``Call`` names as its reader."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.api.answers import (
    Credits,
    Model,
    RequestReport,
    RequestState,
    SubmittedRequest,
    SyncAnswer,
)
from airflow_provider_segmind.api.call import Call, Response
from airflow_provider_segmind.api.documents import Allowance, read_beginning, read_json, read_text
from airflow_provider_segmind.api.early_results import UnclearAnswer
from airflow_provider_segmind.api.errors import GAVE_UP, error_for
from airflow_provider_segmind.api.request_ids import canonical_id, read_request_id
from airflow_provider_segmind.api.text import first_names, one_line
from airflow_provider_segmind.api.values import read_flag, read_number, read_state
from airflow_provider_segmind.api.web_address import is_web_address
from airflow_provider_segmind.exceptions import SubmitUnresolvedError, UnreadableResponseError

if TYPE_CHECKING:
    from airflow_provider_segmind.api.history import HistoryEntry, HistoryPage

Json = dict[str, Any]

WORKERS_WEIGHT = 4_000_000
"""What may be read of an answer that only workers ask for: a second of work there delays no other task."""

MOST_MODELS = 10_000
_LONGEST_SLUG = 200
_EMPTY_UPLOAD_REFUSALS = (400, 406, 415, 422, 500)
_CONTENT_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+_-]{0,60}")


def read_submitted(call: Call[Any], response: Response) -> SubmittedRequest:
    """Read the answer to a submit. After a 2xx without a valid id, it is unknown whether there is a request."""
    if not response.ok:
        raise error_for(call, response)
    document = (_read_object(response) if response.complete else None) or {}
    given = document.get("request_id")
    request_id = read_request_id(given)
    if request_id is None:
        trouble = (
            f"the answer has no request_id ({_describe(response)})"
            if given is None
            else f"its request_id is not valid: {_quote(given)}"
        )
        raise SubmitUnresolvedError(f"{call}: accepted, but {trouble}", status=response.status)
    return SubmittedRequest(request_id, call.model or "")


def read_report(call: Call[Any], response: Response) -> RequestReport:
    """
    Read the status or the result of a request.

    A FAILED request is served as HTTP 422, so a body that announces an end counts whatever the status is, and one
    that announces FAILED even if its end is missing. A result need not repeat its status: a 2xx without one means
    COMPLETED there, and is unreadable elsewhere.
    """
    request_id = call.request_id or ""
    document = (_read_object(response) if response.complete else read_beginning(response.body)) or {}
    if _is_of_another(document, request_id):
        document = {}
    state = read_state(document.get("status"))
    if state == RequestState.FAILED or (state == RequestState.COMPLETED and response.complete):
        return RequestReport(request_id, state, document)
    if not response.ok:
        raise error_for(call, response) if _is_from_segmind(response) else _unreadable_answer(call, response)
    if response.complete and state:
        return RequestReport(request_id, state, document)
    if response.complete and "output" in document:
        return RequestReport(request_id, RequestState.COMPLETED, document)
    raise _unreadable_answer(call, response)


def read_early_result(call: Call[Any], response: Response) -> RequestReport | UnclearAnswer:
    """
    Read the answer to a call for the result of a request that may still run.

    What it says of one that runs is not documented. Only a documented state is taken at its word: a document
    without a state is the result of a request that is known to be COMPLETED, and here it may be half of one.

    :raises AuthenticationError: If the key is rejected.
    :raises RateLimitedError: If the key has used up its requests.
    """
    if response.status in (401, 429):
        raise error_for(call, response)
    request_id, status = call.request_id or "", response.status
    document = _read_object(response) if response.complete else read_beginning(response.body)
    if document is not None and _is_of_another(document, request_id):
        return UnclearAnswer(f"HTTP {status} of another request", False)
    state = read_state((document or {}).get("status"))
    if _is_clear(state, response):
        return RequestReport(request_id, state, document or {})
    if status >= 500 or status in GAVE_UP:
        return UnclearAnswer(f"HTTP {status}", False, error_for(call, response))
    is_plain = not response.body if document is None else document.get("output") is None
    may_mean_running = response.complete and is_plain and (response.ok or _may_mean_running(status))
    kind = f"HTTP {status}, {state or ', '.join(sorted(document or {}))[:200]}"
    return UnclearAnswer(kind, may_mean_running, state=state)


def _is_clear(state: str, response: Response) -> bool:
    """Whether an answer names a documented state. An end counts whatever the HTTP status is."""
    if state == RequestState.FAILED or not response.complete:
        return state == RequestState.FAILED
    return state == RequestState.COMPLETED or (state in RequestState.__members__ and response.status < 500)


def _may_mean_running(status: int) -> bool:
    """
    Whether an error may be all that is said of a request that runs.

    Not one that also stands for a request that is gone or has failed, or for a key that may not ask.
    """
    return 400 <= status < 500 and status not in (403, 404, 405, 410, 422)


def read_sync_answer(call: Call[Any], response: Response) -> SyncAnswer:
    """Read the answer to a synchronous run: JSON or bytes, with the figures in the headers."""
    if not response.ok:
        raise error_for(call, response)
    request_id = read_request_id(response.headers.get("x-request-id"))
    if not response.complete:
        raise SubmitUnresolvedError(
            f"{call}: the answer was cut short after {len(response.body)} bytes; the run was probably charged",
            status=response.status,
            request_id=request_id,
        )
    content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    content_type = content_type if _CONTENT_TYPE.fullmatch(content_type) else ""
    return SyncAnswer(
        request_id=request_id,
        content_type=content_type,
        content=response.body,
        document=_read_document(response, Allowance(WORKERS_WEIGHT))
        if content_type == "application/json"
        else None,
        metrics=_read_header_metrics(response.headers),
    )


def read_credits(call: Call[Any], response: Response) -> Credits:
    """Read the balance. An account without a balance record answers 404, and has nothing."""
    if response.status == 404 and b"no credits found" in response.body.lower():
        return Credits(0.0)
    document = _require_object(call, response)
    balance, free = read_number(document.get("credits")), read_number(document.get("free-credits"))
    if balance is None:
        raise _unreadable_answer(call, response)
    return Credits(balance, free or 0.0)


def read_history_page(call: Call[Any], response: Response) -> HistoryPage:
    """Read one page of history. Unreadable rows are counted and skipped."""
    from airflow_provider_segmind.api.history import read_page  # few tasks need the history

    rows = _require_object(call, response).get("data")
    if not isinstance(rows, list):
        raise _unreadable_answer(call, response)
    return read_page(rows)


def read_generations(call: Call[Any], response: Response) -> HistoryPage:
    """Read one page of the list of generations, whatever the envelope calls it. Unreadable rows are skipped."""
    from airflow_provider_segmind.api.history import read_page

    if not response.ok:
        raise error_for(call, response)
    document = _read_document(response) if response.complete else None
    values = list(document.values()) if isinstance(document, dict) else [document]
    rows = next((value for value in values if isinstance(value, list)), None)
    if rows is None:
        raise _unreadable_answer(call, response)
    return read_page(rows)


def read_history_entry(call: Call[Any], response: Response) -> HistoryEntry:
    """Read one request's row, with or without an envelope around it."""
    from airflow_provider_segmind.api.history import read_entry

    document = _require_object(call, response)
    inner = document.get("data")
    entry = read_entry(inner[0] if isinstance(inner, list) and inner else inner) or read_entry(document)
    if entry is None or _is_of_another({"request_id": entry.request_id}, call.request_id or ""):
        raise _unreadable_answer(call, response)
    return entry


def read_models(call: Call[Any], response: Response) -> tuple[Model, ...]:
    """Read the catalogue: a list, or a list in an envelope, whatever its name."""
    if not response.ok:
        raise error_for(call, response)
    allowance = Allowance(WORKERS_WEIGHT)
    entries = _find_entries(_read_document(response, allowance) if response.complete else None)
    if entries is None:
        raise _unreadable_answer(call, response)
    found = (_read_model(entry, allowance) for entry in entries[:MOST_MODELS])
    return tuple(model for model in found if model is not None)


def read_uploaded(call: Call[Any], response: Response, count: int | None = None) -> tuple[str, ...]:
    """
    Read the addresses of uploaded files, in the order in which they were sent.

    :param count: How many files were sent, if that is known.
    """
    document = _require_object(call, response)
    urls = document.get("file_urls") or document.get("urls")
    if not isinstance(urls, list) or not urls or not all(map(is_web_address, urls)):
        raise _unreadable_answer(call, response)
    if count is not None and len(urls) != count:
        raise UnreadableResponseError(
            f"{call}: {len(urls)} URLs for {count} uploaded files", status=response.status
        )
    return tuple(urls)


def read_upload_check(call: Call[Any], response: Response) -> None:
    """
    Read the answer to an upload without a file: a refusal of the empty list is as good as an acceptance.

    How Segmind refuses it is not documented, so that a 500 counts as well.
    """
    if not response.ok and response.status not in _EMPTY_UPLOAD_REFUSALS:
        raise error_for(call, response)


def _is_of_another(document: Mapping[str, Any], request_id: str) -> bool:
    """Whether an answer is about another request than the call: a cache may mix them up."""
    named = read_request_id(document.get("request_id"))
    return named is not None and canonical_id(named) != canonical_id(request_id)


def _is_from_segmind(response: Response) -> bool:
    """
    Whether Segmind itself returned this error about a request, and not a gateway or proxy on the way.

    Those may answer 400 or 403 with their own page, and a FAILED body may be cut.
    """
    if response.status in (401, 429) or response.status >= 500:
        return True
    return response.status in (403, 404, 410) and response.complete and _read_object(response) is not None


def _read_document(response: Response, allowance: Allowance | None = None) -> Any:
    """Return the document that a body is; None if it cannot be read."""
    try:
        return read_json(response.body, allowance)
    except ValueError:
        return None


def _read_object(response: Response) -> Json | None:
    document = _read_document(response)
    return document if isinstance(document, dict) else None


def _require_object(call: Call[Any], response: Response) -> Json:
    if not response.ok:
        raise error_for(call, response)
    document = _read_object(response) if response.complete else None
    if document is None:
        raise _unreadable_answer(call, response)
    return document


def _unreadable_answer(call: Call[Any], response: Response) -> UnreadableResponseError:
    return UnreadableResponseError(
        f"{call}: {_describe(response)}", status=response.status, request_id=call.request_id
    )


def _describe(response: Response) -> str:
    if not response.complete:
        return f"the body was cut off or too large after {len(response.body)} bytes"
    if not response.body:
        return "the body is empty"
    document = _read_document(response)
    if isinstance(document, dict):
        return f"a JSON object with the keys {first_names(document)}"
    if document is not None:
        return f"JSON of the type {type(document).__name__}, not an object"
    return f"not JSON: {one_line(response.body[:80].decode('utf-8', 'replace'))!r}"


def _quote(value: object) -> str:
    return repr(one_line(value, 80)) if isinstance(value, str) else f"a value of the type {type(value).__name__}"


def _read_header_metrics(headers: Mapping[str, str]) -> Json:
    names = {
        "cost": "x-cost",
        "remaining_credits": "x-remaining-credits",
        "inference_time": "x-generation-time",
        "seed": "x-seed-value",
    }
    figures = {name: read_number(headers.get(header)) for name, header in names.items()}
    return {name: figure for name, figure in figures.items() if figure is not None}


def _find_entries(document: object) -> list[Any] | None:
    """Return the first list that has a model in it, or at least the first list, however it is wrapped."""
    lists: list[list[Any]] = []
    level = [document]
    for _ in range(3):
        lists += [value for value in level if isinstance(value, list)]
        level = [part for value in level if isinstance(value, dict) for part in value.values()]
    return next((each for each in lists if any(map(_read_slug, each))), lists[0] if lists else None)


def _read_slug(entry: object) -> str | None:
    slug = entry.get("slug") if isinstance(entry, dict) else None
    return slug if isinstance(slug, str) and slug and one_line(slug, _LONGEST_SLUG) == slug else None


def _read_model(entry: object, allowance: Allowance) -> Model | None:
    slug = _read_slug(entry)
    if slug is None or not isinstance(entry, dict):
        return None
    return Model(
        slug=slug,
        retired=read_flag(entry.get("is_depreciated")) is True,
        parameters_schema=_read_object_or_text(entry.get("parameters_schema"), allowance),
        parameters=_read_object_or_text(entry.get("parameters"), allowance),
    )


def _read_object_or_text(value: object, allowance: Allowance) -> Json:
    """Return an object, or the one that a text is; an empty one if it is neither."""
    if isinstance(value, str):
        try:
            value = read_text(value, allowance)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}
