"""
What a trigger reports to the task that waits: plain JSON, with the ``request_id`` wherever there is one.

The worker that reads an event may have another version of the provider than the triggerer; see docs/upgrades.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_segmind.api.answers import RequestReport, RequestState
from airflow_provider_segmind.api.awaited_turn import AwaitedTurn
from airflow_provider_segmind.api.forms import FLAG, MAPPING, REQUEST_ID, REQUEST_IDS, WORD, Form
from airflow_provider_segmind.api.portable import portable
from airflow_provider_segmind.api.resolve import LostSubmit, Traces
from airflow_provider_segmind.exceptions import (
    SegmindError,
    SubmitUnresolvedError,
    error_as_json,
    error_from_json,
)

EVENT_VERSION = 1

EVENT_LIMIT = 64 * 1024
"""Bytes of a result that travel in an event. Airflow writes events to its database, and to the triggerer's log."""

_UNREADABLE = "the task was resumed without an event of its trigger that can be read"


@dataclass(frozen=True)
class LargeResult:
    """A request that is COMPLETED, and whose result is too large for an event: the worker fetches it."""

    request_id: str


def completed_event(result: RequestReport) -> dict[str, Any]:
    """Return the event of a request whose result is at hand: with the result, if it is not too large."""
    event: dict[str, Any] = {
        "version": EVENT_VERSION,
        "request_id": result.request_id,
        "state": str(result.state),
        "from_history": result.from_history,
    }
    if len(json.dumps(result.body)) <= EVENT_LIMIT:
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
    form = Form(event, _UNREADABLE, EVENT_VERSION)
    error = form.optional("error", MAPPING, None)
    if error is not None:
        raise _read_error(error, form)
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


def traces_event(submit: LostSubmit | None, traces: Traces) -> dict[str, Any]:
    """
    Return the event of a search for a lost submit.

    :param submit: What was looked for; None if the trigger could not read it.
    """
    return {
        "version": EVENT_VERSION,
        "submit": submit.as_json() if submit else None,
        "request_ids": list(traces.request_ids),
        "error": error_as_json(traces.trouble) if traces.trouble else None,
    }


def read_traces(event: Any) -> tuple[LostSubmit, Traces]:
    """
    Return what was looked for, and what was found.

    :raises SubmitUnresolvedError: If this is no event of that trigger, or cannot be read: the submit has to be
        looked for again.
    """
    try:
        return _read_traces(event)
    except SegmindError as error:
        raise SubmitUnresolvedError(error.detail, request_id=error.request_id) from error


def _read_traces(event: Any) -> tuple[LostSubmit, Traces]:
    form = Form(event, _UNREADABLE, EVENT_VERSION, may_submit=True)
    error = form.optional("error", MAPPING, None)
    trouble = _read_error(error, form) if error is not None else None
    submit = form.optional("submit", MAPPING, None)
    if submit is None:
        raise trouble or form.error("'submit' is missing")
    request_ids = form.required("request_ids", REQUEST_IDS)
    if len(request_ids) == 1:
        (form.request_id,) = request_ids  # for errors: the event has no other place for it
    # "Nothing was found" leads to another submit, so an event has to say it.
    if not request_ids and "error" not in form:
        raise form.error("'error' is missing")
    return form.nested("submit", LostSubmit.from_json), Traces(request_ids, trouble)


def turn_event(turn: AwaitedTurn | None, error: SegmindError | None) -> dict[str, Any]:
    """
    Return the event of a wait for a turn.

    :param turn: What was waited for; None if the trigger could not read it.
    """
    return {
        "version": EVENT_VERSION,
        "turn": turn.as_json() if turn else None,
        "error": error_as_json(error) if error else None,
    }


def read_turn(event: Any) -> AwaitedTurn:
    """
    Return the turn that has come.

    :raises SegmindError: The one that kept it from coming; or one that says why the event cannot be read.
    """
    form = Form(event, _UNREADABLE, EVENT_VERSION, may_submit=True)
    error = form.optional("error", MAPPING, None)
    if error is not None:
        raise _read_error(error, form)
    return form.nested("turn", AwaitedTurn.from_json)


def broken_off(what: str, cause: Exception) -> SegmindError:
    """Return the error of a trigger that met something that nobody has foreseen."""
    return SegmindError(f"{what} broke off: {type(cause).__name__}: {cause}")


def _read_body(result: Mapping[str, Any], form: Form) -> dict[str, Any]:
    """Return a result as XCom can hold it. A trigger sends nothing else, but its event has been in a database."""
    try:
        body: dict[str, Any] = portable(json.loads(json.dumps(dict(result))))
    except (TypeError, ValueError, RecursionError) as error:
        raise form.error("'result' must be JSON") from error
    return body


def _read_error(document: Mapping[str, Any], form: Form) -> SegmindError:
    error = error_from_json(dict(document))
    error.request_id = error.request_id or form.request_id
    return error
