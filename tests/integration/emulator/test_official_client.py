"""The official client, unmodified and at its default addresses, cannot tell the emulator from Segmind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from segmind import InferenceFailed, InferenceTimeout, SegmindClient, SegmindError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_segmind.emulator import RunningEmulator

KLING = "kling-o1-image-to-video"
PAYLOAD = {
    "prompt": "A seamless transformation",
    "start_image_url": "https://example.com/a.webp",
    "duration": "5",
}


@pytest.fixture
def client(segmind_host: RunningEmulator) -> Iterator[SegmindClient]:
    client = SegmindClient(api_key=segmind_host.api_key)
    yield client
    client._client.close()


def test_submit_and_wait_returns_the_video(client: SegmindClient, segmind_host: RunningEmulator) -> None:
    job = client.submit_async(KLING, **PAYLOAD)
    assert job.submit_response["status"] == "QUEUED"
    assert job.status_url == f"https://api.segmind.com/v2/requests/{job.request_id}/status"

    result = job.wait(timeout=10, interval=0.01)

    assert result["status"] == "COMPLETED"
    assert result["output"] == result["video"]["url"]
    video = client._client.get(result["output"])
    assert video.headers["content-type"] == "video/mp4"
    assert len(video.content) == result["video"]["file_size"]
    assert segmind_host.ledger()["total"] == 0.91


def test_waiting_follows_the_states(client: SegmindClient, segmind_host: RunningEmulator) -> None:
    job = client.submit_async("mock-inference", sleep=100, credits=0.5)
    seen = [job.status()["status"]]
    segmind_host.advance(50)
    seen.append(job.status()["status"])
    segmind_host.advance(50)
    seen.append(job.status()["status"])
    assert seen == ["QUEUED", "PROCESSING", "COMPLETED"]
    assert job.result()["metrics"]["cost"] == 0.5


def test_run(client: SegmindClient) -> None:
    assert client.run("mock-inference", sleep=0, credits=1e-6)["status"] == "COMPLETED"


def test_failure_carries_the_error(client: SegmindClient, segmind_host: RunningEmulator) -> None:
    segmind_host.faults({"on": "submit", "outcome": "failed", "error": "boom", "count": 1})
    with pytest.raises(InferenceFailed) as raised:
        client.run(KLING, **PAYLOAD)
    assert raised.value.detail == "boom"
    assert "cost" not in raised.value.status_body["metrics"]
    assert segmind_host.ledger()["count"] == 0


def test_timeout(client: SegmindClient, segmind_host: RunningEmulator) -> None:
    segmind_host.faults({"on": "submit", "outcome": "stuck"})
    job = client.submit_async(KLING, **PAYLOAD)
    with pytest.raises(InferenceTimeout) as raised:
        job.wait(timeout=0.05, interval=0.01)
    assert raised.value.request_id == job.request_id


def test_run_sync_returns_bytes_and_headers(client: SegmindClient) -> None:
    response = client.run_sync(KLING, **PAYLOAD)
    assert response.headers["content-type"] == "video/mp4"
    assert response.content[4:8] == b"ftyp"
    assert float(response.headers["x-cost"]) == 0.91
    assert float(response.headers["x-remaining-credits"]) == 99.09
    assert {"x-request-id", "x-generation-time", "x-seed-value"} <= set(response.headers)


def test_run_sync_returns_json_for_json_models(client: SegmindClient) -> None:
    assert client.run_sync("mock-inference", sleep=0).json()["output"] == "ok"


def test_chat(client: SegmindClient) -> None:
    assert client.chat("mock-chat", prompt="hello").text == "Emulated reply to: hello"
    assert client.chat("mock-text", prompt="hello").text == "Emulated reply to: hello"
    assert client.chat_sync("mock-chat", prompt="hello").text == "Emulated reply to: hello"


def test_upload(client: SegmindClient, tmp_path: Path) -> None:
    picture = tmp_path / "first.png"
    picture.write_bytes(b"\x89PNG and so on")
    answer = client.files.upload([picture, picture])
    first, second = answer["file_urls"]
    assert first != second
    assert first.startswith("https://workflows-api.segmind.com/assets/")
    served = httpx.get(first)
    assert (served.content, served.headers["content-type"]) == (picture.read_bytes(), "image/png")


def test_history(client: SegmindClient) -> None:
    job = client.submit_async(KLING, **PAYLOAD)
    (row,) = client.generations.history(model_name="kling", status="COMPLETED")["data"]
    assert row["request_id"] == job.request_id
    assert row["credits_deduction"] == 0.91
    assert row["request_body"] == repr(PAYLOAD)
    assert client.generations.get(job.request_id) == row
    with pytest.raises(SegmindError) as raised:
        client.generations.get("../team-usage-summary")
    assert raised.value.status == 404


def test_models_list(client: SegmindClient) -> None:
    models = {each["slug"]: each for each in client.models.list()["models"]}
    assert models[KLING]["parameters_schema"]["properties"]["duration"]["enum"] == [5, 10]
    assert models["retired-image-to-video"]["is_depreciated"] is True


def test_pixelflow(client: SegmindClient) -> None:
    result = client.pixelflows.run(workflow_id="my-flow", data={"a": 1}, poll_interval=0)
    assert result["output"][0]["keyname"] == "output"


def test_insufficient_credits(client: SegmindClient) -> None:
    with pytest.raises(SegmindError) as raised:
        client.submit_async("mock-inference", credits=1000)
    assert raised.value.status == 406
    assert raised.value.detail.startswith("Insufficient credits")
    assert "$100" in raised.value.detail
    assert "$1000" in raised.value.detail


def test_unauthorized(segmind_host: RunningEmulator) -> None:
    details = []
    for api_key in (None, "not-a-key"):
        client = SegmindClient(api_key=api_key)
        with client._client, pytest.raises(SegmindError) as raised:
            client.submit_async(KLING, **PAYLOAD)
        assert raised.value.status == 401
        details.append(raised.value.detail)
    assert details[0] != details[1]


def test_its_own_check_of_a_submit_without_id(client: SegmindClient, segmind_host: RunningEmulator) -> None:
    segmind_host.faults({"on": "submit", "missing_request_id": True, "count": 1})
    with pytest.raises(SegmindError, match="missing request_id"):
        client.submit_async(KLING, **PAYLOAD)
    assert segmind_host.ledger()["submits"] == 1


def test_requests_name_their_client(client: SegmindClient, segmind_host: RunningEmulator) -> None:
    client.models.list()
    (record,) = segmind_host.requests()["log"]
    assert record["user_agent"] == "segmind-python-sdk/1.3.0"
