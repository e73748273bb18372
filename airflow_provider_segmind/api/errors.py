"""What an answer says went wrong, and which exception that is: the one place that knows Segmind's error table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from airflow_provider_segmind.api.call import RESUBMIT_AFTER, Call, Response
from airflow_provider_segmind.api.documents import JSON_LIMIT, read_beginning, read_json
from airflow_provider_segmind.api.rate_limit import reset_moment
from airflow_provider_segmind.api.request_ids import read_request_id
from airflow_provider_segmind.api.text import LONGEST_LINE, one_line, without_login
from airflow_provider_segmind.exceptions import (
    AuthenticationError,
    BadRequestError,
    InsufficientCreditsError,
    ModelNotFoundError,
    ModelRetiredError,
    PermissionDeniedError,
    RateLimitedError,
    RejectedError,
    RequestExpiredError,
    SegmindError,
    ServerError,
    SubmitUnresolvedError,
)

_LONGEST_LOCATION = 200
GAVE_UP = (408, 499)
"""What proxies such as Envoy and nginx say when they stop waiting, although the host may have the call by then."""

_OWN_KEYS = frozenset({"error", "error_message", "error_description", "status_code"})
"""
What Segmind's own errors consist of. A gateway in front of it writes other keys, too, or only others, such as the
`message` of AWS API Gateway and Kong, and the `timestamp` and `path` of Spring.
"""

_BY_STATUS: dict[int, type[SegmindError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    402: InsufficientCreditsError,
    403: PermissionDeniedError,
    405: BadRequestError,
    406: RejectedError,
    410: ModelRetiredError,
    422: RejectedError,
}
EXPLANATIONS = ("error", "error_message", "detail", "message")


def error_for(call: Call[Any], response: Response) -> SegmindError:
    """
    Return the exception that a non-2xx answer stands for.

    Branches on the status, since Segmind has no symbolic codes; on the message only for 406, where four
    causes share one status.
    """
    status, detail, request_id = response.status, _detail(response), call.request_id
    error_type = _error_type(call, response, detail)
    if error_type is SubmitUnresolvedError:
        request_id = read_request_id(response.headers.get("x-request-id"))
    if status == 429:
        now = datetime.fromtimestamp(response.at, UTC)
        return RateLimitedError(
            detail, status=status, request_id=request_id, reset_at=reset_moment(response.headers, now)
        )
    if error_type is ModelNotFoundError:
        is_workflow = call.path.startswith("/workflows/")
        return ModelNotFoundError(detail, status=status, is_workflow=is_workflow)
    return error_type(detail, status=status, request_id=request_id)


def _error_type(call: Call[Any], response: Response, detail: str) -> type[SegmindError]:
    status = response.status
    if status >= 500 or status in GAVE_UP:
        resubmit = call.resubmits and status in RESUBMIT_AFTER and _is_own_error(response)
        return SubmitUnresolvedError if call.charged and not resubmit else ServerError
    if status == 404:
        if call.request_id is not None:
            return RequestExpiredError
        return ModelNotFoundError if call.model is not None else BadRequestError
    if status == 406 and "insufficient credit" in detail.lower():
        return InsufficientCreditsError
    return _BY_STATUS.get(status, BadRequestError)


def _detail(response: Response) -> str:
    if 300 <= response.status < 400:
        location = one_line(response.headers.get("location", "nowhere"), _LONGEST_LOCATION)
        url = without_login(location.partition("?")[0])  # what follows may be a signature
        return f"redirected to {url}; check the host of the connection"
    return _message(response) or one_line(_page_text(response.body)) or "no explanation given"


def _page_text(body: bytes) -> str:
    """Return what a person would read of a text or an HTML page."""
    text = body[: 8 * LONGEST_LINE].decode("utf-8", "replace")
    if "<" not in text:
        return text
    from airflow_provider_segmind.api.error_page import page_text  # a parser of HTML, which answers seldom are

    return page_text(text)


def _is_own_error(response: Response) -> bool:
    """
    Whether Segmind itself says that it has not taken a submit, and no proxy or gateway on the way.

    One that names a request or anything else that is not of Segmind's errors says more than that.
    """
    document = _read_whole(response)
    if not isinstance(document, dict) or not document.keys() <= _OWN_KEYS:
        return False
    return any(_words(document.get(name)) for name in ("error", "error_message"))


def _read_whole(response: Response) -> Any:
    """Return the document that a body of the size of an error is; None if it is none, or not whole."""
    try:
        return read_json(response.body) if response.complete and len(response.body) <= JSON_LIMIT else None
    except ValueError:
        return None


def _message(response: Response) -> str:
    body = response.body
    try:
        document = read_json(body) if response.complete and len(body) <= JSON_LIMIT else None
    except ValueError:
        return ""
    document = read_beginning(body, begun_texts=True) if document is None else document
    return error_text(document) if isinstance(document, dict) else ""


def error_text(document: Mapping[str, Any]) -> str:
    """
    Return the explanation in an answer, on one line; empty if there is none.

    It is the first that is there of ``error``, ``error_message``, ``detail`` and ``message``, each of which may be
    an object with one of these in it. A code in ``error`` is followed by its ``error_description``.
    """
    words = next(filter(None, (_words(document.get(name)) for name in EXPLANATIONS)), "")
    description = _words(document.get("error_description"))
    return one_line(": ".join(dict.fromkeys(filter(None, (words, description)))))


def _words(part: object) -> str:
    if isinstance(part, str):
        return one_line(part)
    if isinstance(part, Mapping):
        inner = next((part[name] for name in EXPLANATIONS if isinstance(part.get(name), str) and part[name]), None)
        if inner is not None:
            return one_line(inner)
    if not part or isinstance(part, bool):
        return ""
    try:
        return one_line(json.dumps(part))
    except (TypeError, ValueError, RecursionError):
        return ""
