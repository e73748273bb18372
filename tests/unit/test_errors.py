"""Every row of Segmind's error table: which exception it is and whether trying again can help."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_segmind import exceptions as ex
from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.call import Call, Response
from airflow_provider_segmind.api.text import LONGEST_LINE

SUBMIT = calls.submit("some-model", {})
STATUS = calls.status("req-1")
RESULT = calls.result("req-1")
CREDITS = calls.credits()
SYNC = calls.run_sync("some-model", {}, 60)


def says(status: int, error: str = "Something is wrong", **headers: str) -> Response:
    return Response(status, headers, json.dumps({"error": error}).encode())


@pytest.mark.parametrize(
    ("call", "response", "expected"),
    [
        (SUBMIT, says(400), ex.BadRequestError),
        (SUBMIT, says(401), ex.AuthenticationError),
        (SUBMIT, says(403), ex.PermissionDeniedError),
        (SUBMIT, says(404), ex.ModelNotFoundError),
        (SUBMIT, says(405), ex.BadRequestError),
        (SUBMIT, says(406, "Insufficient credits. Balance: 0.1, needed: 0.91"), ex.InsufficientCreditsError),
        (SUBMIT, says(406, "duration must be one of 5, 10"), ex.RejectedError),
        (SUBMIT, says(406, "Team spend limit reached"), ex.RejectedError),
        (SUBMIT, says(406, "Content-Type must be application/json"), ex.RejectedError),
        (SUBMIT, says(410), ex.ModelRetiredError),
        (SUBMIT, says(422), ex.RejectedError),
        (SUBMIT, says(429), ex.RateLimitedError),
        (SUBMIT, says(500), ex.ServerError),
        (SUBMIT, says(402), ex.InsufficientCreditsError),
        (SUBMIT, says(503), ex.ServerError),
        *(
            (SUBMIT, says(status), ex.SubmitUnresolvedError)
            for status in (408, 499, 501, 502, 504, *range(520, 600))
        ),
        (STATUS, says(502), ex.ServerError),
        (SUBMIT, Response(499), ex.SubmitUnresolvedError),
        (SYNC, says(408), ex.SubmitUnresolvedError),
        (CREDITS, says(408), ex.ServerError),
        (SYNC, says(504), ex.SubmitUnresolvedError),
        (STATUS, says(504), ex.ServerError),
        (STATUS, says(404), ex.RequestExpiredError),
        (RESULT, says(404), ex.RequestExpiredError),
        (STATUS, says(401), ex.AuthenticationError),
        (CREDITS, says(404, "no such page"), ex.BadRequestError),
        (SUBMIT, Response(302, {"location": "https://elsewhere.example/"}), ex.BadRequestError),
        (SUBMIT, Response(418), ex.BadRequestError),
    ],
)
def test_the_error_table(call: Call[Any], response: Response, expected: type[ex.SegmindError]) -> None:
    with pytest.raises(ex.SegmindError) as caught:
        call.read(response)
    assert type(caught.value) is expected
    assert caught.value.status == response.status
    assert caught.value.request_id == call.request_id
    assert f"HTTP {response.status}" in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        ex.BadRequestError,
        ex.AuthenticationError,
        ex.PermissionDeniedError,
        ex.ModelNotFoundError,
        ex.InsufficientCreditsError,
        ex.RejectedError,
        ex.ModelRetiredError,
        ex.RequestExpiredError,
        ex.RequestTimeoutError,
        ex.SubmitUnresolvedError,
        ex.UnusableOutputError,
        ex.UntrustedCertificateError,
    ],
)
def test_what_no_retry_can_fix_or_a_retry_would_pay_for_again(error: type[ex.SegmindError]) -> None:
    assert not error.can_retry


UPLOAD = calls.upload(["data:,"])


@pytest.mark.parametrize(
    ("error", "resent"),
    [
        (ex.UnreachableError("refused"), [SUBMIT, UPLOAD, STATUS]),
        (ex.NoAnswerError("reset"), [STATUS]),
        (ex.ServerError("down", status=500), [SUBMIT, UPLOAD, STATUS]),
        (ex.ServerError("gateway", status=502), [UPLOAD, STATUS]),
        (ex.ServerError("gateway", status=504), [STATUS]),
        (ex.SubmitUnresolvedError("silence"), []),
        (ex.RateLimitedError("slow down", status=429), []),
        (ex.UnreadableResponseError("html", status=200), []),
        (ex.AuthenticationError("no", status=401), []),
        (ex.UntrustedCertificateError("self-signed"), []),
        (ValueError("a bug"), []),
    ],
    ids=lambda value: repr(value) if isinstance(value, Exception) else "",
)
def test_a_post_is_sent_again_only_if_it_had_no_effect(error: Exception, resent: list[Call[Any]]) -> None:
    for call in (SUBMIT, UPLOAD, STATUS):
        assert call.may_resend(error) == any(call is one for one in resent), str(call)


def test_a_submit_without_an_answer_is_unresolved_and_a_read_is_not() -> None:
    assert isinstance(SUBMIT.unanswered_error("timeout"), ex.SubmitUnresolvedError)
    assert isinstance(STATUS.unanswered_error("timeout"), ex.NoAnswerError)
    assert type(SUBMIT.undelivered_error("refused")) is ex.UnreachableError


def test_both_parts_of_the_authentication_envelope_are_reported() -> None:
    body = {"error": "invalid_key", "error_description": "API key was revoked", "status_code": 401}
    with pytest.raises(ex.AuthenticationError, match="invalid_key: API key was revoked"):
        SUBMIT.read(Response(401, {}, json.dumps(body).encode()))


def test_an_html_page_is_reported_as_its_text() -> None:
    page = b"<html><head><style>p{}</style><title>405</title></head><h1>Method Not Allowed</h1></html>"
    with pytest.raises(ex.BadRequestError, match="405 Method Not Allowed") as caught:
        SUBMIT.read(Response(405, {}, page))
    assert "<" not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff\xfe", b'{"error": {"code": 7}}', b"[" * 100_000])
def test_an_odd_error_body_is_still_that_error(body: bytes) -> None:
    with pytest.raises(ex.ServerError):
        STATUS.read(Response(500, {}, body))


SEGMINDS_OWN = (
    {"error": "Internal server error"},
    {"error": "internal", "error_description": "Try again", "status_code": 500},
    {"error_message": {"code": 7, "message": "no worker"}},
    {"error": None, "error_message": "no worker"},
)
OF_SOMEBODY_ELSE = (
    b"",
    b"<html><h1>503 Service Temporarily Unavailable</h1></html>",
    b"no healthy upstream",
    b"[]",
    b"null",
    b"[" * 100_000,
    b"{}",
    b'{"error": ""}',
    b'{"error": "cut o',
    b'{"message": "Internal server error"}',
    b'{"detail": "Internal Server Error"}',
    b'{"statusCode": 503, "error": "Service Unavailable", "message": "upstream"}',
    b'{"timestamp": 1, "path": "/v2/m", "status": 500, "error": "Internal Server Error"}',
    b'{"error": "late", "request_id": "7d1c"}',
    b'{"request_id": "7d1c", "status": "QUEUED"}',
)


@pytest.mark.parametrize("status", [500, 503])
@pytest.mark.parametrize("call", [SUBMIT, SYNC], ids=["submit", "sync"])
@pytest.mark.parametrize("document", SEGMINDS_OWN, ids=str)
def test_segminds_own_server_error_lets_a_submit_be_sent_again(
    call: Call[Any], status: int, document: dict[str, Any]
) -> None:
    with pytest.raises(ex.ServerError) as caught:
        call.read(Response(status, {}, json.dumps(document).encode()))
    assert call.may_resend(caught.value)
    assert call.most_sends(caught.value) == 2
    assert call.most_sends(ex.UnreachableError("refused")) == 3


@pytest.mark.parametrize("status", [500, 502, 503])
@pytest.mark.parametrize("call", [SUBMIT, SYNC], ids=["submit", "sync"])
@pytest.mark.parametrize("body", OF_SOMEBODY_ELSE, ids=lambda body: body[:40].decode())
def test_a_server_error_that_a_proxy_may_have_written_leaves_a_submit_unresolved(
    call: Call[Any], status: int, body: bytes
) -> None:
    with pytest.raises(ex.SubmitUnresolvedError) as caught:
        call.read(Response(status, {}, body))
    assert not call.may_resend(caught.value)
    assert f"HTTP {status}" in str(caught.value)


def test_a_server_error_that_was_cut_off_leaves_a_submit_unresolved() -> None:
    with pytest.raises(ex.SubmitUnresolvedError):
        SUBMIT.read(Response(503, {}, b'{"error": "no worker"}', complete=False))


def test_long_explanations_are_cut() -> None:
    with pytest.raises(ex.BadRequestError) as caught:
        SUBMIT.read(says(400, "word " * 10_000))
    assert len(caught.value.detail) <= LONGEST_LINE


def test_a_rate_limit_carries_its_reset() -> None:
    with pytest.raises(ex.RateLimitedError) as caught:
        STATUS.read(Response(429, {"retry-after": "7"}, b"{}", at=1_795_435_200.0))
    assert caught.value.reset_at == datetime.fromtimestamp(1_795_435_207, UTC)


def test_errors_survive_the_way_from_the_triggerer_and_pickling() -> None:
    error = ex.RequestFailedError("blocked", status=422, request_id="req-1")
    there = ex.error_from_json(json.loads(json.dumps(ex.error_as_json(error))))
    pickled = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert type(there) is type(pickled) is ex.RequestFailedError
    assert str(there) == str(pickled) == str(error)
    named = pickle.loads(pickle.dumps(ex.InvalidParameterError("duration", "must be 5")))  # noqa: S301 - our own
    assert str(named) == str(ex.InvalidParameterError("duration", "must be 5"))


def test_an_error_of_a_newer_version_is_not_lost() -> None:
    error = ex.error_from_json({"type": "SomethingNew", "detail": "x", "request_id": "req-1"})
    assert type(error) is ex.SegmindError
    assert "req-1" in str(error)


def test_every_error_has_a_name_that_can_cross_from_the_triggerer() -> None:
    for error in vars(ex).values():
        if (
            isinstance(error, type)
            and issubclass(error, ex.SegmindError)
            and error is not ex.InvalidParameterError
        ):
            assert type(ex.error_from_json({"type": error.__name__, "detail": "x"})) is error


@pytest.mark.parametrize("kind", [ex.RequestTimeoutError, ex.AuthenticationError, ex.UntrustedCertificateError])
def test_a_request_that_outlives_its_task_is_described_in_one_way(kind: type[ex.SegmindError]) -> None:
    sentence = ex.still_running("", "").partition("Request ")[2].strip()
    assert sentence == "may still be running: Segmind cannot cancel it, and charges it if it completes."
    assert sentence in str(kind("words", request_id="req-1"))
    assert "Request req-1 may still be running" in ex.still_running(request_id="req-1")


def test_every_error_with_a_detail_crosses_to_the_worker() -> None:
    errors = [each for each in vars(ex).values() if isinstance(each, type) and issubclass(each, ex.SegmindError)]
    for kind in errors:
        if kind is not ex.InvalidParameterError:
            assert type(ex.error_from_json(ex.error_as_json(kind("words")))) is kind
    read = ex.error_from_json(ex.error_as_json(ex.InvalidParameterError("duration", "must be 5 or 10")))
    assert (type(read), read.detail) == (ex.SegmindError, "duration: must be 5 or 10")


def test_a_redirect_to_a_long_address_is_cut() -> None:
    with pytest.raises(ex.BadRequestError) as caught:
        SUBMIT.read(Response(302, {"location": f"https://elsewhere.example/{'x' * 1000}?secret=1"}))
    assert "https://elsewhere.example/xxx" in caught.value.detail
    assert caught.value.detail.count("x") < 200
    assert "secret" not in caught.value.detail


def test_an_unresolved_submit_has_the_id_that_the_answer_names_nonetheless() -> None:
    with pytest.raises(ex.SubmitUnresolvedError) as caught:
        SUBMIT.read(Response(504, {"x-request-id": "r-9"}, b"<html>"))
    assert caught.value.request_id == "r-9"
