"""Which FAILED requests would fail again, and which follow the task's retries."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.call import Response
from airflow_provider_segmind.api.failures import CODES, TEXTS, failed_error
from airflow_provider_segmind.exceptions import ContentBlockedError, RejectedInputError, RequestFailedError

BLOCKED: list[dict[str, Any]] = [
    {"error": "content_policy_violation"},
    {"error": "CONTENT_POLICY_VIOLATION", "error_detail": "Content violates usage policy"},
    {"error": "Content violates usage policy"},
    {"error": "Content-Policy-Violation: the prompt was refused"},
    {"error": "The request was blocked by the content safety policy (RAI)"},
    {"error": "Blocked by RAI"},
    {"error": "Your prompt was flagged by our moderation system. Please try again with a different prompt."},
    {"error": "The safety filter blocked the output"},
    {"error": "Reference media rejected"},
    {"error": "Reference image was rejected: it shows a person"},
    {"error": "moderation"},
    {"error": "", "error_message": {"code": "content_policy_violation", "message": "Not allowed"}},
    {"error_message": {"message": "Image rejected by the safety checker"}},
    {"error": {"type": "content_policy_violation"}},
    {"error": '{"error": {"code": "content_policy_violation", "message": "It cannot be shown to anyone"}}'},
    {"detail": [{"loc": ["body", "prompt"], "msg": "It was flagged", "type": "content_policy_violation"}]},
    {"message": "Rejected for violating the content policy"},
]
REJECTED: list[dict[str, Any]] = [
    {"error": "Invalid parameters or request format"},
    {"error": "Invalid value for parameter 'duration': '7'. Allowed values: 5, 10"},
    {"error": "Invalid input: the prompt is longer than 2500 characters"},
    {"error": "Unsupported image format"},
    {"error": "unsupported aspect ratio"},
    {"detail": [{"loc": ["body", "image_url"], "msg": "Too large", "type": "image_too_large"}]},
]
UNKNOWN: list[dict[str, Any]] = [
    {},
    {"error": None},
    {"error": ""},
    {"error": "Inference failed: the model returned an error"},
    {"error": "CUDA out of memory"},
    {"error": "Unsafe pointer in kernel"},
    {"error": "safetytensors file not found"},
    {"error": "Failed to load safetensors"},
    {"error": "Safety checker failed: CUDA out of memory"},
    {"error": "The moderation service is unavailable; the request was rejected by moderation"},
    {"error": "The content filter timed out, and the request was blocked by policy"},
    {"error": "Blocked by the moderation queue being over capacity, try again later"},
    {"error": "The request was not blocked by moderation, but failed"},
    {"error": "Invalid image: could not download it"},
    {"error": "The user saw an invalid image"},
    {"error": "It was blocked. See our safety policy."},
    {"error": 'Inference failed for "a door blocked by the safety policy"'},
    {"error": "Inference failed for 'it's a door, blocked by the safety policy"},
    {"error": "Inference failed for “a door blocked by the safety policy”"},
    {"error": "Inference failed. Prompt: a door blocked by the safety policy"},
    {"error": "Inference failed. input = content policy violation"},
    {"error": "Worker died", "prompt": "content_policy_violation"},
    {
        "error": "Worker died at content policy violation, a film by",
        "prompt": "content policy violation, a film by me",
    },
    {"error": {"code": "internal", "input": "content_policy_violation"}},
    {"error": ["content_policy_violation"]},
    {"error": 7},
    {"error": {"code": ["content_policy_violation"]}},
    {"error": "{" * 300},
    {"detail": {"detail": {"detail": {"detail": {"code": "content_policy_violation"}}}}},
]


@pytest.mark.parametrize("body", BLOCKED, ids=json.dumps)
def test_what_moderation_blocked_would_be_blocked_again(body: dict[str, Any]) -> None:
    error = failed_error(body, "req-1")
    assert type(error) is ContentBlockedError
    assert not error.can_retry
    assert "req-1" in str(error)


@pytest.mark.parametrize("body", REJECTED, ids=json.dumps)
def test_an_input_that_the_model_does_not_take_would_fail_again(body: dict[str, Any]) -> None:
    error = failed_error(body, "req-1")
    assert type(error) is RejectedInputError
    assert not error.can_retry


@pytest.mark.parametrize("body", UNKNOWN, ids=json.dumps)
def test_every_other_failure_may_pass(body: dict[str, Any]) -> None:
    """So does one that only repeats a prompt with such words in it."""
    error = failed_error(body, "req-1")
    assert type(error) is RequestFailedError
    assert error.can_retry


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"error": "a", "error_message": "b", "detail": "c", "message": "d"}, "a"),
        ({"error": None, "error_message": {"message": "b"}, "detail": "c"}, "b"),
        ({"error": {}, "detail": "c", "message": "d"}, "c"),
        ({"message": "d"}, "d"),
        ({}, "no explanation given"),
    ],
)
def test_the_first_explanation_that_is_there_is_shown(body: dict[str, Any], text: str) -> None:
    assert failed_error(body, None).detail == text


def test_the_state_of_a_request_raises_the_kind_that_fits() -> None:
    body = {"status": "FAILED", "error_message": {"code": "content_policy_violation"}}
    report = calls.status("req-1").read(Response(422, {}, json.dumps(body).encode()))
    with pytest.raises(ContentBlockedError, match="req-1"):
        report.raise_if_failed()


def test_each_line_of_the_table_names_its_source() -> None:
    assert all(each.source for each in (*CODES, *TEXTS))
    assert all(each.words == each.words.lower().replace("-", "_").replace(" ", "_") for each in CODES)
