"""Getting a result from the request history when the request's record has expired, without I/O."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.answers import HistoryEntry, RequestReport, RequestState
from airflow_provider_segmind.api.call import Call, Turn
from airflow_provider_segmind.exceptions import RefusedError, RequestExpiredError, RequestFailedError


def recover(request_id: str, turn: Turn | None = None) -> Generator[Call[Any], Any, RequestReport]:
    """
    Ask the history for a request whose record has expired, and return its result as far as history has it.

    :param turn: How the question waits for others with the same key.
    :raises RequestFailedError: If it failed, and so was not charged.
    :raises RequestExpiredError: If the history does not have it, or not its output.
    """
    try:
        entry: HistoryEntry = yield calls.history_entry(request_id, turn)
    except (RefusedError, RequestExpiredError) as error:
        raise _gone(request_id, f"the request history could not help: {error.detail}") from error
    if entry.state == RequestState.FAILED:
        raise RequestFailedError(entry.error or "no explanation given", request_id=request_id)
    if entry.state != RequestState.COMPLETED or not entry.output_urls:
        outputs = f"{entry.state or 'in no state'}, with {len(entry.output_urls)} outputs"
        raise _gone(request_id, f"the request history shows it as {outputs}")
    urls = list(entry.output_urls)
    body = {
        "status": str(RequestState.COMPLETED),
        "output": urls[0] if len(urls) == 1 else urls,
        "metrics": {} if entry.cost is None else {"cost": entry.cost},
    }
    return RequestReport(request_id, RequestState.COMPLETED, body, from_history=True)


def _gone(request_id: str, why: str) -> RequestExpiredError:
    return RequestExpiredError(f"its record is gone, and {why}", request_id=request_id)
