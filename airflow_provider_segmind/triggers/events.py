"""What a trigger tells the task that waits: plain JSON, always with the ``request_id``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from airflow_provider_segmind.api.answers import RequestReport, RequestState
from airflow_provider_segmind.api.awaited_turn import AwaitedTurn
from airflow_provider_segmind.api.resolve import LostSubmit, Traces
from airflow_provider_segmind.exceptions import SegmindError, error_as_json, error_from_json

EVENT_LIMIT = 64 * 1024
"""Bytes of a result that travel in an event. Airflow writes events to its database, and to the triggerer's log."""


@dataclass(frozen=True)
class LargeResult:
    """A request that is COMPLETED, and whose result is too large for an event: the worker fetches it."""

    request_id: str


def completed_event(result: RequestReport) -> dict[str, Any]:
    """Return the event of a request whose result is at hand: with the result, if it is not too large."""
    event: dict[str, Any] = {"request_id": result.request_id, "state": result.state}
    if len(json.dumps(result.body)) <= EVENT_LIMIT:
        event["result"] = result.body
    return event


def error_event(request_id: str, error: SegmindError) -> dict[str, Any]:
    """Return the event of a wait that ended in any other way."""
    return {"request_id": request_id, "error": {**error_as_json(error), "request_id": request_id}}


def read_event(event: Any) -> RequestReport | LargeResult:
    """
    Return the result that an event carries, or that it is too large to be carried.

    :raises SegmindError: The one that ended the wait; or one that says what came instead of an event.
    """
    if isinstance(event, dict) and isinstance(event.get("error"), dict):
        raise error_from_json(event["error"])
    if isinstance(event, dict) and event.get("request_id") and isinstance(event.get("result"), dict):
        return RequestReport(event["request_id"], str(event.get("state")), event["result"])
    if isinstance(event, dict) and event.get("request_id") and event.get("state") == RequestState.COMPLETED:
        return LargeResult(event["request_id"])
    raise _no_event(event)


def traces_event(submit: LostSubmit, traces: Traces) -> dict[str, Any]:
    """Return the event of a search for a lost submit."""
    return {
        "submit": submit.as_json(),
        "request_ids": list(traces.request_ids),
        "error": error_as_json(traces.trouble) if traces.trouble else None,
    }


def read_traces(event: Any) -> tuple[LostSubmit, Traces]:
    """
    Return what was looked for, and what was found.

    :raises SegmindError: If this is no event of that trigger.
    """
    if not isinstance(event, dict) or not isinstance(event.get("submit"), dict):
        raise _no_event(event)
    error = event.get("error")
    return LostSubmit.from_json(event["submit"]), Traces(
        tuple(event["request_ids"]), error_from_json(error) if error else None
    )


def turn_event(turn: AwaitedTurn, error: SegmindError | None) -> dict[str, Any]:
    """Return the event of a wait for a turn."""
    return {"turn": turn.as_json(), "error": error_as_json(error) if error else None}


def read_turn(event: Any) -> AwaitedTurn:
    """
    Return the turn that has come.

    :raises SegmindError: The one that kept it from coming; or one that says what came instead of an event.
    """
    if not isinstance(event, dict) or not isinstance(event.get("turn"), dict):
        raise _no_event(event)
    if event.get("error"):
        raise error_from_json(event["error"])
    return AwaitedTurn.from_json(event["turn"])


def broken_off(what: str, cause: Exception) -> SegmindError:
    """Return the error of a trigger that met something that nobody has foreseen."""
    return SegmindError(f"{what} broke off: {type(cause).__name__}: {cause}")


def _no_event(event: Any) -> SegmindError:
    return SegmindError(f"the task was resumed without an event of its trigger, but with {event!r}")
