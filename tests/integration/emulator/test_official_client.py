"""The official client, unmodified and at its default addresses, cannot tell the emulator from Segmind.

It works in every world. What it passes on as it came differs between them; it reads an error under one key only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from segmind import InferenceFailed, InferenceTimeout, SegmindClient, SegmindError

from airflow_provider_segmind.emulator import World

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
WORLDS = {
    "documented": World(),
    "captured": World(
        ids="hex",
        optional_keys="absent",
        error_key="error_object",
        upload_key="urls",
        catalogue_key="details",
        catalogue_parameters="parameters",
        no_credits_status=402,
        history_bodies="json",
    ),
    "late": World(
        history_rows="with_output",
        history_created="recorded",
        history_media="rewritten",
        history_owner="team",
        history_after_expiry="missing",
        server_error_leaves_job=True,
        running_status=425,
        running_body="error",
        reset_format="none",
        ids="mixed",
        error_key="detail",
        catalogue_key="none",
    ),
}


@pytest.fixture(params=WORLDS.values(), ids=WORLDS)
def world(request: pytest.FixtureRequest) -> World:
    chosen: World = request.param
    return chosen


def without_dashes(request_id: str) -> str:
    return request_id.replace("-", "")


def detail(world: World, text: str) -> str | None:
    """What the client finds of an error: it looks under `error`."""
    return text if world.error_key == "error" else None


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
    assert len(video.content) == int(result["video"]["file_size"])
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


def test_failure_carries_the_error(client: SegmindClient, segmind_host: RunningEmulator, world: World) -> None:
    segmind_host.faults({"on": "submit", "outcome": "failed", "error": "boom", "count": 1})
    with pytest.raises(InferenceFailed) as raised:
        client.run(KLING, **PAYLOAD)
    assert raised.value.detail == detail(world, "boom")
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


def test_upload(client: SegmindClient, tmp_path: Path, world: World) -> None:
    picture = tmp_path / "first.png"
    picture.write_bytes(b"\x89PNG and so on")
    answer = client.files.upload([picture, picture])
    first, second = answer[world.upload_key]
    assert first != second
    assert first.startswith("https://workflows-api.segmind.com/assets/")
    served = httpx.get(first)
    assert (served.content, served.headers["content-type"]) == (picture.read_bytes(), "image/png")


def test_history(client: SegmindClient, world: World) -> None:
    job = client.submit_async(KLING, **PAYLOAD)
    (row,) = client.generations.history(model_name="kling", status="COMPLETED")["data"]
    assert without_dashes(row["request_id"]) == without_dashes(job.request_id)
    assert row["credits_deduction"] == 0.91
    assert str(PAYLOAD["prompt"]) in row["request_body"]
    assert (PAYLOAD["start_image_url"] in row["request_body"]) == (world.history_media == "as_sent")
    assert client.generations.get(job.request_id) == row
    with pytest.raises(SegmindError) as raised:
        client.generations.get("../team-usage-summary")
    assert raised.value.status == 404


def test_generations(client: SegmindClient) -> None:
    job = client.submit_async(KLING, **PAYLOAD)
    (row,) = client.generations.list(model_name=KLING)["generations"]
    assert without_dashes(row["request_id"]) == without_dashes(job.request_id)
    assert row["generation_url"].rpartition("/")[2] == job.result()["output"].rpartition("/")[2]
    assert (row["status"], row["credits_deduction"], row["prompt"]) == ("COMPLETED", 0.91, PAYLOAD["prompt"])


def test_models_list(client: SegmindClient, world: World) -> None:
    listed: Any = client.models.list()
    if world.catalogue_key != "none":
        (listed,) = listed.values()
    models = {each["slug"]: each for each in listed}
    if world.catalogue_parameters == "parameters":
        assert models[KLING]["parameters"]["duration"]["options"] == [5, 10]
    else:
        assert models[KLING]["parameters_schema"]["properties"]["duration"]["enum"] == [5, 10]
    assert models["retired-image-to-video"]["is_depreciated"] is True


def test_pixelflow(client: SegmindClient) -> None:
    result = client.pixelflows.run(workflow_id="my-flow", data={"a": 1}, poll_interval=0)
    assert [each["keyname"] for each in result["output"]] == ["output", "image"]
    picture = client._client.get(result["output"][1]["value"])
    assert picture.headers["content-type"] == "image/png"


def test_insufficient_credits(client: SegmindClient, world: World) -> None:
    with pytest.raises(SegmindError) as raised:
        client.submit_async("mock-inference", credits=1000)
    assert raised.value.status == world.no_credits_status
    text = "Insufficient credits. Your balance is $100 and this request needs $1000."
    assert raised.value.detail == detail(world, text)


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
