"""
What a trigger reports to the task that waits: plain JSON, with the ``request_id`` wherever there is one.

The worker that reads an event may have another version of the provider than the triggerer; see docs/upgrades.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.api.answers import DATABASE_LIMIT, RequestReport, RequestState
from airflow_provider_segmind.api.forms import FLAG, MAPPING, REQUEST_ID, REQUEST_IDS, SIZE, WORD, Form
from airflow_provider_segmind.api.history_search import Confidence, HistoryMatches
from airflow_provider_segmind.api.portable import make_portable
from airflow_provider_segmind.api.rate_limited_submit import RateLimitedSubmit
from airflow_provider_segmind.api.unresolved_submit import UnresolvedSubmit
from airflow_provider_segmind.exceptions import (
    SegmindError,
    SubmitUnresolvedError,
    error_as_json,
    error_from_json,
)

if TYPE_CHECKING:
    from airflow_provider_segmind.compat import Context

EVENT_VERSION = 1

_UNREADABLE = "the event of the trigger cannot be read"


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


def search_event(submit: UnresolvedSubmit | None, matches: HistoryMatches) -> dict[str, Any]:
    """
    Return the event of a search for an unresolved submit.

    :param submit: What was looked for; None if the trigger could not read it.
    """
    return {
        "version": EVENT_VERSION,
        "submit": submit.as_json() if submit else None,
        "request_ids": list(matches.request_ids),
        "confidence": str(matches.confidence),
        "error": error_as_json(matches.trouble) if matches.trouble else None,
    }


def read_search_event(event: Any) -> tuple[UnresolvedSubmit, HistoryMatches]:
    """
    Return what was searched for, and what was found.

    :raises SubmitUnresolvedError: If this is not an event of that trigger, or cannot be read: the submit has to be
        searched for again.
    """
    try:
        return _read_search_event(event)
    except SegmindError as error:
        raise SubmitUnresolvedError(error.detail, request_id=error.request_id) from error


def _read_search_event(event: Any) -> tuple[UnresolvedSubmit, HistoryMatches]:
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
    word: str = form.optional("confidence", WORD, Confidence.CERTAIN)
    confidence = Confidence(word) if word in list(Confidence) else Confidence.DOUBTFUL
    return form.nested("submit", UnresolvedSubmit.from_json), HistoryMatches(request_ids, trouble, confidence)


def rate_limit_event(submit: RateLimitedSubmit | None, error: SegmindError | None) -> dict[str, Any]:
    """
    Return the event of a wait for the key's rate limit.

    :param submit: What waits; None if the trigger could not read it.
    """
    return {
        "version": EVENT_VERSION,
        "submit": submit.as_json() if submit else None,
        "error": error_as_json(error) if error else None,
    }


def read_rate_limit_event(event: Any) -> RateLimitedSubmit:
    """
    Return the submit whose turn has come.

    :raises SegmindError: The one that ended the wait; or one that says why the event cannot be read.
    """
    form = Form(event, _UNREADABLE, EVENT_VERSION, may_submit=True)
    error = form.optional("error", MAPPING, None)
    if error is not None:
        raise _read_error(error, form)
    return form.nested("submit", RateLimitedSubmit.from_json)


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


def _read_error(document: Mapping[str, Any], form: Form) -> SegmindError:
    error = error_from_json(dict(document))
    error.request_id = error.request_id or form.request_id
    return error
