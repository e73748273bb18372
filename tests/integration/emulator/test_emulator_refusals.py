"""What the gateway refuses before it accepts a job, and in which words."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from conftest import Start

KLING = "kling-o1-image-to-video"


def test_missing_and_wrong_keys_differ(start: Start) -> None:
    client = start()
    url = f"{client.emulator.url}/v1/get-user-credits"
    attempts: dict[str, dict[str, str]] = {
        "missing": {},
        "bearer": {"Authorization": f"Bearer {client.emulator.api_key}"},
        "malformed": {"x-api-key": "SG_123"},
    }
    answers = {name: httpx.get(url, headers=headers) for name, headers in attempts.items()}
    assert {answer.status_code for answer in answers.values()} == {401}
    errors = {name: answer.json()["error"] for name, answer in answers.items()}
    assert errors == {
        "missing": "missing_api_key",
        "bearer": "missing_api_key",
        "malformed": "invalid_api_key",
    }
    assert answers["missing"].json()["status_code"] == 401
    assert answers["missing"].json()["error_description"]


def test_keys_can_be_revoked_and_restored(start: Start) -> None:
    client = start()
    client.emulator.revoke_key(client.emulator.api_key)
    assert client.submit().status_code == 401
    client.http.post("/__emulator__/keys", json={"restore": client.emulator.api_key})
    assert client.submit().status_code == 200
    assert client.http.post("/__emulator__/keys", json={"forget": "x"}).status_code == 400


def test_only_listed_keys(start: Start) -> None:
    client = start(api_keys=("SG_aaaaaaaaaaaaaaaa",))
    assert client.submit().status_code == 200
    assert client.http.get("/v1/get-user-credits", headers={"x-api-key": "SG_bbbbbbbbbbbbbbbb"}).status_code == 401


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"prompt": None}, 400, "Missing required field: prompt"),
        ({"start_image_url": None}, 400, "Missing required field: start_image_url"),
        ({"duration": 7}, 406, "Allowed values: 5, 10"),
        ({"duration": "five"}, 406, "Allowed values: 5, 10"),
        ({"duration": True}, 406, "duration"),
        ({"duration": 10**400}, 406, "duration"),
        ({"duration": "nan"}, 406, "duration"),
        ({"prompt": 5}, 406, "Expected string"),
        ({"seed": 1.5}, 406, "Expected integer"),
    ],
)
def test_parameters(start: Start, changes: dict[str, Any], status: int, message: str) -> None:
    client = start()
    answer = client.submit(**client.kling(**changes))
    assert answer.status_code == status
    assert message in answer.json()["error"]
    assert client.emulator.ledger()["submits"] == 0


@pytest.mark.parametrize("duration", [5, 10, "5", "10", 5.0])
def test_durations_that_pass(start: Start, duration: Any) -> None:
    client = start()
    assert client.submit(**client.kling(duration=duration)).status_code == 200


def test_bodies(start: Start) -> None:
    client = start()
    post = client.http.post
    path = f"/v2/{KLING}"
    assert post(path, content=b"{", headers={"Content-Type": "application/json"}).status_code == 400
    assert post(path, json=[1]).status_code == 400
    assert post(path, content=b"[" * 100_000, headers={"Content-Type": "application/json"}).status_code == 400
    assert post(path, content=b"{}").status_code == 406
    answer = post(path, data={"prompt": "x"})
    assert answer.status_code == 406
    assert answer.json()["error"] == "Content-Type must be application/json"
    assert post(path, json=client.kling(), headers={"Content-Type": "application/json; charset=utf-8"}).is_success


def test_models_and_verbs(start: Start) -> None:
    client = start()
    assert client.submit("no-such-model", a=1).status_code == 404
    assert client.submit("retired-image-to-video", **client.kling()).status_code == 410
    for method, path in (("GET", f"/v2/{KLING}"), ("PUT", f"/v2/{KLING}"), ("POST", "/v2/requests/x")):
        answer = client.http.request(method, path)
        assert answer.status_code == 405
        assert answer.headers["content-type"].startswith("text/html")
    assert client.http.get("/nowhere").json() == {"error": "Not found"}


def test_insufficient_credits(start: Start) -> None:
    client = start(credits=1.0)
    assert client.submit().status_code == 200
    answer = client.submit()
    assert answer.status_code == 406
    assert answer.json() == {"error": "Insufficient credits. Your balance is $0.09 and this request needs $0.91."}
    assert client.emulator.ledger()["submits"] == 1


def test_the_balance_drops_when_a_job_ends(start: Start) -> None:
    client = start(credits=10.0, latency=60.0)
    client.emulator.faults("on=submit,outcome=failed,count=1")
    client.submitted()
    client.submitted()
    ledger = client.emulator.ledger()
    assert (ledger["balance"], ledger["reserved"]) == (10, 1.82)
    assert client.http.get("/v1/get-user-credits").json() == {"credits": 10}
    assert client.submit("mock-inference", credits=8.19).status_code == 406
    client.emulator.advance(60)
    assert client.http.get("/v1/get-user-credits").json() == {"credits": 9.09}
    assert client.emulator.ledger()["reserved"] == 0
    assert client.submit("mock-inference", credits=9.09).status_code == 200


def test_rate_limit(start: Start) -> None:
    client = start(requests_per_minute=3)
    for _ in range(3):
        assert client.http.get("/v1/get-user-credits").status_code == 200
    refused = client.submit()
    assert refused.status_code == 429
    health = client.http.get("/__emulator__/health").json()
    reset_at = datetime.fromisoformat(refused.headers["x-rate-limit-reset-at-utc"]).timestamp()
    assert 50 < reset_at - health["now"] <= 60
    assert "retry-after" not in refused.headers
    other_key = {"x-api-key": "SG_ffffffffffffffff"}
    assert client.http.get("/v1/get-user-credits", headers=other_key).status_code == 200
    assert client.http.get("/inference-model-information/list").status_code == 200
    client.emulator.advance(60)
    assert client.submit().status_code == 200
    assert client.emulator.requests()["statuses"]["429"] == 1
