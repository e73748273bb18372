"""
What Segmind answers, as frozen values. ``readers`` makes them of a response; the rows of the history are in
``history``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from airflow_provider_segmind.api.values import read_metrics

Json = dict[str, Any]

DATABASE_LIMIT = 64 * 1024
"""
Bytes of a result as JSON that may go to Airflow's database: in XCom, or in an event, which also goes to the
triggerer's log. A result without media in it has some hundred.
"""


class RequestState(StrEnum):
    """The states that Segmind documents. An answer may have another one, which does not end a wait."""

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
    :param from_history: Whether it was built from the request history, because the record had expired.
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
    def size(self) -> int:
        """Bytes of the answer as JSON."""
        return len(json.dumps(self.body))

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

        :raises RequestFailedError: If the state is FAILED, with Segmind's explanation: the kind that fits it.
        """
        if self.state == RequestState.FAILED:
            from airflow_provider_segmind.api.failures import failed_error  # most requests do not fail

            raise failed_error(self.body, self.request_id)


@dataclass(frozen=True)
class SyncAnswer:
    """
    The answer of a synchronous run.

    :param request_id: From the header ``x-request-id``; None if it was missing, or cannot be an id.
    :param content_type: Without its parameters, in lower case; empty if it was missing, or cannot be one.
    :param document: The parsed body of a JSON model; None for a model that answers with bytes.
    :param content: The body as it came.
    :param metrics: ``cost``, ``remaining_credits`` (USD), ``inference_time`` (s), ``seed``: those that came.
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
    """
    A model in the public catalogue. ``api.catalogue.read_parameters`` reads both forms of its parameters.

    :param parameters_schema: The JSON schema of its parameters; empty if there is none.
    :param parameters: The other form: what is known of each parameter, by its name; empty if there is none.
    """

    slug: str
    retired: bool = False
    parameters_schema: Json = field(default_factory=dict)
    parameters: Json = field(default_factory=dict)
