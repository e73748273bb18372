"""What Segmind's answers say, as frozen values, and the readers that turn a response into one of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from airflow_provider_segmind.api.call import Call, Response
from airflow_provider_segmind.api.documents import Allowance, read_beginning, read_json, read_text
from airflow_provider_segmind.api.error_texts import error_text
from airflow_provider_segmind.api.errors import error_for
from airflow_provider_segmind.api.figures import read_metrics, read_number
from airflow_provider_segmind.api.history import HistoryEntry, HistoryPage, read_entry, read_page, read_state
from airflow_provider_segmind.api.request_ids import canonical_id, read_request_id
from airflow_provider_segmind.api.text import first_names, one_line
from airflow_provider_segmind.api.web_address import is_web_address
from airflow_provider_segmind.exceptions import (
    RequestFailedError,
    SubmitUnresolvedError,
    UnreadableResponseError,
)

__all__ = [
    "Credits",
    "HistoryEntry",
    "HistoryPage",
    "Model",
    "RequestReport",
    "RequestState",
    "SubmittedRequest",
    "SyncAnswer",
    "credits",
    "history_entry",
    "history_page",
    "models",
    "report",
    "submitted",
    "sync_answer",
    "uploaded",
]

Json = dict[str, Any]

WORKERS_WEIGHT = 4_000_000
"""What may be read of an answer that only workers ask for, where a second of work holds up nobody else."""

MOST_MODELS = 10_000
_LONGEST_SLUG = 200
_CONTENT_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+_-]{0,60}")


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

    :param state: One of RequestState, or a word that this version does not know, of 40 characters at most.
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
        and ``total_time`` in seconds; ``retry_count`` if there was a retry. Empty while it runs. Small values of
        other names are among them, but nothing large or nested.
        """
        return read_metrics(self.body.get("metrics"))

    def raise_if_failed(self) -> None:
        """
        Raise if the request ended without output.

        :raises RequestFailedError: If the state is FAILED, with Segmind's explanation.
        """
        if self.state == RequestState.FAILED:
            words = error_text(self.body) or "no explanation given"
            raise RequestFailedError(words, request_id=self.request_id)


@dataclass(frozen=True)
class SyncAnswer:
    """
    The answer of a synchronous run.

    :param request_id: From the header ``x-request-id``; None if it was missing, or cannot be an id.
    :param content_type: Without its parameters, in lower case; empty if it was missing, or cannot be one.
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
class Model:
    """A model in the public catalogue, with the JSON schema of its parameters as far as told."""

    slug: str
    retired: bool = False
    parameters_schema: Json = field(default_factory=dict)


def submitted(call: Call[Any], response: Response) -> SubmittedRequest:
    """Read the answer to a submit. A 2xx without an id that can be one leaves open whether there is a request."""
    if not response.ok:
        raise error_for(call, response)
    document = (_mapping(response) if response.complete else None) or {}
    given = document.get("request_id")
    request_id = read_request_id(given)
    if request_id is None:
        trouble = (
            f"the answer has no request_id ({_description(response)})"
            if given is None
            else f"its request_id cannot be one: {_quoted(given)}"
        )
        raise SubmitUnresolvedError(f"{call}: accepted, but {trouble}", status=response.status)
    return SubmittedRequest(request_id, call.model or "")


def report(call: Call[Any], response: Response) -> RequestReport:
    """
    Read the status or the result of a request.

    A FAILED request is served as HTTP 422, so a body that announces an end counts whatever the status is, and one
    that announces FAILED even if its end is missing. A result need not repeat its status: a 2xx without one means
    COMPLETED there, and is unreadable elsewhere.
    """
    request_id = call.request_id or ""
    document = (_mapping(response) if response.complete else read_beginning(response.body)) or {}
    if _is_of_another(document, request_id):
        document = {}
    state = read_state(document.get("status"))
    if state == RequestState.FAILED or (state == RequestState.COMPLETED and response.complete):
        return RequestReport(request_id, state, document)
    if not response.ok:
        raise error_for(call, response) if _is_meant(response) else _unreadable(call, response)
    if response.complete and state:
        return RequestReport(request_id, state, document)
    if response.complete and "output" in document:
        return RequestReport(request_id, RequestState.COMPLETED, document)
    raise _unreadable(call, response)


def sync_answer(call: Call[Any], response: Response) -> SyncAnswer:
    """Read the answer to a synchronous run: JSON or bytes, with the figures in the headers."""
    if not response.ok:
        raise error_for(call, response)
    request_id = read_request_id(response.headers.get("x-request-id"))
    if not response.complete:
        raise SubmitUnresolvedError(
            f"{call}: the answer was cut short after {len(response.body)} bytes; it has probably been charged",
            status=response.status,
            request_id=request_id,
        )
    content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    content_type = content_type if _CONTENT_TYPE.fullmatch(content_type) else ""
    return SyncAnswer(
        request_id=request_id,
        content_type=content_type,
        content=response.body,
        document=_document(response, Allowance(WORKERS_WEIGHT)) if content_type == "application/json" else None,
        metrics=_header_metrics(response.headers),
    )


def credits(call: Call[Any], response: Response) -> Credits:  # noqa: A001 - the field's own word
    """Read the balance. An account without a balance record answers 404, and has nothing."""
    if response.status == 404 and b"no credits found" in response.body.lower():
        return Credits(0.0)
    document = _required_mapping(call, response)
    balance, free = read_number(document.get("credits")), read_number(document.get("free-credits"))
    if balance is None:
        raise _unreadable(call, response)
    return Credits(balance, free or 0.0)


def history_page(call: Call[Any], response: Response) -> HistoryPage:
    """Read one page of history. Rows that cannot be read are counted, and do not keep others from being read."""
    rows = _required_mapping(call, response).get("data")
    if not isinstance(rows, list):
        raise _unreadable(call, response)
    return read_page(rows)


def history_entry(call: Call[Any], response: Response) -> HistoryEntry:
    """Read one request's row, with or without an envelope around it."""
    document = _required_mapping(call, response)
    inner = document.get("data")
    entry = read_entry(inner[0] if isinstance(inner, list) and inner else inner) or read_entry(document)
    if entry is None or _is_of_another({"request_id": entry.request_id}, call.request_id or ""):
        raise _unreadable(call, response)
    return entry


def models(call: Call[Any], response: Response) -> tuple[Model, ...]:
    """Read the catalogue: a list, or a list in an envelope, whatever its name."""
    if not response.ok:
        raise error_for(call, response)
    allowance = Allowance(WORKERS_WEIGHT)
    entries = _entries(_document(response, allowance) if response.complete else None)
    if entries is None:
        raise _unreadable(call, response)
    found = (_model(entry, allowance) for entry in entries[:MOST_MODELS])
    return tuple(model for model in found if model is not None)


def uploaded(call: Call[Any], response: Response, count: int | None = None) -> tuple[str, ...]:
    """
    Read the addresses of uploaded files, in the order in which they were sent.

    :param count: How many files were sent, if that is known.
    """
    document = _required_mapping(call, response)
    urls = document.get("file_urls") or document.get("urls")
    if not isinstance(urls, list) or not urls or not all(map(is_web_address, urls)):
        raise _unreadable(call, response)
    if count is not None and len(urls) != count:
        raise UnreadableResponseError(
            f"{call}: {len(urls)} addresses for {count} uploaded files", status=response.status
        )
    return tuple(urls)


def _is_of_another(document: Mapping[str, Any], request_id: str) -> bool:
    """Whether an answer is about another request than the one that was asked about: a cache may mix them up."""
    named = read_request_id(document.get("request_id"))
    return named is not None and canonical_id(named) != canonical_id(request_id)


def _is_meant(response: Response) -> bool:
    """
    Whether an error about a request is Segmind's word on it, and not trouble on the way.

    A gateway or proxy in between may answer 400 or 403 with a page of its own, and a FAILED body may be cut.
    """
    if response.status in (401, 429) or response.status >= 500:
        return True
    return response.status in (403, 404, 410) and response.complete and _mapping(response) is not None


def _document(response: Response, allowance: Allowance | None = None) -> Any:
    """Return the document that a body is; None if it cannot be read."""
    try:
        return read_json(response.body, allowance)
    except ValueError:
        return None


def _mapping(response: Response) -> Json | None:
    document = _document(response)
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
    document = _document(response)
    if isinstance(document, dict):
        return f"a JSON object with the keys {first_names(document)}"
    if document is not None:
        return f"JSON of the type {type(document).__name__}, not an object"
    return f"not JSON: {one_line(response.body[:80].decode('utf-8', 'replace'))!r}"


def _quoted(value: object) -> str:
    return repr(one_line(value, 80)) if isinstance(value, str) else f"a value of the type {type(value).__name__}"


def _header_metrics(headers: Mapping[str, str]) -> Json:
    names = {
        "cost": "x-cost",
        "remaining_credits": "x-remaining-credits",
        "inference_time": "x-generation-time",
        "seed": "x-seed-value",
    }
    figures = {name: read_number(headers.get(header)) for name, header in names.items()}
    return {name: figure for name, figure in figures.items() if figure is not None}


def _entries(document: object) -> list[Any] | None:
    """Return the first list that has a model in it, or at least the first list, however it is wrapped."""
    lists: list[list[Any]] = []
    level = [document]
    for _ in range(3):
        lists += [value for value in level if isinstance(value, list)]
        level = [part for value in level if isinstance(value, dict) for part in value.values()]
    return next((each for each in lists if any(map(_slug, each))), lists[0] if lists else None)


def _slug(entry: object) -> str | None:
    slug = entry.get("slug") if isinstance(entry, dict) else None
    return slug if isinstance(slug, str) and slug and one_line(slug, _LONGEST_SLUG) == slug else None


def _model(entry: object, allowance: Allowance) -> Model | None:
    slug = _slug(entry)
    if slug is None or not isinstance(entry, dict):
        return None
    schema = entry.get("parameters_schema")
    if isinstance(schema, str):
        try:
            schema = read_text(schema, allowance)
        except ValueError:
            schema = None
    return Model(
        slug=slug,
        retired=entry.get("is_depreciated") in (True, "true", "True", "1"),
        parameters_schema=schema if isinstance(schema, dict) else {},
    )
