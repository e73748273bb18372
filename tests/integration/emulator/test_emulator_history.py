"""The platform API: history, catalogue, upload."""

from __future__ import annotations

import ast
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Client, Start

HISTORY = "/inference-request/request-history"


def rows(client: Client, **query: Any) -> list[dict[str, Any]]:
    answer = client.http.get(HISTORY, params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"])


def test_rows_of_every_outcome(start: Start) -> None:
    client = start(latency=0.0)
    client.emulator.faults("on=submit,outcome=failed,count=1", "on=submit,outcome=stuck,count=1")
    failed, stuck, completed = (client.submitted() for _ in range(3))
    by_id = {row["request_id"]: row for row in rows(client)}
    assert by_id[failed]["model_status"] == "FAILED"
    assert by_id[failed]["credits_deduction"] == 0
    assert by_id[failed]["error"]
    assert by_id[stuck]["model_status"] == "PENDING"
    assert by_id[stuck]["generation_url"] is None
    assert by_id[completed]["model_status"] == "COMPLETED"
    assert by_id[completed]["generation_url"].endswith(f"{completed}.mp4")
    assert [row["request_id"] for row in rows(client, status="FAILED")] == [failed]


def test_filters_and_pages(start: Start) -> None:
    client = start(latency=0.0)
    ids = []
    for each in range(5):
        ids.append(client.submitted("mock-inference", credits=each / 100))
        client.emulator.advance(1)  # the order of requests of the same millisecond is not defined
    client.submitted()
    assert [row["request_id"] for row in rows(client, model_name="mock", sort_order="asc")] == ids
    assert [row["request_id"] for row in rows(client, model_name="mock", per_page=2, page=2)] == [ids[2], ids[1]]
    cheapest = rows(client, sort_by="credits_deduction", sort_order="asc")[0]
    assert cheapest["request_id"] == ids[0]
    envelope = client.http.get(HISTORY, params={"per_page": 4}).json()
    assert (envelope["total"], envelope["total_pages"], envelope["page"]) == (6, 2, 1)


def test_dates(start: Start) -> None:
    client = start(latency=0.0)
    client.submitted()
    client.emulator.advance(timedelta(days=10).total_seconds())
    today = (datetime.now(UTC) + timedelta(days=10)).date()
    assert rows(client) == []
    assert len(rows(client, from_date=str(today - timedelta(days=11)))) == 1
    assert rows(client, from_date=str(today - timedelta(days=31)), to_date=str(today - timedelta(days=12))) == []


@pytest.mark.parametrize(
    "query",
    [
        {"per_page": 101},
        {"per_page": 0},
        {"page": 0},
        {"page": "one"},
        {"status": "QUEUED"},
        {"sort_by": "prompt"},
        {"sort_order": "up"},
        {"from_date": "yesterday"},
        {"from_date": "2026-01-01", "to_date": "2026-02-02"},
        {"from_date": "2026-02-01", "to_date": "2026-01-01"},
    ],
)
def test_queries_that_are_refused(start: Start, query: dict[str, Any]) -> None:
    client = start()
    assert client.http.get(HISTORY, params=query).status_code == 400


def test_one_row_per_output(start: Start) -> None:
    client = start(latency=0.0)
    request_id = client.submitted("fast-text-to-image", prompt="x", samples=3)
    listed = rows(client)
    assert [row["request_id"] for row in listed] == [request_id] * 3
    assert len({row["generation_url"] for row in listed}) == 3
    assert {row["credits_deduction"] for row in listed} == {0.009}


def test_request_body_is_a_literal_or_json(start: Start) -> None:
    for form, read in (("literal", ast.literal_eval), ("json", json.loads)):
        client = start(history_bodies=form)
        sent = client.kling(prompt='it\'s "quoted"')
        client.submitted(**sent)
        assert read(rows(client)[0]["request_body"]) == sent


def test_history_lags(start: Start) -> None:
    client = start(latency=10.0, history_lag=30.0)
    request_id = client.submitted()
    assert rows(client) == []
    assert client.http.get(f"{HISTORY}/{request_id}").status_code == 404
    client.emulator.advance(30)
    assert rows(client)[0]["model_status"] == "PENDING"
    client.emulator.advance(10)
    assert client.http.get(f"{HISTORY}/{request_id}").json()["model_status"] == "COMPLETED"


def test_catalogue_is_public(start: Start) -> None:
    client = start(api_keys=("SG_aaaaaaaaaaaaaaaa",))
    answer = client.http.get("/inference-model-information/list", headers={"x-api-key": ""})
    kling = next(each for each in answer.json()["models"] if each["slug"].startswith("kling"))
    assert kling["is_depreciated"] is False
    assert kling["parameters_schema"]["required"] == ["prompt", "start_image_url"]


@pytest.mark.parametrize(
    "data_urls", [None, [], "data:image/png;base64,AA==", ["https://a/b"], ["data:a/b;base64,%"]]
)
def test_uploads_that_are_refused(start: Start, data_urls: Any) -> None:
    client = start()
    assert client.http.post("/upload-asset", json={"data_urls": data_urls}).status_code == 400
