"""The calls: what goes over the wire, and what is refused before anything does."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any

import pytest

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.call import Service
from airflow_provider_segmind.exceptions import InvalidParameterError


def test_submit() -> None:
    call = calls.submit("kling-o1-image-to-video", {"prompt": "zoom", "duration": 5})
    assert (call.method, call.service, call.path) == ("POST", Service.GATEWAY, "/v2/kling-o1-image-to-video")
    assert json.loads(call.body or b"") == {"prompt": "zoom", "duration": 5}
    assert call.charged


def test_status_and_result_are_free_reads() -> None:
    status, result = calls.status("ab-1"), calls.result("ab-1")
    assert (status.method, status.path) == ("GET", "/v2/requests/ab-1/status")
    assert (result.method, result.path) == ("GET", "/v2/requests/ab-1")
    assert not status.charged
    assert not result.charged


def test_run_sync_is_charged_and_patient() -> None:
    call = calls.run_sync("fast-model", {}, timeout=77)
    assert (call.path, call.charged, call.timeout) == ("/v1/fast-model", True, 77)


def test_history_sends_only_what_was_asked_for() -> None:
    call = calls.history(model="kling", from_date=date(2026, 1, 1), to_date=date(2026, 1, 31), per_page=100)
    assert call.service == Service.PLATFORM
    assert call.query == {
        "page": "1",
        "per_page": "100",
        "model_name": "kling",
        "from_date": "2026-01-01",
        "to_date": "2026-01-31",
    }


def test_the_catalogue_needs_no_key() -> None:
    assert not calls.models().needs_key
    assert calls.credits().needs_key


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"page": 0}, "page"),
        ({"per_page": 101}, "per_page"),
        ({"from_date": date(2026, 1, 1), "to_date": date(2026, 2, 2)}, "to_date"),
        ({"from_date": date(2026, 1, 2), "to_date": date(2026, 1, 1)}, "to_date"),
    ],
)
def test_history_refuses_what_segmind_would(arguments: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidParameterError, match=name):
        calls.history(**arguments)


@pytest.mark.parametrize("model", ["", "a/b", "../v1", "kling o1", None, 7, "-kling", "a?b=c"])
def test_a_model_that_is_no_slug_is_named(model: Any) -> None:
    with pytest.raises(InvalidParameterError, match="model"):
        calls.submit(model, {})


@pytest.mark.parametrize("request_id", ["", "None", "..", "a/../b", "a b", None, "x" * 300])
def test_an_id_that_cannot_be_one_is_refused(request_id: Any) -> None:
    with pytest.raises(InvalidParameterError, match="request_id"):
        calls.status(request_id)


@pytest.mark.parametrize("value", [datetime(2026, 1, 1), {1, 2}, float("nan"), b"bytes", object()])
def test_a_parameter_that_json_cannot_say_is_named(value: Any) -> None:
    with pytest.raises(InvalidParameterError, match="'when'"):
        calls.submit("some-model", {"prompt": "x", "when": value})


@pytest.mark.parametrize("parameters", [None, "prompt", [1], {1: "x"}])
def test_parameters_have_to_be_a_dict(parameters: Any) -> None:
    with pytest.raises(InvalidParameterError, match="parameters"):
        calls.submit("some-model", parameters)


@pytest.mark.parametrize("urls", [[], ["https://example.com/a.png"]])
def test_upload_takes_data_urls_alone(urls: list[str]) -> None:
    with pytest.raises(InvalidParameterError, match="data_urls"):
        calls.upload(urls)
