"""Which exception an answer is. The one place that knows Segmind's error table."""

from __future__ import annotations

from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

from airflow_provider_segmind.api.call import JSON_LIMIT, RESUBMIT_IS_SAFE, Call, Response
from airflow_provider_segmind.api.documents import read_beginning, read_json
from airflow_provider_segmind.api.error_texts import error_text
from airflow_provider_segmind.api.locations import without_login
from airflow_provider_segmind.api.rate_limit import reset_moment
from airflow_provider_segmind.api.request_ids import read_request_id
from airflow_provider_segmind.api.text import LONGEST_LINE, one_line
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
_GAVE_UP = (408, 499)
"""What proxies such as Envoy and nginx say when they stop waiting, although the host may have the call by then."""

_BY_STATUS: dict[int, type[SegmindError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    405: BadRequestError,
    406: RejectedError,
    410: ModelRetiredError,
    422: RejectedError,
}


def error_for(call: Call[Any], response: Response) -> SegmindError:
    """
    Return the exception that a non-2xx answer stands for.

    Branches on the status, since Segmind has no symbolic codes; on the message only for 406, where four
    causes share one status.
    """
    status, detail, request_id = response.status, _detail(response), call.request_id
    error_type = _error_type(call, status, detail)
    if error_type is SubmitUnresolvedError:
        request_id = read_request_id(response.headers.get("x-request-id"))
    if status == 429:
        now = datetime.now(UTC)
        return RateLimitedError(
            detail, status=status, request_id=request_id, reset_at=reset_moment(response.headers, now)
        )
    return error_type(detail, status=status, request_id=request_id)


def _error_type(call: Call[Any], status: int, detail: str) -> type[SegmindError]:
    if status >= 500 or status in _GAVE_UP:
        return SubmitUnresolvedError if call.charged and status not in RESUBMIT_IS_SAFE else ServerError
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
        place = without_login(location.partition("?")[0])  # what follows may be a signature
        return f"redirected to {place}; check the host of the connection"
    return _message(response) or one_line(_page_text(response.body)) or "no explanation given"


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
