"""What OpenLineage receives of a request, where its provider is installed."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_segmind.api.answers import RequestReport
from airflow_provider_segmind.lineage.delivered import Delivered
from airflow_provider_segmind.media.storing import StoredOutput

pytest.importorskip("airflow.providers.openlineage", reason="the newest Airflow is tested with it")

from airflow_provider_segmind.lineage.openlineage import FACET, dataset_name, lineage_of

VIDEO = {"video": {"url": "https://cdn.segmind.com/out/a.mp4"}, "metrics": {"cost": 0.91, "total_time": 144}}


def lineage_for(body: dict[str, Any], images: list[str] | None = None, **more: Any) -> Any:
    delivered = Delivered("m", RequestReport("req-1", "COMPLETED", body), None, **more)
    return lineage_of("m", images or [], "req-1", delivered)


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("s3://bucket/in/a b?.png", ("s3://bucket", "in/a b?.png")),
        ("s3://my_conn@bucket/a.png", ("s3://bucket", "a.png")),
        ("gs://bucket/ü.png", ("gs://bucket", "ü.png")),
        ("file:///data/a.png", ("file", "/data/a.png")),
        ("/data/a#1.png", ("file", "/data/a#1.png")),
        ("https://user:pass@example.com/x/a.png?X-Amz-Signature=cafe#f", ("https://example.com", "x/a.png")),
        ("HTTPS://example.com/a.png?X-Amz-Signature=cafe", ("https://example.com", "a.png")),
        (
            "abfss://c@account.dfs.core.windows.net/a.png?sig=cafe",
            ("abfss://account.dfs.core.windows.net", "a.png"),
        ),
        ("/data/a://b.png", ("file", "/data/a://b.png")),
        ("https://example.com", ("https://example.com", "/")),
    ],
)
def test_a_file_is_named_as_openlineage_does_and_without_secrets(location: str, name: tuple[str, str]) -> None:
    assert dataset_name(location) == name


@pytest.mark.parametrize(
    "body",
    [
        VIDEO,
        {"output": ["https://cdn.segmind.com/a.png", "https://cdn.segmind.com/b.png"]},
        {"output": "a poem"},
        {},
    ],
)
def test_what_is_not_stored_is_not_a_dataset_as_its_url_expires(body: dict[str, Any]) -> None:
    assert lineage_for(body).outputs == []


def test_what_is_stored_is_there_and_has_a_size() -> None:
    stored = [StoredOutput(f"s3://clips/{name}.mp4", 7, "cafe", "video/mp4") for name in ("a", "b")]
    outputs = lineage_for(VIDEO, stored=stored).outputs
    assert [each.name for each in outputs] == ["a.mp4", "b.mp4"]
    assert outputs[0].outputFacets["outputStatistics"].size == 7


def test_an_image_that_is_given_twice_is_one_input() -> None:
    inputs = lineage_for(VIDEO, images=["/a.png", "/b.png", "/a.png"]).inputs
    assert [each.name for each in inputs] == ["/a.png", "/b.png"]


def test_text_is_not_a_file_and_what_is_not_known_is_none() -> None:
    lineage = lineage_for({"output": "a poem", "metrics": {"cost": "much"}})
    facet = lineage.run_facets[FACET]
    assert lineage.outputs == []
    assert (facet.requestId, facet.cost, facet.queueTime) == ("req-1", None, None)


def test_a_run_that_has_come_to_no_request_has_its_images() -> None:
    lineage = lineage_of("m", ["/a.png"], None, None)
    assert ([each.name for each in lineage.inputs], lineage.outputs) == (["/a.png"], [])
    assert lineage.run_facets[FACET].requestId is None


def test_a_sensor_knows_its_request_and_not_the_model() -> None:
    delivered = Delivered(None, RequestReport("req-1", "COMPLETED", VIDEO), None)
    lineage = lineage_of(None, [], "req-1", delivered)
    facet = lineage.run_facets[FACET]
    assert (facet.model, facet.requestId, facet.cost, lineage.outputs) == (None, "req-1", 0.91, [])
