"""What a host can do to a task with the bytes of an answer: nothing but being unreadable."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_segmind.api import answers, calls
from airflow_provider_segmind.api.call import Call, Response
from airflow_provider_segmind.api.expectation import Experience
from airflow_provider_segmind.api.fingerprint import fingerprint
from airflow_provider_segmind.api.follow import FollowedRequest, Wait, advance, follow, recover
from airflow_provider_segmind.api.history_search import HistoryMatches, search_history
from airflow_provider_segmind.api.output import model_output, output_urls, video_url
from airflow_provider_segmind.api.rate_limit import LONGEST_WAIT
from airflow_provider_segmind.api.unresolved_submit import UnresolvedSubmit
from airflow_provider_segmind.exceptions import (
    BadRequestError,
    InvalidParameterError,
    RateLimitedError,
    RequestExpiredError,
    RequestFailedError,
    RequestTimeoutError,
    SegmindError,
    ServerError,
    SubmitUnresolvedError,
    UnreadableResponseError,
    UnusableOutputError,
    error_as_json,
    error_from_json,
)

ID = "7d1c0b6e-1111-4222-8333-944445555666"
SUBMIT = calls.submit("some-model", {"prompt": "fox"})
STATUS = calls.status(ID)
RESULT = calls.result(ID)
PAGE = calls.history(model="some-model", per_page=100)
DEEP = "[" * 600 + "]" * 600
VERY_DEEP = '{"a":' * 100_000 + "1" + "}" * 100_000
DIGITS = "9" * 5000
BAD_IDS = [
    "",
    " ",
    "None",
    "null",
    "a b",
    "a/b",
    "../v2/other",
    "a?b=c",
    "a#b",
    "-abc",
    "abc\n",
    "a\x00b",
    "a\x1b[31mb",
    "a\u202eb",
    "é",
    "x" * 10_000,
    7,
    1.5,
    True,
    {"id": "abc"},
    ["abc"],
]


def ok(document: Any, status: int = 200, **headers: str) -> Response:
    return Response(status, headers, document if isinstance(document, bytes) else json.dumps(document).encode())


def row(number: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "request_id": f"req-{number}",
        "model_name": "some-model",
        "model_status": "COMPLETED",
        "request_body": "{'prompt': 'fox'}",
        "model_created": "2026-11-23T12:00:40Z",
        **fields,
    }


def page_of(*rows: str) -> bytes:
    """Return a page with rows as they are written, between two that can be read."""
    return f'{{"data": [{json.dumps(row(1))}, {", ".join(rows)}, {json.dumps(row(2))}], "total": 3}}'.encode()


def is_clean(text: str) -> bool:
    return not any(ord(each) < 32 or 127 <= ord(each) < 160 or each in "\u202e\u2028\u200b" for each in text)


# Ids


@pytest.mark.parametrize("request_id", BAD_IDS, ids=lambda value: repr(value)[:20])
def test_an_id_that_cannot_be_asked_about_leaves_the_submit_unresolved(request_id: Any) -> None:
    with pytest.raises(SubmitUnresolvedError) as caught:
        SUBMIT.read(ok({"request_id": request_id, "status": "QUEUED"}))
    assert is_clean(str(caught.value))
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("request_id", BAD_IDS, ids=lambda value: repr(value)[:20])
def test_a_header_that_cannot_be_an_id_is_none(request_id: Any) -> None:
    run = calls.run_sync("fast", {}, 60)
    headers = {"x-request-id": str(request_id) if str(request_id) != "7" else "/"}
    if headers["x-request-id"] in ("1.5", "True"):
        return  # as a header these can be ids
    assert run.read(Response(200, headers, b"\x89PNG")).request_id is None
    with pytest.raises(SubmitUnresolvedError) as caught:
        run.read(Response(504, headers))
    assert caught.value.request_id is None


@pytest.mark.parametrize("request_id", BAD_IDS, ids=lambda value: repr(value)[:20])
def test_a_row_whose_id_cannot_be_one_is_counted_as_unreadable(request_id: Any) -> None:
    page = PAGE.read(ok({"data": [row(1), row(request_id=request_id), row(2)]}))
    assert [entry.request_id for entry in page.entries] == ["req-1", "req-2"]
    assert (page.rows, page.unreadable) == (3, 1)


@pytest.mark.parametrize("written", [ID, ID.replace("-", ""), ID.upper(), None, "", 7, {"a": 1}])
def test_an_answer_may_write_the_id_without_dashes_or_not_at_all(written: Any) -> None:
    assert RESULT.read(ok({"request_id": written, "status": "COMPLETED", "output": "x"})).request_id == ID
    assert calls.history_entry(ID).read(ok(row(request_id=ID.replace("-", "")))).state == "COMPLETED"


def test_an_answer_about_another_request_is_not_taken() -> None:
    with pytest.raises(UnreadableResponseError, match=ID):
        RESULT.read(ok({"request_id": "another", "status": "COMPLETED", "output": "https://x/y.mp4"}))
    with pytest.raises(UnreadableResponseError, match=ID):
        calls.history_entry(ID).read(ok({"data": row(request_id="another")}))


# Rows of the history


UNREADABLE_ROWS = [
    f'{{"request_id": "bad", "seed": {DIGITS}}}',
    f'{{"request_id": "bad", "model_name": "some-model", "extra": {DEEP}}}',
    f'{{"request_id": "bad", "model_name": "some-model", "extra": {VERY_DEEP}}}',
    f'{{"request_id": "bad", "extra": {DIGITS}, "more": {DEEP}}}',
    '{"request_id": "bad", "model_name": some-model}',
    '{"request_id": "bad", "model_name": {"name": "some-model"}}',
    '{"request_id": "bad", "model_name": ["some-model"]}',
    '{"request_id": "bad", "model_name": 7}',
    '{"model_name": "some-model"}',
    "7",
    "null",
    '"row"',
    "[]",
    "[1, [2]]",
    DIGITS,
    DEEP,
]


@pytest.mark.parametrize("bad", UNREADABLE_ROWS, ids=lambda text: text[:60])
def test_a_row_that_cannot_be_read_does_not_hide_the_others(bad: str) -> None:
    page = PAGE.read(Response(200, {}, page_of(bad)))
    assert [entry.request_id for entry in page.entries] == ["req-1", "req-2"]
    assert page.entries[0].parameters == {"prompt": "fox"}
    assert (page.rows, page.unreadable) == (3, 1)


@pytest.mark.parametrize(
    "odd",
    [
        b'{"request_id": "odd", "model_name": "some-model", "credits_deduction": NaN}',
        b'{"request_id": "odd", "model_name": "some-model", "credits_deduction": -Infinity}',
        b'{"request_id": "odd", "model_name": "some-model", "credits_deduction": 1e400}',
        b'{"request_id": "odd", "model_name": "some-model", "credits_deduction": {"usd": 1}}',
        b'{"request_id": "odd", "model_name": "some-model", "error": "\\ud800"}',
        b'{"request_id": "odd", "model_name": "some-model", "error": "\xff\xfe\x80"}',
        b'{"request_id": "odd", "model_name": "some-model", "error": {"code": [1, {"a": 2}]}}',
        b'{"request_id": "odd", "request_id": "odd", "model_name": "some-model"}',
        b'{"request_id": "odd", "model_name": null, "generation_url": 7, "model_status": 7}',
        b'{"request_id": "odd", "generation_url": {"url": "x"}, "status": 7, "created_at": [1]}',
        b'{"request_id": "odd", "generation_url": [1, "no url", "https://x/a b"], "created_at": 1e999}',
        b'{"request_id": "odd", "model_created": "0001-01-01T00:00:00+14:00", "created": "P1D"}',
    ],
    ids=lambda text: repr(text)[30:90],
)
def test_an_odd_field_is_not_read_and_its_row_is(odd: bytes) -> None:
    page = PAGE.read(Response(200, {}, page_of("@").replace(b"@", odd)))
    assert [entry.request_id for entry in page.entries] == ["req-1", "odd", "req-2"]
    assert page.unreadable == 0
    entry = page.entries[1]
    assert (entry.cost, entry.output_urls, entry.created_at) == (None, (), None)
    json.dumps(entry.row)


@pytest.mark.parametrize("status", [7, None, {"a": 1}, ["COMPLETED"], True])
def test_a_state_of_a_wrong_type_is_none(status: Any) -> None:
    assert PAGE.read(ok({"data": [row(model_status=status)]})).entries[0].state == ""


INPUTS: list[Any] = [
    "[" * 5000,
    "(" * 1000,
    "-" * 100_000 + "1",
    "+".join("1" * 50_000),
    DEEP,
    VERY_DEEP,
    "{'a': " * 600 + "1" + "}" * 600,
    "{'a': " + DIGITS + "}",
    '{"a": ' + DIGITS + "}",
    "{'a': '" + "\\'" * 100_000,
    "{'a': '\\UFFFFFFFF'}",
    "{'a': " + "[]," * 500_000,
    "{'a': [" + "[]," * 350_000 + "]}",
    "{'a': [" + "None," * 200_000 + "]}",
    "{'a': " + "'' " * 300_000 + "}",
    "'" * 1_000_000,
    "{'a': '" + "\\x41" * 200_000 + "'}",
    '{"a": [' + "{}," * 300_000 + "{}]}",
    "{'a': __import__('os').getcwd()}",
    "{'a': lambda: 1}",
    "f'{1}'",
    "{1, 2}",
    "\0",
    "{'a' 'b'}",
    7,
    [1],
    True,
]


@pytest.mark.parametrize("inputs", INPUTS, ids=lambda value: repr(value)[:24])
def test_inputs_that_cannot_be_read_cost_little_and_hide_nothing(inputs: Any) -> None:
    body = ok({"data": [row(1, request_body=inputs), row(2)]})
    begun = time.thread_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = PAGE.read(body)
    assert time.thread_time() - begun < 1
    assert [entry.parameters for entry in page.entries] == [None, {"prompt": "fox"}]


def test_many_rows_with_large_inputs_share_what_may_be_read_of_a_page() -> None:
    literal = "{'a': [" + "[]," * 9000 + "]}"
    body = ok({"data": [row(number, request_body=literal) for number in range(100)]})
    begun = time.thread_time()
    page = PAGE.read(body)
    assert time.thread_time() - begun < 2
    assert 1 <= sum(entry.parameters is not None for entry in page.entries) < 10
    assert len(page.entries) == 100


@pytest.mark.parametrize(
    "inputs",
    [
        {"prompt": "a fox, running (fast) [in] {snow}: " * 72, "start_image_url": "https://x/" + "a" * 900},
        {
            "prompt": 'it\'s "quoted" \\ and\nbroken \x00 \x7f 🦊 é \u2028',
            "n": 1,
            "s": -1.5e-07,
            "t": True,
            "u": None,
        },
        {"messages": [{"role": "user", "content": "long text, it's long. " * 5000}]},
        {"a": [], "b": {}, "c": [[1, 2.5], ["x"]], "d": {"e": {"f": [None, False]}}},
        {},
    ],
    ids=lambda inputs: repr(inputs)[:30],
)
@pytest.mark.parametrize("written", [repr, json.dumps, lambda inputs: inputs], ids=["literal", "json", "object"])
def test_real_inputs_are_read_in_every_form(inputs: dict[str, Any], written: Callable[[Any], Any]) -> None:
    page = PAGE.read(ok({"data": [row(1, request_body=written(inputs))]}))
    assert page.entries[0].parameters is not None
    assert fingerprint("m", page.entries[0].parameters) == fingerprint(
        "m", json.loads(json.dumps(inputs).replace("\\u0000", "\\ufffd"))
    )


@pytest.mark.parametrize("count", [100, 400])
def test_a_page_with_long_prompts_is_read(count: int) -> None:
    prompt = "it's a fox, running; " * 119
    inputs = repr({"prompt": prompt, "start_image_url": "https://x/y.png", "duration": 5})
    page = PAGE.read(ok({"data": [row(number, request_body=inputs) for number in range(count)]}))
    assert (len(page.entries), page.unreadable) == (count, 0)
    assert all(entry.parameters and entry.parameters["prompt"] == prompt for entry in page.entries)


def test_an_entry_keeps_no_megabytes() -> None:
    large = row(
        model_name="m" * 1_000_000,
        model_status="s" * 1_000_000,
        error="e" * 1_000_000,
        generation_url="https://x/" + "u" * 1_000_000,
        extra=["x" * 1000] * 1000,
        **{"n" * 1_000_000: 1, **{f"field {number}": "y" * 8000 for number in range(50)}},
    )
    (entry,) = PAGE.read(ok({"data": [large]})).entries
    assert len(repr(entry)) < 100_000
    assert entry.row["request_id"] == "req-1"


def test_many_rows_about_one_request_take_no_time() -> None:
    rows = [{"request_id": "req-1", "generation_url": f"https://x/{number}.png"} for number in range(30_000)]
    begun = time.thread_time()
    page = PAGE.read(ok({"data": rows}))
    assert time.thread_time() - begun < 5
    assert len(page.entries) == 1
    assert len(page.entries[0].output_urls) == 100


# Searching for an unresolved submit


NOW = datetime(2026, 11, 23, 12, 1, tzinfo=UTC).timestamp()


def unresolved(**fields: Any) -> UnresolvedSubmit:
    return UnresolvedSubmit(
        "some-model",
        fingerprint("some-model", {"prompt": "fox"}),
        **{"sent_at": NOW - 20, "accepted_by": NOW, "search_from": NOW, "search_until": NOW, **fields},
    )


def searched(body: bytes, submit: UnresolvedSubmit | None = None) -> HistoryMatches:
    steps = search_history(submit or unresolved(), lambda: NOW)
    outcome: Any = None
    while True:
        try:
            step = advance(steps, outcome)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        outcome = None if isinstance(step, Wait) else _answered(step, Response(200, {}, body))


def _answered(call: Call[Any], response: Response) -> Any:
    try:
        return call.read(response)
    except SegmindError as error:
        return error


@pytest.mark.parametrize("bad", UNREADABLE_ROWS, ids=lambda text: text[:60])
def test_an_unresolved_submit_is_found_next_to_a_row_that_cannot_be_read(bad: str) -> None:
    assert searched(page_of(bad)).request_ids == ("req-1", "req-2")


@pytest.mark.parametrize("bad", UNREADABLE_ROWS, ids=lambda text: text[:60])
def test_a_row_that_cannot_be_read_may_be_the_submit(bad: str) -> None:
    matches = searched(f'{{"data": [{bad}]}}'.encode())
    assert matches.request_ids == ()
    assert isinstance(matches.trouble, UnreadableResponseError), "else it would be paid for once more"


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-23", "1e400", 10**30, [1], {}]
)
def test_a_row_without_a_readable_time_may_be_the_submit(moment: Any) -> None:
    matches = searched(json.dumps({"data": [row(model_created=moment)]}).encode())
    assert matches.request_ids == ()
    assert isinstance(matches.trouble, UnreadableResponseError)


def test_a_request_that_is_known_to_be_another_is_known_without_its_dashes() -> None:
    rows = json.dumps({"data": [row(request_id=ID.replace("-", ""))]}).encode()
    assert searched(rows).request_ids == (ID.replace("-", ""),)
    assert searched(rows, unresolved(ignored_ids=(ID,))).request_ids == ()


def test_a_row_need_not_name_the_model_that_was_asked_for() -> None:
    assert searched(json.dumps({"data": [row(model_name=None)]}).encode()).request_ids == ("req-1",)
    assert searched(json.dumps({"data": [row(model_name="some-model-2")]}).encode()).request_ids == ()


# Rate limits


def followed(
    response: Response | Callable[[], Response],
    clock: list[float],
    request: FollowedRequest,
    remarks: list[str] | None = None,
) -> answers.RequestReport:
    """Follow a request on a clock that is set on by its waits, with the same response to every call."""
    steps = follow(request, lambda: clock[0], Experience())
    outcome: Any = None
    while True:
        try:
            step = advance(steps, outcome)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        if isinstance(step, Wait):
            clock[0] += step.seconds
            if remarks is not None and step.remark:
                remarks.append(step.remark)
            outcome = None
        else:
            outcome = _answered(step, response() if callable(response) else response)


@pytest.mark.parametrize(
    "headers",
    [
        {"x-rate-limit-reset-at-utc": "0001-01-01T00:00:00+14:00"},
        {"x-rate-limit-reset-at-utc": "9999-12-31T23:59:59-14:00"},
        {"x-rate-limit-reset-at-utc": "x" * 100_000},
        {"x-rate-limit-reset-at-utc": "1e400", "retry-after": "1e400"},
        {"retry-after": "0001-01-01T00:00:00+14:00"},
        {"retry-after": "nan"},
        {"retry-after": "inf"},
        {"retry-after": "-5"},
        {"retry-after": "9" * 5000},
        {"retry-after": ""},
        {"retry-after": "0\x1f"},
    ],
    ids=lambda headers: repr(headers)[:60],
)
def test_a_429_with_an_odd_reset_is_one_without_a_reset(headers: dict[str, str]) -> None:
    with pytest.raises(RateLimitedError) as caught:
        STATUS.read(Response(429, headers, b"{}"))
    assert caught.value.reset_at is None


@pytest.mark.parametrize("seconds", ["301", "3500", "86400", "8640000"])
def test_a_reset_that_is_far_away_is_taken_as_five_minutes(seconds: str) -> None:
    came_at = datetime.fromtimestamp(NOW, UTC)
    far = came_at + timedelta(seconds=float(seconds))
    for headers in ({"retry-after": seconds}, {"x-rate-limit-reset-at-utc": far.isoformat()}):
        with pytest.raises(RateLimitedError) as caught:
            STATUS.read(Response(429, headers, b"{}", at=NOW))
        assert caught.value.reset_at == came_at + LONGEST_WAIT
    assert timedelta(minutes=5) == LONGEST_WAIT


def test_a_reset_after_the_deadline_does_not_outlast_it() -> None:
    clock = [NOW]
    limited = Response(429, {"x-rate-limit-reset-at-utc": str(int(NOW + 3500))}, b"{}")
    with pytest.raises(RequestTimeoutError):
        followed(limited, clock, FollowedRequest(ID, NOW, NOW + 60))
    assert clock[0] <= NOW + 60


# What answers hold


@pytest.mark.parametrize(
    "status",
    [
        "s" * 1_000_000,
        "PAU\nSED",
        "\x1b[31mred",
        "a" * 39 + "ß" * 40,
        "paused\u202e",
        "x\x00y",
        " waiting for a GPU ",
    ],
)
def test_a_state_is_a_short_clean_word(status: str) -> None:
    state = RESULT.read(ok({"status": status})).state
    assert 0 < len(state) <= 40
    assert is_clean(state)


def test_states_that_change_are_remarked_on_a_few_times_only() -> None:
    clock, number = [NOW], iter(range(10_000))
    remarks: list[str] = []
    request = FollowedRequest(ID, NOW, NOW + 2000, poll_interval=10)
    with pytest.raises(RequestTimeoutError):
        followed(lambda: ok({"status": f"STATE {next(number)}"}), clock, request, remarks)
    assert next(number) > 100
    assert 1 <= len(remarks) <= 10


def test_metrics_are_small_figures() -> None:
    metrics = {
        "cost": "0.91",
        "remaining_credits": -2.5,
        "inference_time": True,
        "queue_time": 1e300,
        "total_time": "soon",
        "retry_count": 1,
        "gpu": "H100\n\x1b[0m",
        "steps": 30,
        "cached": False,
        "log": "x" * 1_000_000,
        "nested": {"a": 1},
        "list": [1],
        "n" * 1000: 1,
        "bad\nname": 1,
    }
    report = RESULT.read(ok({"status": "COMPLETED", "metrics": metrics}))
    assert len(report.metrics.pop("log")) <= 200
    assert report.metrics | {"log": ""} == {
        "cost": 0.91,
        "remaining_credits": -2.5,
        "retry_count": 1,
        "gpu": "H100 \ufffd[0m",
        "steps": 30,
        "cached": False,
        "log": "",
    }
    many = {f"figure {number}": number for number in range(10_000)}
    assert len(answers.RequestReport(ID, "COMPLETED", {"metrics": many}).metrics) <= 50


@pytest.mark.parametrize("metrics", [None, 7, "x", [1], True])
def test_metrics_of_a_wrong_type_are_none(metrics: Any) -> None:
    assert answers.RequestReport(ID, "COMPLETED", {"metrics": metrics}).metrics == {}


@pytest.mark.parametrize(
    "part", [DIGITS, DEEP, VERY_DEEP, f'{{"a": {{"b": {DIGITS}}}}}'], ids=["digits", "deep", "very deep", "inner"]
)
def test_a_part_of_a_result_that_cannot_be_read_does_not_hide_its_output(part: str) -> None:
    body = f'{{"status": "COMPLETED", "timings": {part}, "video": {{"url": "https://x/y.mp4", "t": {part}}}}}'
    result = RESULT.read(Response(200, {}, body.encode()))
    assert video_url(result) == "https://x/y.mp4"
    json.dumps(result.body)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b"[" + b"[]," * 2_000_000 + b"[]]",
        b'{"status": "COMPLETED", "output": [' + b"{}," * 1_000_000 + b"{}]",
        b'{"status": "COMPLETED", "output": ' + b"9" * 5000,
        b'{"status": COMPLETED, "output": "x"}',
        b'{"status": "COMPLETED"} {"status": "COMPLETED"}',
        b'{"status"',
        b"nul",
        DIGITS.encode(),
        b"\xff" * 1000,
        b"\x00" * 1000,
    ],
    ids=lambda body: repr(body[:40]),
)
def test_what_cannot_be_read_at_all_is_unreadable_and_names_the_request(body: bytes) -> None:
    begun = time.thread_time()
    with pytest.raises(UnreadableResponseError, match=ID) as caught:
        RESULT.read(Response(200, {}, body))
    assert time.thread_time() - begun < 2
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("character", ["a", "é", "🦊", "\n", '"', "\\", ",", "[", "{"])
def test_a_text_of_five_megabytes_is_read(character: str) -> None:
    text = character * (5_000_000 // len(json.dumps(character)[1:-1]))
    body = json.dumps({"status": "COMPLETED", "output": text}).encode()
    assert len(body) <= RESULT.limit
    assert model_output(RESULT.read(Response(200, {}, body))) == text


def test_a_hundred_thousand_numbers_are_read() -> None:
    body = ok({"status": "COMPLETED", "output": [number / 7 for number in range(100_000)]})
    assert len(model_output(RESULT.read(body))) == 100_000


@pytest.mark.parametrize(
    ("call", "most"),
    [
        (SUBMIT, 65_536),
        (STATUS, 65_536),
        (calls.credits(), 65_536),
        (calls.upload(["data:,"]), 65_536),
        (RESULT, 8 * 2**20),
        (PAGE, 8 * 2**20),
        (calls.history_entry(ID), 2**20),
        (calls.models(), 16 * 2**20),
    ],
    ids=str,
)
def test_no_more_is_read_than_the_endpoint_can_mean(call: Call[Any], most: int) -> None:
    assert call.limit <= most


# Outputs


def of(**body: Any) -> answers.RequestReport:
    return answers.RequestReport(ID, "COMPLETED", body)


@pytest.mark.parametrize(
    "url",
    [
        "https://x/" + "a" * 8192,
        "https://x/a\nb.mp4",
        "https://x/a\x00.mp4",
        "https://x/\x1b[31m",
        "https://x/\u202egpm.mp4",
        " https://x/a.mp4",
        "https://",
        "ftp://x/a.mp4",
        "javascript:alert(1)",
        7,
        ["https://x"],
    ],
    ids=lambda url: repr(url)[:30],
)
def test_what_cannot_be_an_address_is_no_output_to_store(url: Any) -> None:
    with pytest.raises(UnusableOutputError, match=ID):
        output_urls(of(output={"url": url}))
    with pytest.raises(UnusableOutputError, match=ID):
        video_url(of(video={"url": url}))
    with pytest.raises(UnreadableResponseError):
        calls.upload(["data:,"]).read(ok({"file_urls": [url]}))


def test_a_space_in_the_address_of_a_file_is_encoded() -> None:
    assert output_urls(of(output={"url": "https://x/a b.mp4"})) == ["https://x/a%20b.mp4"]
    assert video_url(of(video={"url": "https://x/a b.mp4"})) == "https://x/a%20b.mp4"
    with pytest.raises(UnusableOutputError, match=ID):
        output_urls(of(output="https://x/ is a site"))


def test_a_hundred_outputs_are_stored_and_four_hundred_are_not() -> None:
    urls = [f"https://x/{number}.png" for number in range(400)]
    assert output_urls(of(output=urls[:100])) == urls[:100]
    for body in ({"output": urls}, {"images": [{"url": url} for url in urls]}):
        with pytest.raises(UnusableOutputError, match=rf"400 files.*100.*{ID}"):
            output_urls(of(**body))


@pytest.mark.parametrize(
    "body",
    [
        {"audio": {"url": "https://x/a"}},
        {"output": None, "model_mesh": {"url": "https://x/a", "file_size": 5}},
        {"output": {"images": [{"url": "https://x/a"}]}},
        {"output": [[{"url": "https://x/a"}]]},
        {"result": {"files": [{"file": {"url": "https://x/a"}}]}},
    ],
    ids=str,
)
def test_a_file_is_found_whatever_a_model_calls_it(body: dict[str, Any]) -> None:
    around = {"status_url": "https://x/s", "start_image_url": "https://x/i", "metrics": {"cost": 1}}
    assert output_urls(of(**around, **body)) == ["https://x/a"]


@pytest.mark.parametrize(
    "body",
    [{"video_url": "https://x/a"}, {"videos": [{"url": "https://x/a"}]}, {"output": "", "videos": "https://x/a"}],
)
def test_a_video_is_found_under_other_names(body: dict[str, Any]) -> None:
    assert video_url(of(**body)) == "https://x/a"


def test_an_output_that_is_named_twice_is_stored_once() -> None:
    assert output_urls(of(output=["https://x/a.png", "https://x/b.png", "https://x/a.png"])) == [
        "https://x/a.png",
        "https://x/b.png",
    ]


def test_addresses_within_addresses_are_not_followed_for_ever() -> None:
    nested: Any = "https://x/a.mp4"
    for _ in range(5000):
        nested = {"url": nested}
    with pytest.raises(UnusableOutputError):
        video_url(of(output=nested))


def test_a_result_with_many_long_keys_is_named_in_few_words() -> None:
    with pytest.raises(UnusableOutputError, match=ID) as caught:
        video_url(of(**{f"key\n{number} " + "k" * 10_000: 1 for number in range(1000)}))
    assert len(str(caught.value)) < 1500
    assert is_clean(str(caught.value))
    with pytest.raises(UnreadableResponseError) as unreadable:
        STATUS.read(ok({f"key\n{number} " + "k" * 10_000: 1 for number in range(1000)}))
    assert len(str(unreadable.value)) < 1500
    assert is_clean(str(unreadable.value))


# Errors


FORGED = "first\r\n[2026-01-01] INFO - forged \x1b[2J\x07\x9b \u202e \u2028 \x00 \ud800 end"


@pytest.mark.parametrize(
    "error",
    [
        SegmindError(FORGED, request_id=FORGED),
        ServerError("x" * 1_000_000, status=10**6000, request_id="y" * 1_000_000),
        InvalidParameterError(FORGED, "x" * 1_000_000),
        RateLimitedError(FORGED),
        STATUS.unanswered_error(FORGED),
        SUBMIT.undelivered_error("x" * 1_000_000),
        error_from_json({"type": "ServerError", "detail": FORGED, "request_id": FORGED, "status": "500"}),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_error_is_one_clean_line_of_bounded_length(error: SegmindError) -> None:
    for text in (str(error), error.detail, repr(error), json.dumps(error_as_json(error), ensure_ascii=False)):
        assert is_clean(text)
        assert "\ud800" not in text
        assert len(text) < 5000
    assert len(error.request_id or "") <= 200


@pytest.mark.parametrize(
    "document",
    [
        None,
        7,
        "text",
        [],
        [{}],
        {},
        {"type": ["ServerError"], "detail": {"a": 1}, "status": "500", "request_id": 7},
        {"type": {}, "detail": None, "status": True, "request_id": []},
        {"type": "ServerError", "detail": "x", "status": 10**400},
        {"type": "NoSuchError", "detail": "x", "status": float("nan")},
    ],
    ids=lambda document: repr(document)[:40] if len(str(type(document))) and document != 7 else "7",
)
def test_any_document_is_an_error(document: Any) -> None:
    error = error_from_json(document)
    assert isinstance(error, SegmindError)
    json.dumps(error_as_json(error), allow_nan=False)
    assert is_clean(str(error))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": "one", "detail": "two"}, "one"),
        ({"error": None, "error_message": "two", "message": "four"}, "two"),
        ({"error": "", "error_message": {"message": "inner"}}, "inner"),
        ({"error_message": {"code": 7}}, '{"code": 7}'),
        ({"detail": [{"loc": ["body"], "msg": "required"}]}, '[{"loc": ["body"], "msg": "required"}]'),
        ({"error": True, "message": "four"}, "four"),
        ({"error": {"message": "inner"}}, "inner"),
        ({"error": FORGED}, "first [2026-01-01] INFO - forged"),
        ({"error": ["x" * 1_000_000]}, '["xxx'),
        ({"detail": "three", "message": "four"}, "three"),
        ({"message": "four"}, "four"),
        ({"error": 500}, "500"),
    ],
)
def test_the_first_explanation_that_is_there_is_reported(body: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        SUBMIT.read(ok(body, 400))
    with pytest.raises(RequestFailedError) as failed:
        RESULT.read(ok({"status": "FAILED", **body}, 422)).raise_if_failed()
    for error in (refused.value, failed.value):
        assert words in error.detail
        assert is_clean(error.detail)
        assert len(error.detail) <= 500


@pytest.mark.parametrize("cut", [60, 1000, 65_536])
@pytest.mark.parametrize(
    "body",
    [
        {"error": "out of memory: " + "x\n" * 100_000},
        {"code": 7, "error_message": {"message": "out of memory: " + '"' * 100_000}},
        {"detail": "out of memory", "trace": ["x" * 1000] * 1000},
    ],
    ids=lambda body: next(iter(body)),
)
def test_a_message_that_is_cut_is_reported_as_far_as_it_goes(body: dict[str, Any], cut: int) -> None:
    with pytest.raises(ServerError, match="out of memory"):
        STATUS.read(Response(500, {}, json.dumps(body).encode()[:cut], complete=False))


@pytest.mark.parametrize("call", [STATUS, RESULT])
@pytest.mark.parametrize("status", ["FAILED", "failed"])
def test_failed_counts_even_if_its_explanation_is_cut(call: Call[Any], status: str) -> None:
    body = json.dumps({"status": status, "error": "out of memory: " + "x" * 100_000}).encode()[:65_536]
    report = call.read(Response(422, {}, body, complete=False))
    assert report.state == "FAILED"


@pytest.mark.parametrize(
    "body",
    [
        b'{"status": "COMPLETED", "output": "https://x/y',
        b'{"status": "FAI',
        b'{"request_id": "another", "status": "FAILED", "error": "x',
        b'{"error": {"status": "FAILED"}, "x": "',
        b'"status": "FAILED"',
        b'[{"status": "FAILED"',
    ],
)
def test_a_cut_answer_that_does_not_say_failed_is_no_end(body: bytes) -> None:
    with pytest.raises(UnreadableResponseError, match=ID):
        STATUS.read(Response(422, {}, body, complete=False))


@pytest.mark.parametrize(
    "body", [b'{"a\x00b": "text', b'{"error": "a\x00b', b'{"error": "a\\', b'{"error": {"a": "b']
)
def test_a_message_that_is_cut_and_cannot_be_read_is_still_that_error(body: bytes) -> None:
    with pytest.raises(ServerError):
        STATUS.read(Response(500, {}, body, complete=False))


def test_a_redirect_quotes_no_signature_and_no_login() -> None:
    location = "https://user:secret@elsewhere.example/a\nb?signature=secret" + "x" * 100_000
    with pytest.raises(BadRequestError, match=r"elsewhere\.example") as caught:
        SUBMIT.read(Response(302, {"location": location}))
    assert "secret" not in str(caught.value)
    assert is_clean(str(caught.value))


def test_the_headers_of_a_sync_answer_are_checked() -> None:
    headers = {
        "content-type": "image/png\r\nx: y" + "z" * 10_000,
        "x-cost": "1e400",
        "x-remaining-credits": "nan",
        "x-generation-time": "9" * 5000,
        "x-seed-value": "7",
    }
    answer = calls.run_sync("fast", {}, 60).read(Response(200, headers, b"\x89PNG"))
    assert answer.content_type == ""
    assert answer.metrics == {"seed": 7.0}


# Other answers


def test_uploads_answer_with_either_name_and_one_address_for_each_file() -> None:
    call = calls.upload(["data:,a", "data:,b"])
    assert call.read(ok({"urls": ["https://x/1", "https://x/2"]})) == ("https://x/1", "https://x/2")
    assert call.read(ok({"file_urls": ["https://x/1", "https://x/2"], "urls": []})) == (
        "https://x/1",
        "https://x/2",
    )
    with pytest.raises(UnreadableResponseError, match="1 URLs for 2"):
        call.read(ok({"urls": ["https://x/1"]}))


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda models: models,
        lambda models: {"Inference Segmind Model Information List With Details": models},
        lambda models: {"status": "ok", "tags": ["new"], "data": {"models": models}},
        lambda models: {"errors": [], "list": models},
    ],
)
def test_the_catalogue_is_found_whatever_its_name(wrapped: Callable[[Any], Any]) -> None:
    models = [{"slug": "kling"}, {"slug": {"a": 1}}, {"slug": "x\ny"}, {"slug": 7}, 7, {"slug": "flux"}]
    assert [model.slug for model in calls.models().read(ok(wrapped(models)))] == ["kling", "flux"]


def test_a_balance_that_is_no_number_is_unreadable() -> None:
    for balance in (True, "nan", float("inf"), 1e300, {}, "much", None):
        with pytest.raises(UnreadableResponseError):
            calls.credits().read(ok({"credits": balance}))


def test_a_recovered_request_is_the_one_that_was_asked_for() -> None:
    steps = recover(ID)
    call = next(steps)
    with pytest.raises(UnreadableResponseError):
        steps.throw(_answered(call, ok(row(request_id="another", generation_url="https://x/y.mp4"))))
    steps = recover(ID)
    call = next(steps)
    with pytest.raises(RequestExpiredError, match=ID):
        steps.send(call.read(ok(row(request_id=ID, generation_url="https://x/a b.mp4"))))
