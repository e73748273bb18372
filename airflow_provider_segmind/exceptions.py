"""
What can go wrong, in the user's words.

Every error about a request carries its ``request_id``: it is the only way back to something that was paid
for. ``can_retry`` says whether trying the task again can help.

What each HTTP status means, and which are worth a retry: Segmind's documentation of error codes.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, ClassVar

LONGEST_LINE = 500
"""Characters of somebody else's words that a message quotes."""

LONGEST_DETAIL = 2000
"""Characters of an error's detail."""

LONGEST_REQUEST_ID = 200

_CONTINUES = (
    "The request itself continues at Segmind and will be charged if it completes. Once this is fixed, wait for it "
    "with SegmindRequestSensor."
)

_SPACES = re.compile(r"\s+")
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
"""Control characters, which forge log lines and steer terminals; and marks that hide or reorder text."""


def one_line(text: str, limit: int = LONGEST_LINE) -> str:
    """Return a text on one line, without control characters, cut to ``limit`` characters."""
    beginning = text[: 8 * limit]  # spaces may be many; reading megabytes of them would take long
    line = _INVISIBLE.sub("\ufffd", _SPACES.sub(" ", beginning)).strip()
    return line if len(line) <= limit and len(beginning) == len(text) else line[: limit - 1] + "…"


class SegmindError(Exception):
    """
    Something went wrong between Airflow and Segmind.

    Whatever a host said, the error is one line without control characters, of bounded length.

    :param detail: What was wrong, in Segmind's words where it said something; cut to 2,000 characters.
    :param status: HTTP status of the answer; None if there was none.
    :param request_id: The request that this is about; None if it never got an id.
    """

    summary: ClassVar[str] = "Segmind error"
    advice: ClassVar[str] = ""
    can_retry: ClassVar[bool] = False

    def __init__(self, detail: str, *, status: int | None = None, request_id: str | None = None) -> None:
        # Details quote hosts, users and libraries. Cleaning them here leaves no place that can forget it.
        self.detail = one_line(str(detail), LONGEST_DETAIL)
        readable = isinstance(status, int) and not isinstance(status, bool) and 0 <= status < 1000
        self.status = status if readable else None
        self.request_id = one_line(str(request_id), LONGEST_REQUEST_ID) if request_id is not None else None
        super().__init__(self.detail)

    def __str__(self) -> str:
        facts = []
        if self.status is not None:
            facts.append(f"HTTP {self.status}")
        if self.request_id is not None:
            facts.append(f"request_id={self.request_id}")
        where = f" ({', '.join(facts)})" if facts else ""
        advice = f" {self._advice()}" if self._advice() else ""
        return f"{self.summary}: {self.detail.rstrip('.')}{where}.{advice}"

    def _advice(self) -> str:
        return self.advice


class RefusedError(SegmindError):
    """
    Segmind refused the call, and would again: no retry can help.

    A refused submit is not charged. A request that was only asked about continues.
    """

    def _advice(self) -> str:
        if self.request_id is None:
            return self.advice
        return _CONTINUES


class InvalidParameterError(SegmindError, ValueError):
    """
    A parameter is wrong, and Segmind was not asked: nothing was charged.

    :param name: The parameter at fault.
    :param problem: What is wrong with it and what to write instead.
    """

    summary = "Invalid parameter"

    def __init__(self, name: str, problem: str) -> None:
        self.name = one_line(str(name), LONGEST_LINE)
        self.problem = one_line(str(problem), LONGEST_DETAIL)
        super().__init__(f"{self.name}: {self.problem}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.problem)


class UnreadableInputError(SegmindError):
    """A file that is to be uploaded could not be read from its storage, which may pass. Nothing was submitted."""

    summary = "An input file could not be read"
    can_retry = True


class UnwritableOutputError(SegmindError):
    """``output_path`` could not be written to, which may pass. Nothing was submitted."""

    summary = "The output's place could not be written to, and nothing was submitted"
    can_retry = True


class InvalidConnectionError(SegmindError):
    """The Airflow connection is missing, or one of its fields cannot be used."""

    summary = "Invalid Segmind connection"


class BadRequestError(RefusedError):
    """400, 405 and other refusals of the call itself: malformed body, missing field, unsupported operation."""

    summary = "Segmind refused the call"
    advice = "Compare the parameters with the model's page; nothing was charged."


class AuthenticationError(RefusedError):
    """401: the API key is missing or was rejected."""

    summary = "Segmind did not accept the API key"
    advice = "Check the password of the connection: SG_ and 16 hex digits, not expired or revoked."


class PermissionDeniedError(RefusedError):
    """403: this account or team may not call this model."""

    summary = "Segmind does not allow this call"
    advice = "Ask the owner of the Segmind account or team for access to the model."


class ModelNotFoundError(RefusedError):
    """404 on a submit: there is no model of that name."""

    summary = "No such model"
    advice = "Compare the model's slug with the end of its page's address; nothing was charged."


class InsufficientCreditsError(RefusedError):
    """406: the balance does not cover this request."""

    summary = "Not enough Segmind credits"
    advice = "Top up the account, then clear the task; nothing was charged."


class RejectedError(RefusedError):
    """406 or 422 for another cause: a parameter's value, a team's spend limit, or the content type."""

    summary = "Segmind rejected the request"
    advice = "Compare the parameters with the model's page; nothing was charged."


class ModelRetiredError(RefusedError):
    """410: the model has been taken out of service."""

    summary = "The model is retired"
    advice = "Choose another model; nothing was charged."


class RateLimitedError(SegmindError):
    """
    429: more requests a minute than the key allows.

    :param reset_at: The moment from which requests are allowed again; None if Segmind did not say.
    """

    summary = "Segmind's rate limit is reached"
    can_retry = True

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        request_id: str | None = None,
        reset_at: datetime | None = None,
    ) -> None:
        super().__init__(detail, status=status, request_id=request_id)
        self.reset_at = reset_at


class ServerError(SegmindError):
    """
    500, 502, 503, and 504 where nothing can have been charged: a fault on Segmind's side.

    A 500 right after a change of parameters is often the parameters.
    """

    summary = "Segmind has a server error"
    can_retry = True


class UnreachableError(SegmindError):
    """No connection was made: the call never left."""

    summary = "Segmind cannot be reached"
    can_retry = True


class NoAnswerError(UnreachableError):
    """The call left but was not answered. It was not one that is charged."""

    summary = "Segmind did not answer"


class UntrustedCertificateError(SegmindError):
    """
    The TLS certificate of Segmind's host, or of a proxy on the way, is not trusted. Nothing was sent.

    No retry can help: someone has to say what to trust. A request that was only asked about runs on.
    """

    summary = "The TLS certificate is not trusted"
    advice = (
        "Nothing was sent. If a private authority has issued it, write the path of that authority's CA bundle "
        "into `verify` of the connection."
    )

    def _advice(self) -> str:
        if self.request_id is None:
            return self.advice
        return f"{self.advice} {_CONTINUES}"


class UnreadableResponseError(SegmindError):
    """An answer that is not what Segmind promises: not JSON, cut short, too large, or of another shape."""

    summary = "Segmind's answer cannot be read"
    can_retry = True


class UnusableOutputError(SegmindError):
    """
    The request is COMPLETED, and was charged, but its result holds no output of the expected kind.

    Trying again would pay again and is likely to end the same way, so it is left to a person.
    """

    summary = "The finished request has no usable output"
    advice = "It was charged. Look at the XCom `result`, or at the request in Segmind's history."


class RequestFailedError(SegmindError):
    """The request ran and FAILED, content blocks included. Failed requests are not charged."""

    summary = "The request failed at Segmind and was not charged"
    can_retry = True


class RequestExpiredError(SegmindError):
    """404 on a request id: unknown to this account, or older than the hour for which Segmind keeps records."""

    summary = "Segmind does not know this request, or no longer"
    advice = (
        "Records are kept for one hour from submission. If it completed it was charged, and Segmind's request "
        "history still has its output: look there before you run it again."
    )


class RequestTimeoutError(SegmindError):
    """The request was not finished at the deadline. It lives on at Segmind and will be charged if it completes."""

    summary = "Gave up waiting"
    advice = (
        "Segmind cannot cancel it: if it has not finished, it runs on, and it is charged if it completes. Wait "
        "for it with SegmindRequestSensor and this request_id, or clear the task to pay for another one."
    )


class OutputError(SegmindError):
    """The request is COMPLETED and charged, but its output could not be stored. Another try pays nothing more."""

    summary = "The output could not be stored"


class OutputNotStoredError(OutputError):
    """The storage did not take the output, which may pass: no permission, no space, a bucket that is not there."""

    advice = "It was charged, and stays at Segmind for seven days. Look at output_path and output_conn_id."


class DownloadError(OutputError):
    """
    The output could not be fetched, which may pass.

    :param may_resume: Whether to go on where it broke off can help at once.
    """

    summary = "The output could not be fetched"
    advice = "It was charged, and stays at Segmind for seven days."

    def __init__(
        self, detail: str, *, status: int | None = None, request_id: str | None = None, may_resume: bool = False
    ) -> None:
        super().__init__(detail, status=status, request_id=request_id)
        self.may_resume = may_resume


class OutputGoneError(OutputError):
    """The output is not at its address: Segmind deletes files after seven days."""

    summary = "The output is gone"
    advice = "Segmind deletes files after seven days. Clear the task to pay for another one."


class OutputTooLargeError(OutputError):
    """The output is larger than ``max_output_bytes``."""

    summary = "The output is too large"
    advice = "It was charged. Raise max_output_bytes."


class OutputRefusedError(OutputError):
    """The output is at an address from which nothing is fetched: plain http, or not of the public internet."""

    summary = "The output's address is refused"
    advice = "Nothing was sent there."


class SubmitUnresolvedError(SegmindError):
    """A submit without a clear answer: the request may exist, and be charged, or not."""

    summary = "It is unknown whether Segmind accepted the request"
    advice = (
        "It was not sent again, because each submit is a new charge. Look in Segmind's request history; if it is "
        "not there, clear the task, with on_unresolved_submit='resubmit' if the history cannot be read."
    )


PASSING_TROUBLE = (UnreachableError, ServerError, RateLimitedError, UnreadableResponseError)
"""What is waited out by whoever only looks: nothing can be charged, and the next look may see more."""

_BY_NAME: dict[str, type[SegmindError]] = {
    error.__name__: error
    for error in (
        SegmindError,
        RefusedError,
        UnreadableInputError,
        UnwritableOutputError,
        InvalidConnectionError,
        BadRequestError,
        AuthenticationError,
        PermissionDeniedError,
        ModelNotFoundError,
        InsufficientCreditsError,
        RejectedError,
        ModelRetiredError,
        RateLimitedError,
        ServerError,
        UnreachableError,
        NoAnswerError,
        UntrustedCertificateError,
        UnreadableResponseError,
        UnusableOutputError,
        OutputError,
        OutputNotStoredError,
        DownloadError,
        OutputGoneError,
        OutputTooLargeError,
        OutputRefusedError,
        RequestFailedError,
        RequestExpiredError,
        RequestTimeoutError,
        SubmitUnresolvedError,
    )
}


def error_as_json(error: SegmindError) -> dict[str, Any]:
    """Return an error as plain JSON values, to cross from the triggerer to a worker."""
    return {
        "type": type(error).__name__,
        "detail": error.detail,
        "status": error.status,
        "request_id": error.request_id,
    }


def error_from_json(document: object) -> SegmindError:
    """
    Return the error that ``error_as_json`` described.

    A type from another version becomes SegmindError, and so does a document that is of another shape.
    """
    fields = document if isinstance(document, dict) else {}
    kind, detail, request_id = fields.get("type"), fields.get("detail"), fields.get("request_id")
    error = _BY_NAME.get(kind, SegmindError) if isinstance(kind, str) else SegmindError
    return error(
        detail if isinstance(detail, str) else "no detail",
        status=fields.get("status"),
        request_id=request_id if isinstance(request_id, str) else None,
    )
