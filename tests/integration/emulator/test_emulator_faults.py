"""Every fault does what its rule says, as often as it says, to the requests that it names."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_segmind.emulator import FaultRule

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Client, Start

KLING = "kling-o1-image-to-video"

REQUESTS: dict[str, Callable[[Client, str], httpx.Response]] = {
    "submit": lambda client, _: client.submit(),
    "status": lambda client, job: client.status(job),
    "result": lambda client, job: client.result(job),
    "legacy_poll": lambda client, job: client.http.get(f"/v1/requests/{job}"),
    "sync": lambda client, _: client.http.post("/v1/mock-inference", json={"sleep": 0}),
    "credits": lambda client, _: client.http.get("/v1/get-user-credits"),
    "history": lambda client, _: client.http.get("/inference-request/request-history"),
    "history_item": lambda client, job: client.http.get(f"/inference-request/request-history/{job}"),
    "catalogue": lambda client, _: client.http.get("/inference-model-information/list"),
    "upload": lambda client, _: client.http.post(
        "/upload-asset", json={"data_urls": ["data:image/png;base64,AA=="]}
    ),
    "media": lambda client, job: client.http.get(f"/outputs/{job}.mp4"),
    "other": lambda client, _: client.http.get("/elsewhere"),
}


@pytest.mark.parametrize("endpoint", REQUESTS)
def test_every_endpoint_can_be_hit_once(start: Start, endpoint: str) -> None:
    client = start(latency=0.0)
    job = client.submitted()
    before = client.emulator.ledger()["submits"]
    client.emulator.faults({"on": endpoint, "status": 503, "count": 1})
    hit = REQUESTS[endpoint](client, job)
    assert hit.status_code == 503
    assert hit.json() == {"error": "Service temporarily unavailable"}
    assert client.emulator.ledger()["submits"] == before
    assert REQUESTS[endpoint](client, job).status_code == (404 if endpoint == "other" else 200)
    (armed,) = client.emulator.faults()
    assert (armed["fired"], armed["spent"]) == (1, True)
    assert client.emulator.requests()["log"][-2]["fault"] == {"on": endpoint, "count": 1, "status": 503}


@pytest.mark.parametrize(
    ("rule", "fragment"),
    [
        ({"status": 400}, "Invalid parameters"),
        ({"status": 401}, "invalid or may have expired"),
        ({"status": 401, "cause": "missing"}, "Missing Authorization"),
        ({"status": 403}, "permission"),
        ({"status": 404}, "expired"),
        ({"status": 405}, "<html>"),
        ({"status": 406}, "Insufficient credits"),
        ({"status": 406, "cause": "parameter"}, "Invalid value"),
        ({"status": 406, "cause": "spend_limit"}, "spend limit"),
        ({"status": 406, "cause": "content_type"}, "Content-Type"),
        ({"status": 410}, "retired"),
        ({"status": 418}, "Teapot"),
        ({"status": 422}, "FAILED"),
        ({"status": 429}, "Rate limit"),
        ({"status": 500}, "Internal server error"),
        ({"status": 504}, "timed out"),
        ({"status": 599}, "Error 599"),
        ({"status": 502, "body": "html"}, "<html>"),
    ],
)
def test_error_bodies(start: Start, rule: dict[str, Any], fragment: str) -> None:
    client = start()
    client.emulator.faults({"on": "status", **rule})
    answer = client.status("any")
    assert answer.status_code == rule["status"]
    assert fragment.lower() in answer.text.lower()


def test_rate_limit_headers(start: Start) -> None:
    client = start()
    readings: dict[str, Callable[[str], float]] = {
        "iso": lambda text: datetime.fromisoformat(text).timestamp(),
        "rfc1123": lambda text: parsedate_to_datetime(text).timestamp(),
        "epoch": float,
        "epoch_ms": lambda text: float(text) / 1000,
    }
    for form, read in readings.items():
        client.emulator.faults(f"on=credits,status=429,reset_format={form},reset_in=30,retry_after=2,count=1")
        answer = client.http.get("/v1/get-user-credits")
        assert 29 < read(answer.headers["x-rate-limit-reset-at-utc"]) - time.time() < 31.5
        assert answer.headers["retry-after"] == "2"
    client.emulator.faults("on=credits,status=429,reset_format=none,count=1")
    assert "x-rate-limit-reset-at-utc" not in client.http.get("/v1/get-user-credits").headers


@pytest.mark.parametrize(
    ("body", "content"),
    [
        ({"body": "html"}, b"<!doctype html>"),
        ({"body": "not_json"}, b"upstream connect error"),
        ({"body": "list"}, b"["),
        ({"body": "empty"}, b""),
        ({"json": {"status": "PAUSED"}}, b'{"status": "PAUSED"}'),
        ({"json": None}, b"null"),
    ],
)
def test_bodies(start: Start, body: dict[str, Any], content: bytes) -> None:
    client = start()
    job = client.submitted()
    client.emulator.faults({"on": "status", **body})
    answer = client.status(job)
    assert answer.status_code == 200
    assert answer.content.startswith(content)
    assert bool(answer.content) == bool(content)


def test_truncated_body_is_complete_http_but_broken_json(start: Start) -> None:
    client = start()
    job = client.submitted()
    whole = client.status(job).content
    client.emulator.faults("on=status,body=truncated")
    answer = client.status(job)
    assert answer.status_code == 200
    assert whole.startswith(answer.content)
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_huge_body_is_streamed(start: Start) -> None:
    client = start()
    client.emulator.faults("on=status,body=huge,size=3000000,count=1")
    answer = client.status("x")
    assert len(answer.content) == 3_000_000
    assert answer.json()["status"] == "PROCESSING"
    client.emulator.faults("on=status,body=huge,size=50000000000,count=1")
    with client.http.stream("GET", "/v2/requests/x/status") as endless:
        assert next(endless.iter_bytes())


def test_spoilt_submit_answers_leave_a_charge(start: Start) -> None:
    rules = [
        ("status=504,accepted=true", 504),
        ("status=500,accepted=true,body=html", 500),
        ("body=truncated", 200),
        ("body=empty", 200),
        ("status=202", 202),
        ("missing_request_id=true", 200),
    ]
    client = start()
    for number, (rule, status) in enumerate(rules, start=1):
        client.emulator.faults(f"on=submit,count=1,{rule}")
        answer = client.submit()
        assert answer.status_code == status
        assert client.emulator.ledger()["submits"] == number
        assert client.emulator.requests()["log"][-1]["request_id"]
    assert answer.json() == {"status": "QUEUED"}


def test_drop_before_and_after_a_submit(start: Start) -> None:
    client = start()
    client.emulator.faults("on=submit,drop=before,count=1", "on=submit,drop=after,count=1")
    with pytest.raises(httpx.RemoteProtocolError):
        client.submit()
    assert client.emulator.ledger()["submits"] == 0
    with pytest.raises(httpx.RemoteProtocolError):
        client.submit()
    ledger = client.emulator.ledger()
    assert (ledger["submits"], ledger["count"], ledger["total"]) == (1, 1, 0.91)
    assert client.submit().status_code == 200
    assert client.emulator.requests()["statuses"] == {"200": 1, "none": 2}


def test_drop_midway(start: Start) -> None:
    client = start(latency=0.0)
    job = client.submitted()
    client.emulator.faults("on=any,drop=midway,count=2")
    for path in (f"/v2/requests/{job}", f"/outputs/{job}.mp4"):
        with pytest.raises(httpx.RemoteProtocolError, match="peer closed connection"):
            client.http.get(path)


def test_hang_lasts_until_the_client_leaves(start: Start) -> None:
    client = start()
    client.emulator.faults("on=submit,hang=true,count=1", "on=submit,hang=true,accepted=true,count=1")
    for submits in (0, 1):
        with pytest.raises(httpx.ReadTimeout):
            client.http.post(f"/v2/{KLING}", json=client.kling(), timeout=0.2)
        assert client.emulator.ledger()["submits"] == submits


def test_a_hanging_request_does_not_hold_up_the_end(start: Start) -> None:
    from airflow_provider_segmind.emulator import running_emulator

    with ThreadPoolExecutor(1) as pool:
        with running_emulator(faults=["on=status,hang=true"]) as emulator:
            url = f"{emulator.url}/v2/requests/x/status"
            hanging = pool.submit(httpx.get, url, timeout=20, trust_env=False)
            while not emulator.requests()["endpoints"]["status"]:
                time.sleep(0.01)
            began = time.monotonic()
        assert time.monotonic() - began < 5
        assert isinstance(hanging.exception(10), httpx.TransportError)


def test_slow_and_trickle(start: Start) -> None:
    client = start()
    job = client.submitted()
    client.emulator.faults("on=status,slow=0.2,count=1", "on=status,trickle=0.02,count=1")
    began = time.monotonic()
    assert client.status(job).json()["status"] == "QUEUED"
    assert time.monotonic() - began >= 0.2
    began = time.monotonic()
    assert client.status(job).json()["status"] == "QUEUED"
    assert time.monotonic() - began >= 0.25


def test_a_slow_submit_is_accepted_before_the_wait(start: Start) -> None:
    client = start()
    client.emulator.faults("on=submit,slow=5")
    with pytest.raises(httpx.ReadTimeout):
        client.http.post(f"/v2/{KLING}", json=client.kling(), timeout=0.2)
    assert client.emulator.ledger()["count"] == 1


def test_outcomes(start: Start) -> None:
    client = start(latency=10.0)
    outcomes = ("failed", "blocked", "stuck", "expired", "unknown_state")
    client.emulator.faults(*({"on": "submit", "outcome": each, "count": 1} for each in outcomes))
    jobs = {each: client.submitted() for each in outcomes}
    client.emulator.advance(100)
    answers = {each: client.status(job) for each, job in jobs.items()}
    assert answers["failed"].status_code == 422
    assert "blocked by the content safety policy" in answers["blocked"].json()["error"]
    assert answers["stuck"].json()["status"] == "PROCESSING"
    assert answers["expired"].status_code == 404
    assert answers["unknown_state"].json()["status"] == "PAUSED"
    ledger = client.emulator.ledger()
    assert (ledger["submits"], ledger["count"]) == (5, 3)


def test_an_outcome_waits_for_the_next_submit(start: Start) -> None:
    client = start(latency=0.0)
    client.emulator.faults({"outcome": "failed", "count": 1})
    client.http.get("/v1/get-user-credits")
    assert client.status(client.submitted()).status_code == 422


def test_unknown_state_for_a_while(start: Start) -> None:
    client = start(latency=10.0)
    client.emulator.faults("on=submit,outcome=unknown_state,state=THROTTLED,state_seconds=20")
    job = client.submitted()
    seen = []
    for wait in (0, 2, 17, 5, 6):
        client.emulator.advance(wait)
        seen.append(client.status(job).json()["status"])
    assert seen == ["QUEUED", "THROTTLED", "THROTTLED", "PROCESSING", "COMPLETED"]


def test_aim_by_model_and_request_id(start: Start) -> None:
    client = start()
    first, second = client.submitted(), client.submitted("mock-inference", sleep=9)
    client.emulator.faults(
        {"on": "submit", "model": "mock-inference", "status": 403},
        {"on": "status", "request_id": first, "status": 500},
        {"on": "result", "model": "mock-inference", "status": 502},
    )
    assert client.submit("mock-inference", sleep=1).status_code == 403
    assert client.submit().status_code == 200
    assert (client.status(first).status_code, client.status(second).status_code) == (500, 200)
    assert (client.result(first).status_code, client.result(second).status_code) == (200, 502)


def test_skip_count_and_order(start: Start) -> None:
    client = start(faults=["on=credits,status=500,skip=1,count=2", "on=credits,status=502,count=1"])
    codes = [client.http.get("/v1/get-user-credits").status_code for _ in range(5)]
    assert codes == [502, 500, 500, 200, 200]
    client.emulator.reset()
    assert client.http.get("/v1/get-user-credits").status_code == 502


def test_probability_is_seeded(start: Start) -> None:
    def codes(seed: int) -> list[int]:
        client = start(seed=seed, faults=["on=credits,status=500,probability=0.5"])
        return [client.http.get("/v1/get-user-credits").status_code for _ in range(40)]

    first = codes(1)
    assert first == codes(1)
    assert 5 < first.count(500) < 35


def test_a_refused_submit_does_not_use_the_fault_up(start: Start) -> None:
    client = start()
    client.emulator.faults("on=submit,drop=after,count=1")
    assert client.submit(**client.kling(duration=3)).status_code == 406
    with pytest.raises(httpx.RemoteProtocolError):
        client.submit()


def test_rules_over_http(start: Start) -> None:
    client = start()
    post = client.http.post
    url = "/__emulator__/faults"
    assert post(url, json={"on": "status", "json": [1]}).json() == [
        {"on": "status", "count": None, "json": [1], "seen": 0, "fired": 0, "spent": False}
    ]
    assert len(post(url, json=[{"status": 500}, {"hang": True}]).json()) == 3
    refused = post(url, json=[{"status": 500}, {"colour": "red", "status": 500}])
    assert refused.status_code == 400
    assert refused.json() == {"error": "unknown fault key: colour"}
    assert post(url, content=b"{").status_code == 400
    assert post(url, json="on=submit").status_code == 400
    assert len(client.http.get(url).json()) == 3
    assert client.http.delete(url).json() == []


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"on": "submit"},
        {"on": "nowhere", "status": 500},
        {"status": 100},
        {"status": "500"},
        {"status": True},
        {"status": 500, "cause": "missing"},
        {"status": 401, "cause": "credits"},
        {"status": 500, "count": -1},
        {"status": 500, "probability": 2},
        {"status": 429, "reset_format": "sundial"},
        {"body": "poem"},
        {"body": "html", "json": {}},
        {"drop": "sometimes"},
        {"on": "status", "outcome": "failed"},
        {"on": "submit", "outcome": "completed"},
        {"slow": "long"},
    ],
)
def test_rules_that_make_no_sense(rule: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        FaultRule.from_json(rule)


@settings(max_examples=30, deadline=None)
@given(
    st.builds(
        FaultRule,
        on=st.sampled_from(["submit", "any"]),
        status=st.integers(200, 599),
        count=st.none() | st.integers(0, 9),
        skip=st.integers(0, 9),
        slow=st.none() | st.floats(0, 9),
        outcome=st.none() | st.sampled_from(["failed", "stuck"]),
        json_text=st.none() | st.dictionaries(st.text(), st.integers()).map(json.dumps),
    )
)
def test_rules_survive_the_wire(rule: FaultRule) -> None:
    document = json.dumps(rule.as_json())
    assert FaultRule.from_json(json.loads(document)) == rule
    assert FaultRule.parse(document) == rule


def test_compact_rules() -> None:
    rule = FaultRule.parse("on=submit, model=kling-o1-image-to-video, status=504, accepted=true, count=1")
    assert rule == FaultRule(on="submit", model=KLING, status=504, accepted=True, count=1)
    with pytest.raises(ValueError, match="key=value"):
        FaultRule.parse("submit")


@pytest.mark.parametrize("endpoint", ["status", "result"])
def test_a_rule_for_polls_is_for_the_status_and_the_result(start: Start, endpoint: str) -> None:
    client = start()
    request_id = client.submitted()
    client.emulator.faults({"on": "poll", "status": 503, "count": 1})
    assert client.submit().status_code == 200
    assert getattr(client, endpoint)(request_id).status_code == 503
    assert getattr(client, endpoint)(request_id).status_code == 200
