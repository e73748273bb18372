"""The life of a job, and what it costs."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from conftest import Start

KLING = "kling-o1-image-to-video"


def test_a_submit_is_queued_and_names_its_urls(start: Start) -> None:
    client = start()
    body = client.submit().json()
    request_id = body["request_id"]
    base = client.emulator.url
    assert body == {
        "request_id": request_id,
        "status": "QUEUED",
        "poll_url": f"{base}/v1/requests/{request_id}",
        "status_url": f"{base}/v2/requests/{request_id}/status",
        "response_url": f"{base}/v2/requests/{request_id}",
    }


def test_urls_follow_the_host_header(start: Start) -> None:
    client = start()
    answer = client.http.post(f"/v2/{KLING}", json=client.kling(), headers={"Host": "segmind.internal:99"}).json()
    assert answer["status_url"].startswith("http://segmind.internal:99/v2/requests/")


def test_states_in_order(start: Start) -> None:
    client = start(latency=100.0)
    request_id = client.submitted()
    seen = []
    for wait in (0, 5, 10, 80, 10):
        client.emulator.advance(wait)
        seen.append(client.status(request_id).json()["status"])
    assert seen == ["QUEUED", "QUEUED", "PROCESSING", "PROCESSING", "COMPLETED"]


def test_result_before_the_end_is_the_status(start: Start) -> None:
    client = start(latency=100.0)
    request_id = client.submitted()
    answer = client.result(request_id)
    assert answer.status_code == 200
    assert answer.json() == client.status(request_id).json()
    assert "output" not in answer.json()


def test_result_of_a_video(start: Start) -> None:
    client = start(latency=0.0)
    request_id = client.submitted(**client.kling(duration=10, seed=4))
    result = client.result(request_id).json()
    url = f"{client.emulator.url}/outputs/{request_id}.mp4"
    assert result["output"] == url
    assert result["video"] == {
        "url": url,
        "content_type": "video/mp4",
        "file_name": f"{request_id}.mp4",
        "file_size": 655360,
    }
    assert (result["error"], result["seed"], result["prompt"]) == (None, 4, "a bud opens")
    assert result["metrics"]["cost"] == 1.82
    assert result["metrics"]["remaining_credits"] == 98.18
    assert client.http.get(f"/v1/requests/{request_id}").json() == result


def test_shapes_of_other_modalities(start: Start) -> None:
    client = start(latency=0.0)
    images = client.result(client.submitted("fast-text-to-image", prompt="x", samples=2)).json()
    assert [each["content_type"] for each in images["images"]] == ["image/png", "image/png"]
    for image in images["images"]:
        served = client.http.get(image["url"])
        assert served.content.startswith(b"\x89PNG")
        assert len(served.content) == image["file_size"]
    text = client.result(client.submitted("mock-text", prompt="hi")).json()
    assert text["output"] == "Emulated reply to: hi"


def test_failed_is_422_on_every_get_and_refunded(start: Start) -> None:
    client = start(latency=10.0)
    client.emulator.faults("on=submit,outcome=failed,error=boom")
    request_id = client.submitted()
    assert client.emulator.ledger()["count"] == 1
    client.emulator.advance(10)
    for path in (f"/v2/requests/{request_id}/status", f"/v2/requests/{request_id}", f"/v1/requests/{request_id}"):
        answer = client.http.get(path)
        assert answer.status_code == 422
        assert set(answer.json()) == {"status", "error", "metrics"}
        assert answer.json()["error"] == "boom"
        assert set(answer.json()["metrics"]) == {"inference_time", "queue_time", "total_time"}
    ledger = client.emulator.ledger()
    assert (ledger["count"], ledger["submits"], ledger["total"], ledger["balance"]) == (0, 1, 0, 100)
    assert ledger["refunds"][0]["amount"] == 0.91
    assert ledger["charges"][0]["charged"] is False


def test_an_image_that_nobody_can_open_is_accepted_and_fails(start: Start) -> None:
    client = start(latency=0.0)
    request_id = client.submitted(**client.kling(start_image_url="s3://bucket/a.png"))
    answer = client.status(request_id)
    assert answer.status_code == 422
    assert "start_image_url" in answer.json()["error"]


def test_records_expire_but_history_and_ledger_stay(start: Start) -> None:
    client = start(latency=10.0, retention=3600)
    request_id = client.submitted()
    client.emulator.advance(3599)
    assert client.status(request_id).status_code == 200
    client.emulator.advance(1)
    assert client.status(request_id).status_code == 404
    assert client.result(request_id).status_code == 404
    row = client.http.get(f"/inference-request/request-history/{request_id}").json()
    assert row["model_status"] == "COMPLETED"
    assert client.emulator.ledger()["count"] == 1


def test_unknown_request_id(start: Start) -> None:
    client = start()
    assert client.status("nobody").status_code == 404
    assert client.result("nobody").json() == {"error": "Request not found or expired"}


def test_ledger_line(start: Start) -> None:
    client = start()
    request_id = client.submitted(**client.kling(duration="5"))
    (line,) = client.http.get("/__emulator__/ledger").json()["charges"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("at"))
    assert line == {
        "request_id": request_id,
        "model": KLING,
        "parameters": client.kling(duration="5"),
        "amount": 0.91,
        "api_key_suffix": client.emulator.api_key[-4:],
        "state": "QUEUED",
        "charged": True,
    }


def test_the_same_seed_draws_the_same_latencies(start: Start) -> None:
    def totals(seed: int | None) -> list[float]:
        client = start(seed=seed)
        ids = [client.submitted() for _ in range(20)]
        client.emulator.advance(1000)
        return [client.status(each).json()["metrics"]["total_time"] for each in ids]

    first = totals(3)
    assert first == totals(3)
    assert first != totals(4)
    assert 100 < sum(first) / len(first) < 200
    assert len(set(first)) == len(first)


def test_reset_draws_again_from_the_start(start: Start) -> None:
    client = start(seed=11)
    seeds = []
    for _ in range(2):
        request_id = client.submitted()
        client.emulator.advance(1000)
        seeds.append(client.result(request_id).json()["seed"])
        client.http.post("/__emulator__/reset")
    assert seeds[0] == seeds[1]
    assert client.emulator.ledger()["submits"] == 0
    assert client.emulator.requests()["total"] == 0


def test_time_scale_applies_to_every_duration(start: Start) -> None:
    client = start(time_scale=0.01)
    request_id = client.submitted("mock-inference", sleep=50)
    client.emulator.advance(0.5)
    assert client.status(request_id).json()["metrics"]["total_time"] == pytest.approx(0.5)


def test_many_jobs_at_once(start: Start) -> None:
    client = start(latency=0.0, credits=10_000)
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: client.submitted(), range(500)))
    assert len(set(ids)) == 500
    assert client.emulator.ledger()["count"] == 500
    assert client.emulator.ledger()["total"] == 455
    assert client.emulator.requests()["endpoints"]["submit"] == 500


def test_a_sync_call_whose_client_leaves_is_charged(start: Start) -> None:
    client = start(latency=60.0)
    with pytest.raises(httpx.ReadTimeout):
        client.http.post(f"/v1/{KLING}", json=client.kling(), timeout=0.2)
    assert client.emulator.ledger()["count"] == 1


def test_a_sync_call_that_fails(start: Start) -> None:
    client = start(latency=0.0)
    client.emulator.faults("on=sync,outcome=blocked")
    answer = client.http.post(f"/v1/{KLING}", json=client.kling())
    assert answer.status_code == 422
    assert "blocked" in answer.json()["error"]
    assert client.emulator.ledger()["total"] == 0
