"""The errors of the API, worded once: both the endpoints and the faults answer with these."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING

from airflow_provider_segmind.emulator.answers import JSON, Answer, html_answer, json_answer
from airflow_provider_segmind.emulator.clock import utc_iso

if TYPE_CHECKING:
    from airflow_provider_segmind.emulator.credentials import KeyVerdict

RESET_HEADER = "x-rate-limit-reset-at-utc"
RESET_FORMATS = ("iso", "rfc1123", "epoch", "epoch_ms", "none")

_AUTH = {
    "missing": ("missing_api_key", "Missing Authorization or x-api-key in header"),
    "rejected": ("invalid_api_key", "Unauthorized. API key is invalid or may have expired."),
}
_NOT_ACCEPTABLE = {
    "credits": "Insufficient credits. Your balance is $0.00 and this request needs $0.91.",
    "parameter": "Invalid value for parameter 'duration': '7'. Allowed values: 5, 10",
    "spend_limit": "Team spend limit reached. Ask the owner of the team to raise it.",
    "content_type": "Content-Type must be application/json",
}
CAUSES = {401: tuple(_AUTH), 406: tuple(_NOT_ACCEPTABLE)}

_NOT_FOUND = {
    "submit": "Model not found",
    "sync": "Model not found",
    "status": "Request not found or expired",
    "result": "Request not found or expired",
    "legacy_poll": "Request not found or expired",
    "credits": "No credits found for the user",
    "history_item": "Request not found",
    "media": "File not found",
}
_MESSAGES = {
    402: _NOT_ACCEPTABLE["credits"],
    400: "Invalid parameters or request format",
    403: "You do not have permission to call this model",
    410: "This model has been retired",
    500: "Internal server error",
    502: "Service temporarily unavailable",
    503: "Service temporarily unavailable",
    504: "Request timed out",
}


def error(status: int, message: str) -> Answer:
    """The common envelope, `{"error": message}`."""
    return json_answer({"error": message}, status)


def unauthorized(verdict: KeyVerdict | str) -> Answer:
    """401 in the envelope of the auth surface; the two causes differ in their message."""
    code, description = _AUTH[str(verdict)]
    return json_answer({"error": code, "error_description": description, "status_code": 401}, 401)


def insufficient_credits(balance: float, need: float, status: int = 406) -> Answer:
    """406 or 402, with the balance and the need in USD."""
    return error(
        status, f"Insufficient credits. Your balance is ${balance:.6g} and this request needs ${need:.6g}."
    )


def not_found(endpoint: str) -> Answer:
    """404 in the words of that endpoint."""
    return error(404, _NOT_FOUND.get(endpoint, "Not found"))


def method_not_allowed() -> Answer:
    """405 is an HTML page."""
    return html_answer(405, "405 Method Not Allowed")


def rate_limited(reset_at: float, reset_format: str = "iso", retry_after: float | None = None) -> Answer:
    """429 whose header says, in one of `RESET_FORMATS`, when the window resets."""
    headers = reset_header(reset_at, reset_format)
    if retry_after is not None:
        headers["Retry-After"] = f"{retry_after:g}"
    return json_answer({"error": "Rate limit exceeded. Try again later."}, 429, headers)


def reset_header(reset_at: float, reset_format: str) -> dict[str, str]:
    """The header with the reset, in one of `RESET_FORMATS`."""
    return {} if reset_format == "none" else {RESET_HEADER: reset_time(reset_at, reset_format)}


def reset_time(reset_at: float, reset_format: str) -> str:
    """An epoch second as header text, rounded up where the format is coarser than the clock."""
    formats = {
        "iso": lambda: utc_iso(math.ceil(reset_at * 1000) / 1000),
        "rfc1123": lambda: formatdate(math.ceil(reset_at), usegmt=True),
        "epoch": lambda: str(math.ceil(reset_at)),
        "epoch_ms": lambda: str(math.ceil(reset_at * 1000)),
    }
    return formats[reset_format]()


def worded(answer: Answer, key: str) -> Answer:
    """The answer with its error under another key, in one of the forms of `World.error_key`."""
    if answer.status < 400 or key == "error" or answer.content_type != JSON:
        return answer
    document = json.loads(answer.body)
    if not isinstance(document.get("error"), str) or "error_description" in document:
        return answer  # the auth surface has another envelope
    text = document.pop("error")
    if key == "error_object":
        document["error_message"] = {"message": text, "code": answer.status}
    else:
        document[key] = text
    return replace(answer, body=json.dumps(document).encode())


def any_error(status: int, endpoint: str, cause: str | None = None) -> Answer:
    """The answer that goes with a status code on that endpoint, for faults. 429 has its own function."""
    if status == 401:
        return unauthorized(cause or "rejected")
    if status == 404:
        return not_found(endpoint)
    if status == 405:
        return method_not_allowed()
    if status == 406:
        return error(406, _NOT_ACCEPTABLE[cause or "credits"])
    if status == 422:
        return json_answer(
            {"status": "FAILED", "error": "Inference failed: the model returned an error", "metrics": {}}, 422
        )
    message = _MESSAGES.get(status)
    if message is None:
        message = HTTPStatus(status).phrase if status in set(HTTPStatus) else f"Error {status}"
    return error(status, message)
