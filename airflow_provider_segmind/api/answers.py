"""What Segmind's answers say, as frozen values, and the readers that turn a response into one of them."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from airflow_provider_segmind.api.call import Call, Response
from airflow_provider_segmind.api.errors import error_for
from airflow_provider_segmind.api.moments import read_moment
from airflow_provider_segmind.api.portable import portable
from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.exceptions import (
    RequestFailedError,
    SubmitUnresolvedError,
    UnreadableResponseError,
)

Json = dict[str, Any]


class RequestState(StrEnum):
    """The states that Segmind documents. An answer may name another one, which is then not an end."""

    QUEUED = "QUEUED"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


@dataclass(frozen=True)
class SubmittedRequest:
    """A request that Segmind has accepted, and will charge for if it completes."""

    request_id: str
    model: str


@dataclass(frozen=True)
class RequestReport:
    """
    What Segmind says of a request.

    :param state: One of RequestState, or a word that this version does not know.
    :param body: The whole answer. Only the result of a COMPLETED request has the output in it; which keys
        stand beside ``status``, ``output`` and ``metrics`` depends on the model.
    :param from_history: Whether it had to be put together from the request history.
    """

    request_id: str
    state: str
    body: Json = field(default_factory=dict)
    from_history: bool = False

    @property
    def completed(self) -> bool:
        """Whether the result is ready."""
        return self.state == RequestState.COMPLETED

    @property
    def metrics(self) -> Json:
        """
        Figures of the run: ``cost`` and ``remaining_credits`` in USD; ``inference_time``, ``queue_time``
        and ``total_time`` in seconds; ``retry_count`` if there was a retry. Empty while it runs.
        """
        metrics = self.body.get("metrics")
        return metrics if isinstance(metrics, dict) else {}

    def raise_if_failed(self) -> None:
        """
        Raise if the request ended without output.

        :raises RequestFailedError: If the state is FAILED, with Segmind's explanation.
        """
        if self.state == RequestState.FAILED:
            error = self.body.get("error")
            words = error if isinstance(error, str) else json.dumps(error)
            raise RequestFailedError(
                one_line(words) if error else "no explanation given", request_id=self.request_id
            )


@dataclass(frozen=True)
class SyncAnswer:
    """
    The answer of a synchronous run.

    :param request_id: From the header ``x-request-id``; None if it was missing.
    :param document: The parsed body of a JSON model; None for a model that answers with bytes.
    :param content: The body as it came.
    :param metrics: ``cost``, ``remaining_credits`` (USD), ``inference_time`` (s), ``seed``, as far as told.
    """

    request_id: str | None
    content_type: str
    content: bytes
    document: Any = None
    metrics: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Credits:
    """
    The balance of an account, in USD.

    :param free: The part of it that was given for free; 0 where Segmind does not say.
    """

    balance: float
    free: float = 0.0


@dataclass(frozen=True)
class HistoryEntry:
    """
    One request in the account's history.

    :param state: ``COMPLETED``, ``FAILED`` or ``PENDING``.
    :param cost: What it cost, in USD; None if not told.
    :param parameters: The inputs as sent; None if Segmind's copy of them cannot be read.
    :param output_urls: One for each output.
    :param created_at: When it was submitted; None if that cannot be read (Segmind does not document the name).
    :param row: The first row about this request as it came, for what is not named here.
    """

    request_id: str
    model: str
    state: str
    cost: float | None = None
    parameters: Json | None = None
    output_urls: tuple[str, ...] = ()
    error: str | None = None
    created_at: datetime | None = None
    row: Json = field(default_factory=dict)


@dataclass(frozen=True)
class HistoryPage:
    """
    One page of history.

    :param entries: One for each request, though Segmind has a row for each output.
    :param rows: How many rows the page had; fewer than asked for means that it was the last.
    :param unreadable: How many of them could not be told to be about any request.
    """

    entries: tuple[HistoryEntry, ...]
    rows: int
    unreadable: int = 0


@dataclass(frozen=True)
class Model:
    """A model in the public catalogue, with the JSON schema of its parameters as far as told."""

    slug: str
    retired: bool = False
    parameters_schema: Json = field(default_factory=dict)


def submitted(call: Call[Any], response: Response) -> SubmittedRequest:
    """Read the answer to a submit. A 2xx without an id leaves open whether there is a request."""
    if not response.ok:
        raise error_for(call, response)
    document = _mapping(response)
    request_id = _request_id(document) if document else None
    if request_id is None:
        raise SubmitUnresolvedError(
            f"{call}: accepted, but the answer has no request_id ({_description(response)})",
            status=response.status,
        )
    return SubmittedRequest(request_id, call.model or "")


def report(call: Call[Any], response: Response) -> RequestReport:
    """
    Read the status or the result of a request.

    A FAILED request is served as HTTP 422, so a body that announces an end counts whatever the status is. A
    result need not repeat its status: a 2xx without one means COMPLETED there, and is unreadable elsewhere.
    """
    request_id = call.request_id or ""
    document = _mapping(response) if response.complete else None
    if document and document.get("request_id") not in (None, request_id):
        document = None
    told = document.get("status") if document else None
    if document and told in (RequestState.COMPLETED, RequestState.FAILED):
        return RequestReport(request_id, told, document)
    if not response.ok:
        raise error_for(call, response) if _is_meant(response) else _unreadable(call, response)
    state = told.upper() if isinstance(told, str) else ""
    if document and state:
        return RequestReport(request_id, state, document)
    if document and "output" in document:
        return RequestReport(request_id, RequestState.COMPLETED, document)
    raise _unreadable(call, response)


def sync_answer(call: Call[Any], response: Response) -> SyncAnswer:
    """Read the answer to a synchronous run: JSON or bytes, with the figures in the headers."""
    if not response.ok:
        raise error_for(call, response)
    request_id = response.headers.get("x-request-id")
    if not response.complete:
        raise SubmitUnresolvedError(
            f"{call}: the answer was cut short after {len(response.body)} bytes; it has probably been charged",
            status=response.status,
            request_id=request_id,
        )
    content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return SyncAnswer(
        request_id=request_id,
        content_type=content_type,
        content=response.body,
        document=_parsed(response.body) if content_type == "application/json" else None,
        metrics=_header_metrics(response.headers),
    )


def credits(call: Call[Any], response: Response) -> Credits:  # noqa: A001 - the field's own word
    """Read the balance. An account without a balance record answers 404, and has nothing."""
    if response.status == 404 and b"no credits found" in response.body.lower():
        return Credits(0.0)
    document = _required_mapping(call, response)
    balance, free = _number(document.get("credits")), _number(document.get("free-credits"))
    if balance is None:
        raise _unreadable(call, response)
    return Credits(balance, free or 0.0)


def history_page(call: Call[Any], response: Response) -> HistoryPage:
    """Read one page of history."""
    rows = _required_mapping(call, response).get("data")
    if not isinstance(rows, list):
        raise _unreadable(call, response)
    entries: dict[str, HistoryEntry] = {}
    read = [_entry(row) for row in rows]
    for entry in read:
        if entry is None:
            continue
        first = entries.get(entry.request_id)
        if first is None:
            entries[entry.request_id] = entry
        else:
            urls = tuple(dict.fromkeys(first.output_urls + entry.output_urls))
            entries[entry.request_id] = HistoryEntry(**{**first.__dict__, "output_urls": urls})
    return HistoryPage(tuple(entries.values()), len(rows), read.count(None))


def history_entry(call: Call[Any], response: Response) -> HistoryEntry:
    """Read one request's row, with or without an envelope around it."""
    document = _required_mapping(call, response)
    inner = document.get("data")
    entry = _entry(inner[0] if isinstance(inner, list) and inner else inner) or _entry(document)
    if entry is None:
        raise _unreadable(call, response)
    return entry


def models(call: Call[Any], response: Response) -> tuple[Model, ...]:
    """Read the catalogue: a list, or a list in an envelope."""
    if not response.ok:
        raise error_for(call, response)
    document = _parsed(response.body) if response.complete else None
    if isinstance(document, dict):
        document = next((value for value in document.values() if isinstance(value, list)), None)
    if not isinstance(document, list):
        raise _unreadable(call, response)
    return tuple(_model(entry) for entry in document if isinstance(entry, dict) and entry.get("slug"))


def uploaded(call: Call[Any], response: Response) -> tuple[str, ...]:
    """Read the addresses of uploaded files, in the order in which they were sent."""
    urls = _required_mapping(call, response).get("file_urls")
    if not isinstance(urls, list) or not urls or not all(isinstance(url, str) and url for url in urls):
        raise _unreadable(call, response)
    return tuple(urls)


def _is_meant(response: Response) -> bool:
    """
    Whether an error about a request is Segmind's word on it, and not trouble on the way.

    A gateway or proxy in between may answer 400 or 403 with a page of its own, and a FAILED body may be cut.
    """
    if response.status in (401, 429) or response.status >= 500:
        return True
    return response.status in (403, 404, 410) and response.complete and _mapping(response) is not None


def _parsed(body: bytes) -> Any:
    try:
        return portable(json.loads(body))
    except (ValueError, RecursionError):
        return None


def _mapping(response: Response) -> Json | None:
    document = _parsed(response.body)
    return document if isinstance(document, dict) else None


def _required_mapping(call: Call[Any], response: Response) -> Json:
    if not response.ok:
        raise error_for(call, response)
    document = _mapping(response) if response.complete else None
    if document is None:
        raise _unreadable(call, response)
    return document


def _unreadable(call: Call[Any], response: Response) -> UnreadableResponseError:
    return UnreadableResponseError(
        f"{call}: {_description(response)}", status=response.status, request_id=call.request_id
    )


def _description(response: Response) -> str:
    if not response.complete:
        return f"the body broke off or was too large after {len(response.body)} bytes"
    if not response.body:
        return "the body is empty"
    document = _parsed(response.body)
    if isinstance(document, dict):
        return f"a JSON object with the keys {sorted(document)[:10]}"
    if document is not None:
        return f"JSON of the type {type(document).__name__}, not an object"
    return f"not JSON: {one_line(response.body[:80].decode('utf-8', 'replace'))!r}"


def _request_id(document: Json) -> str | None:
    told = document.get("request_id")
    if isinstance(told, int) and not isinstance(told, bool):
        return str(told)
    return told if isinstance(told, str) and told else None


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def _header_metrics(headers: Mapping[str, str]) -> Json:
    names = {
        "cost": "x-cost",
        "remaining_credits": "x-remaining-credits",
        "inference_time": "x-generation-time",
        "seed": "x-seed-value",
    }
    figures = {name: _number(headers.get(header)) for name, header in names.items()}
    return {name: figure for name, figure in figures.items() if figure is not None}


def _entry(row: object) -> HistoryEntry | None:
    if not isinstance(row, dict) or (request_id := _request_id(row)) is None:
        return None
    url, error = row.get("generation_url"), row.get("error")
    return HistoryEntry(
        request_id=request_id,
        model=str(row.get("model_name") or ""),
        state=str(row.get("model_status") or "").upper(),
        cost=_number(row.get("credits_deduction")),
        parameters=_inputs(row.get("request_body")),
        output_urls=(url,) if isinstance(url, str) and url else (),
        error=str(error) if error else None,
        created_at=_created_at(row),
        row=row,
    )


def _created_at(row: Json) -> datetime | None:
    """Read when a request was submitted: ``model_created`` is a sort key, other names are guesses."""
    names = ("model_created", "created_at", *(name for name in row if "creat" in name.lower()))
    moments = (read_moment(str(row[name])) for name in names if row.get(name))
    return next((moment for moment in moments if moment is not None), None)


def _inputs(text: object) -> Json | None:
    """Read a request's inputs: JSON, or the Python literal that the official client's fixtures show."""
    if isinstance(text, dict):
        return text
    if not isinstance(text, str):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            inputs = read(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
        if isinstance(inputs, dict):
            return inputs
    return None


def _model(entry: Json) -> Model:
    schema = entry.get("parameters_schema")
    if isinstance(schema, str):
        schema = _parsed(schema.encode("utf-8", "replace"))
    return Model(
        slug=str(entry["slug"]),
        retired=bool(entry.get("is_depreciated")),
        parameters_schema=schema if isinstance(schema, dict) else {},
    )
