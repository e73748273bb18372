"""What OpenLineage is told of a request, where its provider is installed."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_segmind.api.answers import RequestReport
from airflow_provider_segmind.lineage.delivered import Delivered
from airflow_provider_segmind.media.storing import StoredOutput

pytest.importorskip("airflow.providers.openlineage", reason="the newest Airflow is tested with it")

from airflow_provider_segmind.lineage.openlineage import FACET, lineage_of, named, unfinished

VIDEO = {"video": {"url": "https://cdn.segmind.com/out/a.mp4"}, "metrics": {"cost": 0.91, "total_time": 144}}


def delivered(body: dict[str, Any], **more: Any) -> Delivered:
    return Delivered("m", RequestReport("req-1", "COMPLETED", body), None, **more)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("s3://bucket/in/a b?.png", ("s3://bucket", "in/a b?.png")),
        ("s3://my_conn@bucket/a.png", ("s3://bucket", "a.png")),
        ("gs://bucket/ü.png", ("gs://bucket", "ü.png")),
        ("file:///data/a.png", ("file", "/data/a.png")),
        ("/data/a#1.png", ("file", "/data/a#1.png")),
        ("https://user:pass@example.com/x/a.png?X-Amz-Signature=cafe#f", ("https://example.com", "x/a.png")),
        ("https://example.com", ("https://example.com", "/")),
    ],
)
def test_a_file_is_named_as_openlineage_does_and_without_secrets(place: str, name: tuple[str, str]) -> None:
    assert named(place) == name


def test_what_is_not_stored_is_where_segmind_has_it() -> None:
    (output,) = lineage_of(delivered(VIDEO)).outputs
    assert (output.namespace, output.name) == ("https://cdn.segmind.com", "out/a.mp4")


def test_what_is_stored_is_there_and_has_a_size() -> None:
    stored = [StoredOutput(f"s3://clips/{name}.mp4", 7, "cafe", "video/mp4") for name in ("a", "b")]
    outputs = lineage_of(delivered(VIDEO, stored=stored)).outputs
    assert [each.name for each in outputs] == ["a.mp4", "b.mp4"]
    assert outputs[0].outputFacets["outputStatistics"].size == 7


def test_an_image_that_is_given_twice_is_one_input() -> None:
    told = lineage_of(delivered(VIDEO, images=["/a.png", "/b.png", "/a.png"]))
    assert [each.name for each in told.inputs] == ["/a.png", "/b.png"]


def test_text_is_no_file_and_what_is_not_told_is_none() -> None:
    told = lineage_of(delivered({"output": "a poem", "metrics": {"cost": "much"}}))
    facet = told.run_facets[FACET]
    assert told.outputs == []
    assert (facet.requestId, facet.cost, facet.queueTime) == ("req-1", None, None)


def test_a_run_that_has_come_to_no_request_has_no_facet() -> None:
    assert unfinished("m", None).run_facets == {}
