"""A call to Segmind and the answer to it, as values. The transports in ``hooks`` carry them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Generic, Literal, TypeVar

from airflow_provider_segmind.api.documents import JSON_LIMIT
from airflow_provider_segmind.exceptions import (
    NoAnswerError,
    SegmindError,
    ServerError,
    SubmitUnresolvedError,
    UnreachableError,
    UntrustedCertificateError,
)

T = TypeVar("T")

RESEND_AFTER = frozenset({500, 502, 503})
"""Statuses after which a POST that is not charged is sent again."""

RESUBMIT_AFTER = frozenset({500, 503})
"""
Statuses after which Segmind's documentation says to send a submit again, if Segmind itself answered. Any other 5xx
may come from a proxy that gave up on a submit that Segmind has.
"""

MOST_SENDS = 3
"""How often a call is sent at most, where nobody has answered it, or it is not charged."""

MOST_ANSWERED_SUBMITS = 2
"""
How often a submit is sent at most if Segmind answers it with a server error. Whether such an error may leave a
request that is charged is not known, so that each submit more is a risk.
"""


class Service(StrEnum):
    """Segmind's hosts. The connection has the address of each."""

    GATEWAY = "gateway"
    PLATFORM = "platform"
    STORAGE = "storage"


@dataclass(frozen=True)
class Response:
    """
    What a transport got back.

    :param headers: With lower-case names.
    :param body: Without its content encoding, at most ``Call.limit`` bytes of it; empty for a redirect.
    :param complete: False if the connection broke, the time was up or the limit was reached before the body's
        end, or if its content encoding cannot be undone.
    :param at: When it came, in seconds since the epoch.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = True
    at: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300


class Rank(IntEnum):
    """
    Which call goes first where a key's budget is short: lower numbers do.

    A result; then a submit, or the search for an unresolved one; then a poll.
    """

    RESULT = 0
    SUBMIT = 1
    POLL = 2


@dataclass(frozen=True)
class Turn:
    """
    How a call takes its turn where the key's budget is short.

    :param not_after: When to give up, in seconds since the epoch.
    :param rank: Whether it goes before or after calls of other kinds.
    :param likelihood: Of a poll: the probability that the request is done, at a moment in seconds since the epoch.
    """

    not_after: float
    rank: Rank = Rank.RESULT
    likelihood: Callable[[float], float] = lambda _: 1.0


@dataclass(frozen=True)
class Call(Generic[T]):
    """
    One HTTP call, and how to read the answer to it.

    :param reader: Turns the response into a value or raises the SegmindError that fits.
    :param query: Query parameters.
    :param body: JSON, encoded; None for a GET.
    :param request_id: The request that the call asks about.
    :param model: The model that the call runs.
    :param charged: Whether Segmind charges for it, so that it must not be sent twice.
    :param resubmits: Whether Segmind's own 500 or 503 to a submit says that nothing was accepted: it may be sent
        again then.
    :param needs_key: Whether the API key goes with it.
    :param limit: Bytes of the answer to read at most.
    :param timeout: Seconds from connecting to the last byte of the answer, if other than the connection's
        ``timeout``.
    :param turn: How it waits for others that share its key; without one it goes first, and waits for ever.
    """

    method: Literal["GET", "POST"]
    service: Service
    path: str
    reader: Callable[[Call[T], Response], T]
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    request_id: str | None = None
    model: str | None = None
    charged: bool = False
    resubmits: bool = True
    needs_key: bool = True
    limit: int = JSON_LIMIT
    timeout: float | None = None
    turn: Turn | None = field(default=None, compare=False)

    def read(self, response: Response) -> T:
        """Return what the response means, or raise the SegmindError that fits."""
        return self.reader(self, response)

    def undelivered_error(self, cause: str) -> SegmindError:
        """Return the error for a call that was certainly not sent: sending it again is safe."""
        return UnreachableError(f"{self}: {cause}", request_id=self.request_id)

    def unanswered_error(self, cause: str) -> SegmindError:
        """Return the error for a call that may have arrived but was not answered."""
        error = SubmitUnresolvedError if self.charged else NoAnswerError
        return error(f"{self}: {cause}", request_id=self.request_id)

    def untrusted_error(self, host: str, fault: str) -> SegmindError:
        """Return the error for a call that was not sent, as the certificate of a host or proxy is not trusted."""
        return UntrustedCertificateError(f"{self}: the certificate of {host}: {fault}", request_id=self.request_id)

    def may_resend(self, error: BaseException) -> bool:
        """
        Return whether a call that ended in this error may be sent again at once.

        A GET may, after any error that can pass. A POST may if it was not sent. If it is not charged, it may after
        a 500, 502 or 503, too; a submit only if Segmind itself answered 500 or 503: its documentation says so.
        """
        if isinstance(error, ServerError):
            return self.method == "GET" or error.status in (RESUBMIT_AFTER if self.charged else RESEND_AFTER)
        if isinstance(error, NoAnswerError):
            return self.method == "GET"
        return isinstance(error, UnreachableError)

    def most_sends(self, error: BaseException | None) -> int:
        """Return how often the call may be sent in all, if it has ended in this error."""
        return MOST_ANSWERED_SUBMITS if self.charged and isinstance(error, ServerError) else MOST_SENDS

    def __str__(self) -> str:
        return f"{self.method} {self.path}"
