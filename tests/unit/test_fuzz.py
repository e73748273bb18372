"""
Every reader of ``api``, fed with answers that are nearly right, and with answers that are not.

Only a SegmindError may escape. What is read is plain JSON of bounded size, and what is said is one clean line.
It looks at the same examples each time, for a few seconds; ``FUZZ_EXAMPLES=20000`` has it look at more.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.answers import RequestReport
from airflow_provider_segmind.api.call import Call, Response
from airflow_provider_segmind.api.documents import Allowance, read_json
from airflow_provider_segmind.api.errors import error_for
from airflow_provider_segmind.api.expectation import Experience
from airflow_provider_segmind.api.follow import FollowedRequest, Unfinished, Wait, advance, follow, poll, recover
from airflow_provider_segmind.api.history_search import HistoryMatches, search_history
from airflow_provider_segmind.api.literals import read_literal
from airflow_provider_segmind.api.moments import read_moment
from airflow_provider_segmind.api.output import model_output, output_urls, video_url
from airflow_provider_segmind.api.portable import make_portable
from airflow_provider_segmind.api.rate_limit import LONGEST_WAIT, RESET_HEADER, reset_moment
from airflow_provider_segmind.api.unresolved_submit import UnresolvedSubmit
from airflow_provider_segmind.exceptions import SegmindError, error_as_json, error_from_json
from airflow_provider_segmind.triggers.events import completed_event, error_event, read_event
from airflow_provider_segmind.triggers.submit_events import search_event

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))
fuzzed = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

ID = "7d1c0b6e-1111-4222-8333-944445555666"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ROW: dict[str, Any] = {
    "request_id": ID,
    "model_name": "some-model",
    "model_status": "COMPLETED",
    "credits_deduction": "0.91",
    "request_body": "{'prompt': \"it's a fox\", 'n': 1.5, 'seed': None, 'urls': ['https://x/a.png', ('b', True)]}",
    "generation_url": "https://x/y.mp4",
    "latency_ms": 144500,
    "model_created": "2026-11-23T12:00:00.123456+00:00",
    "error": None,
}
DOCUMENTS: list[Any] = [
    {"request_id": ID, "status": "QUEUED", "poll_url": "https://x/p", "status_url": "https://x/s"},
    {"request_id": ID, "status": "PROCESSING", "metrics": {}},
    {
        "status": "COMPLETED",
        "request_id": ID,
        "output": "https://x/y.mp4",
        "video": {"url": "https://x/y.mp4", "content_type": "video/mp4", "file_size": "12345"},
        "metrics": {"cost": 0.91, "remaining_credits": "9.5", "total_time": 144.5, "retry_count": 1},
        "seed": 12345678901234567890123,
        "prompt": "a fox \U0001f98a\n\ud83e",
        "error": None,
    },
    {
        "status": "COMPLETED",
        "output": ["https://x/1.png", "https://x/2.png"],
        "images": [{"url": "https://x/1.png"}],
    },
    {"status": "FAILED", "error": "content_policy_violation", "metrics": {"total_time": 20.5}},
    {"status": "FAILED", "error_message": {"code": 7, "message": "blocked"}},
    {"error": "invalid_key", "error_description": "API key was revoked", "status_code": 401},
    {"detail": [{"loc": ["body", "prompt"], "msg": "field required"}]},
    {"data": [ROW, {**ROW, "request_id": ID.replace("-", ""), "request_body": '{"prompt": "fox"}'}], "total": 2},
    {"data": ROW},
    ROW,
    {"credits": 4.2, "free-credits": 1},
    {"file_urls": ["https://x/1.png"], "urls": ["https://x/1.png"], "message": "ok"},
    {"Inference Segmind Model Information List With Details": [{"slug": "kling", "parameters_schema": {"a": {}}}]},
    "<html><head><title>502</title></head><body><h1>Bad Gateway</h1></body></html>",
]
TOKENS = [
    *(b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"'", b"null", b"NaN", b"-Infinity", b"1e400", b"\\u0000"),
    *(b"\\ud800", b"\xff", b"\x00", b"\x1b[31m", b"\n", b"9" * 5000, b"[" * 700, b'{"a":' * 700, b"]" * 700),
    *(b"\xe2\x80\xae", b"0001-01-01T00:00:00+14:00", b"9999-12-31T23:59:59-14:00", b"2026-W01-1", b"-" * 3000),
    *(b"(" * 700, b"true", b"7", b"{}", b"[]", b'""', b"x" * 9000, b"a b", b'"COMPLETED"', b'"FAILED"', b"None"),
]
MOMENTS = [
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "2026-11-23T12:00:40Z",
    "Mon, 23 Nov 2026 12:00:40 GMT",
    "1795435240",
    "1795435240000",
    "2026-01-01/2026-01-02",
    "P1D",
    "2026-W01-1",
    "1e400",
    "nan",
    "40",
    "9" * 5000,
    "x" * 100_000,
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Return the bytes of a realistic answer, changed in a few places."""
    document = draw(st.sampled_from(DOCUMENTS))
    body = document.encode() if isinstance(document, str) else json.dumps(document).encode()
    for _ in range(draw(st.integers(0, 4))):
        begin = draw(st.integers(0, len(body)))
        end = min(begin + draw(st.sampled_from([0, 0, 1, 1, 2, 8, 40])), len(body))
        middle = draw(st.sampled_from(TOKENS) | st.binary(max_size=3) | st.just(body[begin : begin + 60]))
        body = body[:begin] + middle + body[end:]
    return body[: draw(st.integers(0, len(body)))] if draw(st.integers(0, 7)) == 0 else body


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, 2**64, -(2**63) - 1, 10**300, 1e300, math.inf, -math.inf, math.nan])
    | st.floats()
    | st.sampled_from([*MOMENTS[:-2], ID, "COMPLETED", "FAILED", "https://x/y.mp4", "x" * 9000])
    | st.just("\ud800\0\x1b\n\u202e")
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(sorted({*ROW, *DOCUMENTS[2], "data", "urls", "slug", "credits", "detail", "url"})),
            inner,
            max_size=8,
        )
    ),
    max_leaves=25,
)
BODIES = mutated() | VALUES.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60)
HEADERS = st.dictionaries(
    st.sampled_from(
        [RESET_HEADER, "retry-after", "x-request-id", "x-cost", "x-seed-value", "content-type", "location"]
    ),
    st.sampled_from([*MOMENTS, ID, "application/json", "image/png", "a/b", "0.5", "https://u:p@x/?q", "\x1b[2J\n"])
    | st.text(max_size=30),
    max_size=4,
)
RESPONSES = st.builds(
    Response,
    st.sampled_from([200] * 4 + [201, 204, 302, 400, 401, 403, 404, 406, 410, 422, 422, 429, 500, 503, 504, 524]),
    HEADERS,
    BODIES,
    st.sampled_from([True, True, True, False]),
)
CALLS: list[Call[Any]] = [
    calls.submit("some-model", {"prompt": "fox"}),
    calls.status(ID),
    calls.result(ID),
    calls.run_sync("some-model", {}, 1),
    calls.credits(),
    calls.history(model="some-model", per_page=100),
    calls.history_entry(ID),
    calls.models(),
    calls.upload(["data:,"]),
]


def plain(value: Any) -> Any:
    """Return an answer as JSON values."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return [plain(part) for part in value] if isinstance(value, (tuple, list)) else value


def as_text(value: Any) -> str:
    """Return an answer as JSON, in which only moments and bytes are written in another way."""
    return json.dumps(
        plain(value),
        allow_nan=False,
        default=lambda odd: odd.isoformat() if isinstance(odd, datetime) else odd.decode("latin-1"),
    )


def check_error(error: SegmindError, request_id: str | None = None) -> None:
    """Check that an error is one clean line that can be written down, and names the request if there is one."""
    assert request_id is None or error.request_id == request_id
    for text in (str(error), error.detail, error.request_id or ""):
        assert text.isprintable() or not any(ord(each) < 32 or 127 <= ord(each) < 160 for each in text)
        text.encode()
        assert len(text) < 4000
    again = error_from_json(json.loads(json.dumps(error_as_json(error), allow_nan=False)))
    assert str(again) == str(error)
    reset_at = getattr(error, "reset_at", None)
    if reset_at is not None:
        came_at = datetime.fromtimestamp(0, UTC)  # as the answers here say
        assert timedelta(0) <= reset_at - came_at <= LONGEST_WAIT


def check_report(report: RequestReport) -> None:
    """Check all that is asked of a result."""
    assert report.state
    assert len(report.state) <= 40
    assert report.state.isprintable()
    json.dumps(report.metrics, allow_nan=False)
    assert len(repr(report.metrics)) < 20_000
    for read in (video_url, output_urls, model_output, RequestReport.raise_if_failed):
        try:
            json.dumps(read(report), allow_nan=False)  # type: ignore[operator]
        except SegmindError as error:
            check_error(error, report.request_id)
    event = json.loads(json.dumps(completed_event(report), allow_nan=False))
    assert read_event(event) == report


def answered(call: Call[Any], response: Response) -> Any:
    """Return what a transport gives back to a generator."""
    try:
        return call.read(response)
    except SegmindError as error:
        return error


@fuzzed
@given(st.sampled_from(CALLS), RESPONSES)
def test_every_reader(call: Call[Any], response: Response) -> None:
    answer = answered(call, response)
    if isinstance(answer, SegmindError):
        check_error(answer, call.request_id)
        return
    assert len(as_text(answer)) < 20 * len(response.body) + 20_000
    if isinstance(answer, RequestReport):
        check_report(answer)


@fuzzed
@given(st.sampled_from(CALLS), RESPONSES)
def test_every_error(call: Call[Any], response: Response) -> None:
    check_error(error_for(call, response))


class Clock:
    """A clock that only waits set on."""

    def __init__(self) -> None:
        self.now = NOW.timestamp()

    def __call__(self) -> float:
        return self.now


def driven(start: Callable[[Clock], Any], responses: list[Response]) -> Any:
    """Return what a generator ends with, when the responses come in turn, again and again."""
    clock = Clock()
    steps = start(clock)
    outcome: Any = None
    for number in range(5000):
        try:
            step = advance(steps, outcome)
        except StopIteration as end:
            return end.value
        except SegmindError as error:
            return error
        if isinstance(step, Wait):
            assert 0 <= step.seconds <= 3600
            assert len(step.remark) < 5000
            assert "\n" not in step.remark
            clock.now += max(step.seconds, 0.01)
            outcome = None
        else:
            outcome = answered(step, responses[number % len(responses)])
    raise AssertionError("it does not end")


@fuzzed
@given(st.lists(RESPONSES, min_size=1, max_size=4))
def test_following_and_looking(responses: list[Response]) -> None:
    begin = NOW.timestamp()
    request = FollowedRequest(ID, begin - 40, begin + 300, model="some-model")
    for start in (
        lambda clock: follow(request, clock, Experience()),
        lambda _: poll(ID, 40.0),
        lambda _: recover(ID),
    ):
        end = driven(start, responses)
        if isinstance(end, SegmindError):
            check_error(end, ID)
            json.dumps(error_event(ID, end), allow_nan=False)
        elif isinstance(end, RequestReport):
            check_report(end)
        else:
            assert isinstance(end, Unfinished)
            assert len(end.state) <= 40


@fuzzed
@given(st.lists(RESPONSES, min_size=1, max_size=4))
def test_searching_for_an_unresolved_submit(responses: list[Response]) -> None:
    begin = NOW.timestamp()
    submit = UnresolvedSubmit("some-model", "f" * 64, begin - 20, begin, begin, begin + 60, ignored_ids=("other",))
    matches = driven(lambda clock: search_history(submit, clock), responses)
    assert isinstance(matches, HistoryMatches)
    assert len(json.dumps(search_event(submit, matches), allow_nan=False)) < 20_000
    if matches.trouble is not None:
        check_error(matches.trouble)


@fuzzed
@given(st.sampled_from(MOMENTS) | st.text(max_size=40) | st.integers() | st.floats() | VALUES)
def test_moments_and_resets(value: Any) -> None:
    moment = read_moment(value)
    assert moment is None or (moment.tzinfo is UTC and 2000 <= moment.year < 2100)
    for header in (RESET_HEADER, "retry-after"):
        reset = reset_moment({header: str(value) if not isinstance(value, str) else value}, NOW)
        assert reset is None or NOW <= reset <= NOW + LONGEST_WAIT


@fuzzed
@given(BODIES, st.integers(0, 200))
def test_documents_and_literals(body: bytes, weight: int) -> None:
    for allowance in (Allowance(), Allowance(weight)):
        for read in (
            lambda allowance=allowance: read_json(body, allowance),
            lambda allowance=allowance: read_literal(body.decode("utf-8", "surrogateescape"), allowance),
        ):
            try:
                document = read()
            except ValueError:
                continue
            text = json.dumps(document, allow_nan=False)
            text.encode()
            assert document == make_portable(json.loads(text))
        assert allowance.left >= 0


@fuzzed
@given(VALUES)
def test_what_repr_writes_of_a_document_is_read_as_that_document(value: Any) -> None:
    document = read_json(json.dumps(value).encode())
    assert read_literal(repr(document), Allowance()) == document
