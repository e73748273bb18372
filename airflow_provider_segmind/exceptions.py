"""
What can go wrong, in the user's words.

Every error about a request carries its ``request_id``: it is the only way back to something that was paid
for. ``can_retry`` says whether trying the task again can help.

The meaning of each HTTP status, and whether a retry helps, follow Segmind's documentation of error codes.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, ClassVar

LONGEST_LINE = 500
"""Characters that a message quotes of a text from outside."""

LONGEST_DETAIL = 2000
"""Characters of an error's detail."""

LONGEST_REQUEST_ID = 200

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


RUNBOOK = "https://github.com/segmind/airflow-provider-segmind/blob/main/docs/runbook.md"
"""The page that says what to do about each error."""

SENSOR = "SegmindRequestSensor (example DAG segmind_adopt_request)"
"""What waits for a request that a task has left, and stores its output."""

HISTORY = "https://platform.segmind.com (Generations)"
"""Where a person finds the requests of an account."""


BROKEN_DEFERRAL = "the triggerer is down"
INTERRUPTED = "the task was interrupted"
"""Sections of the runbook for what ends a task without an error of this provider."""

REDIS_DOWN = "Redis is down"
"""The section for a Redis that cannot be used."""


def runbook(section: str) -> str:
    """Return the end of a message: the link to a section of the runbook, by its heading."""
    return f"See {RUNBOOK}#{section.lower().replace(' ', '-')}"


def still_running(advice: str = f"Wait for it with {SENSOR}.", request_id: str | None = None) -> str:
    """Return the sentence about a request that outlives its task, followed by what a user can do."""
    name = "The request" if request_id is None else f"Request {request_id}"
    return f"{name} may still be running: Segmind cannot cancel it, and charges it if it completes. {advice}"


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
        return f"{self.text} {runbook(type(self).__name__)}"

    @property
    def facts(self) -> str:
        """What happened, without what to do about it and without a full stop."""
        facts = []
        if self.status is not None:
            facts.append(f"HTTP {self.status}")
        if self.request_id is not None:
            facts.append(f"request_id={self.request_id}")
        where = f" ({', '.join(facts)})" if facts else ""
        return f"{self._summary()}: {self.detail.rstrip('.')}{where}"

    @property
    def text(self) -> str:
        """The message without the link to the runbook."""
        return f"{self.facts}. {self._advice()}".rstrip()

    def _summary(self) -> str:
        return self.summary

    def _advice(self) -> str:
        return self.advice


class RefusedError(SegmindError):
    """
    Segmind refused the call and would refuse it again: no retry can help.

    A refused submit is not charged. A polled request continues.
    """

    def _advice(self) -> str:
        if self.request_id is None:
            return self.advice
        return still_running(f"Once this is fixed, wait for it with {SENSOR}.")


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
    advice = "Nothing was submitted without it."
    can_retry = True


class UnwritableOutputError(SegmindError):
    """``output_path`` could not be written to, which may pass. Nothing was submitted."""

    summary = "The output location is not writable, and nothing was submitted"
    can_retry = True


class RecordUnavailableError(SegmindError):
    """The record of the task's request could not be read or written, which may pass. Without it, no submit."""

    summary = "The task's record is not available"
    advice = "Nothing is submitted without it."
    can_retry = True


class SpendingLimitError(SegmindError):
    """
    Another request would cost more than ``max_cost`` or ``max_cost_per_run`` allows. Nothing was submitted.

    No retry can help: what was spent stays spent, and a person decides whether there is to be more.
    """

    summary = "The spending limit does not allow another request; nothing was submitted"
    advice = "To spend more, raise the limit and clear the task."


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
    """
    404 on a submit: there is no model of that name, or no such workflow.

    :param is_workflow: Whether a workflow was asked for.
    """

    summary = "No such model"
    advice = "Compare the slug with the end of the model page's URL; nothing was charged."

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        request_id: str | None = None,
        is_workflow: bool = False,
    ) -> None:
        super().__init__(detail, status=status, request_id=request_id)
        self.is_workflow = is_workflow

    def _summary(self) -> str:
        return "No such workflow" if self.is_workflow else super()._summary()

    def _advice(self) -> str:
        if not self.is_workflow:
            return super()._advice()
        return "Compare the id with the workflow's API page; nothing was charged."


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
    A 5xx to a call that is not charged, or Segmind's own 500 or 503 to a submit: a fault on Segmind's side.

    A 500 right after a change of parameters is often the parameters.
    """

    summary = "Segmind has a server error"
    can_retry = True


class UnreachableError(SegmindError):
    """No connection was made: the call was not sent."""

    summary = "Segmind cannot be reached"
    can_retry = True


class NoAnswerError(UnreachableError):
    """The call was sent but not answered. It is not a charged one."""

    summary = "Segmind did not answer"


class UntrustedCertificateError(SegmindError):
    """
    The TLS certificate of Segmind's host, or of a proxy on the way, is not trusted. Nothing was sent.

    No retry can help: a person has to configure what to trust. A polled request continues.
    """

    summary = "The TLS certificate is not trusted"
    advice = (
        "Nothing was sent. If a private authority issued it, set `verify` in the extra of the connection to the "
        "path of its CA bundle."
    )

    def _advice(self) -> str:
        if self.request_id is None:
            return self.advice
        return f"{self.advice} {still_running(f'Once this is fixed, wait for it with {SENSOR}.')}"


class UnreadableResponseError(SegmindError):
    """An answer that does not have the documented form: not JSON, cut short, too large, or of another shape."""

    summary = "Segmind's answer cannot be read"
    can_retry = True


class UnusableOutputError(SegmindError):
    """
    The request is COMPLETED, and was charged, but its result holds no output of the expected kind.

    A retry would pay again and probably end the same way, so a person has to decide.
    """

    summary = "The finished request has no usable output"
    advice = "It was charged. See the XCom `result`, or the request in Segmind's history."


class RequestFailedError(SegmindError):
    """
    The request ran and FAILED. Failed requests are not charged.

    Its subclasses have a cause that lasts. Any other may pass, and so follows the task's retries.
    """

    summary = "The request failed at Segmind and was not charged"
    can_retry = True


class ContentBlockedError(RequestFailedError):
    """The request FAILED because moderation blocked its prompt, its media or its output. It was not charged."""

    summary = "Segmind blocked the content, and charged nothing"
    advice = "The same content would be blocked again: change the prompt or the media."
    can_retry = False


class RejectedInputError(RequestFailedError):
    """The request FAILED because its model does not take the input. It was not charged."""

    summary = "The model does not take this input; nothing was charged"
    advice = "The same input would fail again: compare the parameters and the media with the model's page."
    can_retry = False


class RequestExpiredError(SegmindError):
    """404 on a request id: unknown to this account, or older than the hour for which Segmind keeps records."""

    summary = "Segmind has no record of this request (unknown or expired)"
    advice = (
        "Segmind keeps records for one hour from submission. If the request completed, it was charged, and the "
        "request history still has its output: look there before you run it again."
    )


class RequestTimeoutError(SegmindError):
    """The request was not finished at the deadline. It may still be running, and is charged if it completes."""

    summary = "Gave up waiting"
    advice = still_running()


class OutputError(SegmindError):
    """The request is COMPLETED and charged, but its output could not be stored. Another attempt costs nothing."""

    summary = "The output could not be stored"


class OutputNotStoredError(OutputError):
    """The storage rejected the output, which may pass: no permission, no space, a missing bucket."""

    advice = "It was charged. Segmind keeps the output for seven days. Check output_path and output_conn_id."


class DownloadError(OutputError):
    """
    The output could not be fetched, which may pass.

    :param may_resume: Whether resuming the download at once can help.
    """

    summary = "The output could not be fetched"
    advice = "It was charged. Segmind keeps the output for seven days."

    def __init__(
        self, detail: str, *, status: int | None = None, request_id: str | None = None, may_resume: bool = False
    ) -> None:
        super().__init__(detail, status=status, request_id=request_id)
        self.may_resume = may_resume


class OutputGoneError(OutputError):
    """The output is not at its address: Segmind deletes files after seven days."""

    summary = "The output is gone"
    advice = "Segmind deletes files after seven days. Clearing the task pays for a new one."


class OutputTooLargeError(OutputError):
    """The output is larger than ``max_output_bytes``."""

    summary = "The output is too large"
    advice = "It was charged. Raise max_output_bytes."


class OutputRefusedError(OutputError):
    """The output's URL is not one that is fetched: plain http, or not a public address."""

    summary = "The output's URL is not allowed"
    advice = "Nothing was sent there."


class SubmitUnresolvedError(SegmindError):
    """
    A submit without a clear answer: the request may or may not exist and be charged.

    :param submit: By what the task names the submit: when it was sent. None if that is not known.
    :param is_ambiguous: Whether the history shows several requests that may be the one: only a person can tell.
    """

    summary = "It is unknown whether Segmind accepted the request"
    advice = (
        "It was not sent again, because every submit is a new charge. Look for a request with this model, this "
        f"time and the task's parameters: in {HISTORY}, or with SegmindHook.get_history."
    )

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        request_id: str | None = None,
        submit: str | None = None,
        is_ambiguous: bool = False,
    ) -> None:
        super().__init__(detail, status=status, request_id=request_id)
        self.submit = submit
        self.is_ambiguous = is_ambiguous


PASSING_TROUBLE = (UnreachableError, ServerError, RateLimitedError, UnreadableResponseError)
"""Errors that a wait sits out: it only polls, so that nothing is charged, and the next poll may succeed."""

_BY_NAME: dict[str, type[SegmindError]] = {
    name: error
    for name, error in list(globals().items())
    if isinstance(error, type) and issubclass(error, SegmindError) and error is not InvalidParameterError
}
"""All but the one whose constructor takes other arguments: it is raised in the worker that reads it."""


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
