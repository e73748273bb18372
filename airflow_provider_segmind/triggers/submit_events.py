"""
What a trigger reports to a task that has no request yet: its turn to submit, or what became of a submit.

They are apart from ``events`` because few tasks wait for either.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_segmind.api.forms import MAPPING, REQUEST_IDS, WORD, Form
from airflow_provider_segmind.api.history_search import Confidence, HistoryMatches
from airflow_provider_segmind.api.rate_limited_submit import RateLimitedSubmit
from airflow_provider_segmind.api.unresolved_submit import UnresolvedSubmit
from airflow_provider_segmind.exceptions import SegmindError, SubmitUnresolvedError, error_as_json
from airflow_provider_segmind.triggers.events import EVENT_VERSION, UNREADABLE, read_error


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
    form = Form(event, UNREADABLE, EVENT_VERSION, may_submit=True)
    error = form.optional("error", MAPPING, None)
    trouble = read_error(error, form) if error is not None else None
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
    form = Form(event, UNREADABLE, EVENT_VERSION, may_submit=True)
    error = form.optional("error", MAPPING, None)
    if error is not None:
        raise read_error(error, form)
    return form.nested("submit", RateLimitedSubmit.from_json)
