"""
What a trigger reports to the task that waits: plain JSON, with the ``request_id`` wherever there is one.

What a task without a request waits for is in ``submit_events``. The worker that reads an event may have another
version of the provider than the triggerer; see docs/upgrades.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.api.answers import DATABASE_LIMIT, RequestReport, RequestState
from airflow_provider_segmind.api.forms import FLAG, MAPPING, REQUEST_ID, SIZE, WORD, Form
from airflow_provider_segmind.api.portable import make_portable
from airflow_provider_segmind.exceptions import (
    SegmindError,
    error_as_json,
    error_from_json,
)

if TYPE_CHECKING:
    from airflow_provider_segmind.compat import Context

EVENT_VERSION = 1

UNREADABLE = "the event of the trigger cannot be read"


@dataclass(frozen=True)
class LargeResult:
    """
    A request that is COMPLETED, and whose result is too large for an event: the worker fetches it.

    :param request_id: Of that request.
    """

    request_id: str


def completed_event(result: RequestReport) -> dict[str, Any]:
    """Return the event of a request whose result is at hand: with the result, if it is not too large."""
    event: dict[str, Any] = {
        "version": EVENT_VERSION,
        "request_id": result.request_id,
        "state": str(result.state),
        "from_history": result.from_history,
    }
    if result.size <= DATABASE_LIMIT:
        event["result"] = result.body
    return event


def error_event(request_id: str | None, error: SegmindError) -> dict[str, Any]:
    """Return the event of a wait that ended in any other way."""
    described = {**error_as_json(error), "request_id": request_id}
    return {"version": EVENT_VERSION, "request_id": request_id, "error": described}


def read_event(event: Any) -> RequestReport | LargeResult:
    """
    Return the result that an event carries, or that it is too large to be carried.

    :raises SegmindError: The one that ended the wait; or one that says why the event cannot be read.
    """
    form = Form(event, UNREADABLE, EVENT_VERSION)
    error = form.optional("error", MAPPING, None)
    if error is not None:
        raise read_error(error, form)
    request_id = form.required("request_id", REQUEST_ID)
    result = form.optional("result", MAPPING, None)
    if result is not None:
        state: str = form.optional("state", WORD, RequestState.COMPLETED)
        return RequestReport(
            request_id, state, _read_body(result, form), form.optional("from_history", FLAG, False)
        )
    if form.required("state", WORD) != RequestState.COMPLETED:
        raise form.error("'result' is missing")
    return LargeResult(request_id)


def is_for_an_earlier_attempt(next_kwargs: Mapping[str, Any] | None, context: Context) -> bool:
    """
    Whether an attempt is resumed with an error that has ended an earlier attempt.

    Airflow 3.0 keeps a task's ``next_method`` when an attempt fails: each retry resumes with the event of the
    first attempt, and would fail with its error. Such a retry has to start from the beginning. An event with a
    result is as good in a retry.

    :param next_kwargs: What Airflow resumes the task with, and the trigger's event in it.
    """
    event = (next_kwargs or {}).get("event")
    if not isinstance(event, Mapping) or event.get("error") is None:
        return False
    attempt, current = SIZE.read(event.get("attempt")), SIZE.read(context["ti"].try_number)
    return bool(attempt and current and attempt < current)


def broken_off(what: str, cause: Exception) -> SegmindError:
    """Return the error of a trigger that met something that nobody has foreseen."""
    return SegmindError(f"{what} failed unexpectedly: {type(cause).__name__}: {cause}")


def _read_body(result: Mapping[str, Any], form: Form) -> dict[str, Any]:
    """Return a result as XCom can hold it. A trigger sends nothing else, but its event has been in a database."""
    try:
        body: dict[str, Any] = make_portable(json.loads(json.dumps(dict(result))))
    except (TypeError, ValueError, RecursionError) as error:
        raise form.error("'result' must be JSON") from error
    return body


def read_error(document: Mapping[str, Any], form: Form) -> SegmindError:
    """Return the error that an event carries, with the request that the event names."""
    error = error_from_json(dict(document))
    error.request_id = error.request_id or form.request_id
    return error
