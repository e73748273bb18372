"""What an answer says went wrong, and which exception that is: the one place that knows Segmind's error table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

from airflow_provider_segmind.api.call import JSON_LIMIT, RESUBMIT_AFTER, Call, Response
from airflow_provider_segmind.api.documents import read_beginning, read_json
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


def _page_text(body: bytes) -> str:
    text = body[: 8 * LONGEST_LINE].decode("utf-8", "replace")
    if "<" not in text:
        return text
    page = _PageText()
    try:
        page.feed(text)
    except (AssertionError, ValueError):  # what the parser raises at markup that it gives up on
        return ""
    return " ".join(page.parts)


class _PageText(HTMLParser):
    """Collects what a person would read of an HTML error page."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden = tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False

    def handle_data(self, data: str) -> None:
        words = data.strip()
        if words and not self._hidden and words not in self.parts:
            self.parts.append(words)


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
