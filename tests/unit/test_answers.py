"""Reading answers: every promised shape, and nonsense that ends in a SegmindError and never in a KeyError."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_segmind.api import answers, calls
from airflow_provider_segmind.api.call import Response
from airflow_provider_segmind.api.output import model_output, video_url
from airflow_provider_segmind.exceptions import (
    RequestFailedError,
    SegmindError,
    SubmitUnresolvedError,
    UnreadableResponseError,
    UnusableOutputError,
)

SUBMIT = calls.submit("some-model", {})
STATUS = calls.status("req-1")
RESULT = calls.result("req-1")


def ok(document: Any, status: int = 200, **headers: str) -> Response:
    return Response(status, headers, json.dumps(document).encode())


def test_a_submit_answers_with_the_id() -> None:
    accepted = SUBMIT.read(ok({"request_id": "req-1", "status": "QUEUED", "poll_url": "…"}))
    assert accepted == answers.SubmittedRequest("req-1", "some-model")


@pytest.mark.parametrize(
    "response",
    [
        ok({}),
        ok({"request_id": None}),
        ok({"request_id": ""}),
        ok([1]),
        Response(200),
        Response(200, {}, b"<html>"),
        Response(202, {}, b'{"request_id": "r', complete=False),
    ],
)
def test_an_acceptance_without_an_id_is_unresolved(response: Response) -> None:
    with pytest.raises(SubmitUnresolvedError):
        SUBMIT.read(response)


@pytest.mark.parametrize("state", ["QUEUED", "PROCESSING", "COMPLETED", "queued"])
def test_states(state: str) -> None:
    report = STATUS.read(ok({"status": state, "request_id": "req-1", "metrics": {}}))
    assert report.state == state.upper()
    assert report.completed == (state == "COMPLETED")


def test_a_state_of_tomorrow_is_passed_on_and_is_no_end() -> None:
    report = STATUS.read(ok({"status": "PAUSED"}))
    assert not report.completed


@pytest.mark.parametrize("call", [STATUS, RESULT])
@pytest.mark.parametrize("http", [200, 422, 500])
def test_failed_counts_whatever_the_http_status(call: Any, http: int) -> None:
    report = call.read(ok({"status": "FAILED", "error": "blocked by policy", "metrics": {}}, http))
    with pytest.raises(RequestFailedError, match="blocked by policy"):
        report.raise_if_failed()


@pytest.mark.parametrize("error", [None, "", {"code": 1}, ["x"]])
def test_failed_without_words_still_fails(error: Any) -> None:
    with pytest.raises(RequestFailedError):
        STATUS.read(ok({"status": "FAILED", "error": error}, 422)).raise_if_failed()


def test_a_result_need_not_repeat_its_status() -> None:
    assert RESULT.read(ok({"output": "https://x/y.mp4"})).completed


@pytest.mark.parametrize(
    "response",
    [
        ok([]),
        ok("COMPLETED"),
        ok({}),
        ok({"status": None}),
        Response(200),
        Response(200, {}, b"<html>maintenance</html>"),
        Response(200, {}, b'{"status": "COMPLETED", "output": "x"}', complete=False),
    ],
)
def test_what_cannot_be_read_says_what_came(response: Response) -> None:
    with pytest.raises(UnreadableResponseError, match="req-1"):
        RESULT.read(response)


@pytest.mark.parametrize(
    ("body", "url"),
    [
        ({"video": {"url": "https://v/1.mp4"}, "output": "https://v/2.mp4"}, "https://v/1.mp4"),
        ({"output": "https://v/2.mp4"}, "https://v/2.mp4"),
        ({"output": ["https://v/2.mp4", "https://v/3.mp4"]}, "https://v/2.mp4"),
        ({"output": {"url": "https://v/2.mp4"}}, "https://v/2.mp4"),
        ({"output": {"video": {"url": "https://v/2.mp4"}}}, "https://v/2.mp4"),
        ({"output": [{"url": "https://v/2.mp4"}]}, "https://v/2.mp4"),
        ({"video": None, "output": "https://v/2.mp4"}, "https://v/2.mp4"),
        ({"video": "https://v/1.mp4"}, "https://v/1.mp4"),
    ],
)
def test_where_the_video_is(body: dict[str, Any], url: str) -> None:
    assert video_url(answers.RequestReport("req-1", "COMPLETED", body)) == url


@pytest.mark.parametrize("body", [{}, {"output": None}, {"output": "done"}, {"video": {}}, {"output": []}])
def test_a_paid_result_without_a_video_names_the_request(body: dict[str, Any]) -> None:
    with pytest.raises(UnusableOutputError, match="req-1"):
        video_url(answers.RequestReport("req-1", "COMPLETED", body))


@pytest.mark.parametrize(
    ("body", "output"),
    [
        ({"output": "text"}, "text"),
        ({"output": ["a", "b"]}, ["a", "b"]),
        ({"output": {"k": 1}}, {"k": 1}),
        ({"output": 0}, 0),
        ({"output": None, "images": [{"url": "https://i/1.png"}, {"url": "https://i/2.png"}]}, "both"),
        ({"video": {"url": "https://v/1.mp4"}}, "https://v/1.mp4"),
        ({"something": "else"}, {"something": "else"}),
    ],
)
def test_the_output_of_any_model(body: dict[str, Any], output: Any) -> None:
    expected = ["https://i/1.png", "https://i/2.png"] if output == "both" else output
    assert model_output(answers.RequestReport("req-1", "COMPLETED", body)) == expected


def test_credits() -> None:
    assert calls.credits().read(ok({"credits": 4.2, "free-credits": 1})) == answers.Credits(4.2, 1.0)
    assert calls.credits().read(ok({"credits": "4.2"})) == answers.Credits(4.2)
    none = ok({"error": "No credits found for the user"}, 404)
    assert calls.credits().read(none) == answers.Credits(0.0)


def test_history_has_one_entry_for_each_request() -> None:
    row = {"request_id": "r1", "model_name": "m", "model_status": "COMPLETED", "credits_deduction": "0.91"}
    rows = [{**row, "generation_url": "https://a"}, {**row, "generation_url": "https://b"}, {"odd": 1}, "odder"]
    page = calls.history().read(ok({"data": rows}))
    assert page.rows == 4
    (entry,) = page.entries
    assert (entry.request_id, entry.cost, entry.output_urls) == ("r1", 0.91, ("https://a", "https://b"))


@pytest.mark.parametrize(
    ("body", "inputs"),
    [
        ('{"prompt": "fox", "n": 1}', {"prompt": "fox", "n": 1}),
        ("{'prompt': 'fox', 'n': True, 'x': None}", {"prompt": "fox", "n": True, "x": None}),
        ({"prompt": "fox"}, {"prompt": "fox"}),
        ("{'prompt': fox}", None),
        ("__import__('os').getcwd()", None),
        ("[1]", None),
        ("(" * 5000, None),
        (None, None),
    ],
)
def test_inputs_in_history_are_json_or_a_literal(body: Any, inputs: Any) -> None:
    row = {"request_id": "r1", "request_body": body}
    assert calls.history_entry("r1").read(ok(row)).parameters == inputs
    assert calls.history_entry("r1").read(ok({"data": row})).parameters == inputs


def test_the_catalogue_with_and_without_an_envelope() -> None:
    entry = {"slug": "kling", "is_depreciated": True, "parameters_schema": {"type": "object"}}
    expected = (answers.Model("kling", True, {"type": "object"}),)
    assert calls.models().read(ok([entry, {"no": "slug"}])) == expected
    assert calls.models().read(ok({"data": [entry]})) == expected


def test_upload() -> None:
    call = calls.upload(["data:image/png;base64,AA=="])
    assert call.read(ok({"file_urls": ["https://f/1.png"], "message": "ok"})) == ("https://f/1.png",)
    with pytest.raises(UnreadableResponseError):
        call.read(ok({"file_urls": []}))


def test_a_sync_run_answers_with_json_or_bytes() -> None:
    call = calls.run_sync("fast", {}, 60)
    headers = {"x-request-id": "r9", "x-cost": "0.01", "x-remaining-credits": "9.5", "x-generation-time": "1.5"}
    image = call.read(Response(200, {**headers, "content-type": "image/png"}, b"\x89PNG"))
    assert (image.request_id, image.content, image.document) == ("r9", b"\x89PNG", None)
    assert image.metrics == {"cost": 0.01, "remaining_credits": 9.5, "inference_time": 1.5}
    text = call.read(Response(200, {"content-type": "application/json; charset=utf-8"}, b'{"a": 1}'))
    assert text.document == {"a": 1}


def test_a_sync_answer_cut_short_is_unresolved_and_names_the_request() -> None:
    call = calls.run_sync("fast", {}, 60)
    with pytest.raises(SubmitUnresolvedError, match="r9"):
        call.read(Response(200, {"x-request-id": "r9"}, b"\x89P", complete=False))


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "status",
                    "output",
                    "error",
                    "metrics",
                    "data",
                    "request_id",
                    "slug",
                    "file_urls",
                    "credits",
                    "video",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
EVERY_CALL = [
    SUBMIT,
    STATUS,
    RESULT,
    calls.run_sync("m", {}, 1),
    calls.credits(),
    calls.history(),
    calls.history_entry("r"),
    calls.models(),
    calls.upload(["data:,"]),
]


@given(
    call=st.sampled_from(EVERY_CALL),
    status=st.sampled_from([200, 201, 204, 301, 400, 404, 406, 422, 429, 500, 504]),
    body=ANY_JSON.map(lambda document: json.dumps(document).encode()) | st.binary(max_size=40),
    complete=st.booleans(),
)
def test_any_nonsense_is_read_or_is_a_segmind_error(call: Any, status: int, body: bytes, complete: bool) -> None:
    response = Response(status, {"content-type": "application/json"}, body, complete)
    try:
        answer = call.read(response)
    except SegmindError:
        return
    if isinstance(answer, answers.RequestReport):
        assert isinstance(answer.metrics, dict)
        assert answer.state
        model_output(answer)
