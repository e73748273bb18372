"""What a delivered request tells the data platform."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_segmind.api.answers import RequestReport
from airflow_provider_segmind.compat import Asset, AssetAlias
from airflow_provider_segmind.lineage.assets import add_asset_extras, asset_uri, facts_of
from airflow_provider_segmind.lineage.delivered import Delivered
from airflow_provider_segmind.media.storing import StoredOutput

METRICS = {"cost": 0.91, "queue_time": 2.5, "inference_time": 140.0, "total_time": 142.5}
RESULT = RequestReport("req-1", "COMPLETED", {"metrics": METRICS})
STORED = [StoredOutput(f"/clips/{name}.mp4", 1000, "cafe", "video/mp4") for name in ("a", "b")]
URLS = ["https://x/a.mp4", "https://x/b.mp4"]


@pytest.mark.parametrize(
    ("output", "stored", "expected"),
    [
        ("https://x/a.mp4", [], {"url": "https://x/a.mp4"}),
        ("https://x/a.mp4", STORED[:1], {"url": "https://x/a.mp4", "output_path": "/clips/a.mp4"}),
        (URLS, STORED, {"url": URLS, "output_path": ["/clips/a.mp4", "/clips/b.mp4"]}),
        ({"text": "x"}, [], {}),
        ("Words of a language model", [], {}),
        (["https://x/a.png"] * 101, [], {}),
    ],
)
def test_the_facts_of_a_request(output: object, stored: list[StoredOutput], expected: dict[str, Any]) -> None:
    facts = facts_of(Delivered("m", RESULT, output, stored))
    assert facts == {**expected, "request_id": "req-1", "model": "m", "cost": 0.91}


def test_only_assets_among_the_outlets_get_an_event() -> None:
    asset, event = Asset("s3://clips/a.mp4"), SimpleNamespace(extra={"mine": 1})

    class Events:
        def __getitem__(self, outlet: Any) -> Any:
            assert outlet is asset
            return event

    context: Any = {"outlet_events": Events()}
    add_asset_extras(context, [asset, "a file"], Delivered("m", RESULT, None))
    assert event.extra == {"mine": 1, "request_id": "req-1", "model": "m", "cost": 0.91}


class Events:
    """As Airflow's ``outlet_events``: an event for each outlet that is asked for."""

    def __init__(self) -> None:
        self.added: list[tuple[str, dict[str, Any]]] = []

    def __getitem__(self, outlet: Any) -> Events:
        assert isinstance(outlet, AssetAlias)
        return self

    def add(self, asset: Any, extra: dict[str, Any]) -> None:
        self.added.append((asset.uri, extra))


def added_to_alias(delivered: Delivered) -> list[tuple[str, dict[str, Any]]]:
    events = Events()
    context: Any = {"outlet_events": events}
    add_asset_extras(context, [AssetAlias("clips")], delivered)
    return events.added


def test_an_alias_gets_an_event_for_each_stored_file() -> None:
    urls = ["https://x.com/a.mp4", "https://x.com/b.mp4"]
    result = RequestReport("req-1", "COMPLETED", {"output": urls, "metrics": METRICS})
    shared = {"request_id": "req-1", "model": "m", "cost": 0.91}
    assert added_to_alias(Delivered("m", result, urls, STORED)) == [
        (f"file:///clips/{name}.mp4", {**shared, "url": url, "output_path": f"/clips/{name}.mp4"})
        for name, url in zip("ab", urls, strict=True)
    ]


def test_an_alias_gets_no_event_for_a_url_that_expires() -> None:
    result = RequestReport("req-1", "COMPLETED", {"output": "https://x.com/a.mp4"})
    assert added_to_alias(Delivered("m", result, "https://x.com/a.mp4")) == []


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("/clips/a.mp4", "file:///clips/a.mp4"),
        ("file:///clips/a.mp4", "file:///clips/a.mp4"),
        ("file://localhost/clips/a.mp4", "file:///clips/a.mp4"),
        ("s3://bucket/clips/a.mp4", "s3://bucket/clips/a.mp4"),
        ("s3://login:word@bucket/clips/a.mp4", "s3://bucket/clips/a.mp4"),
        ("gs://bucket/a b?.mp4", "gs://bucket/a%20b%3F.mp4"),
        ("s3://bucket/a#1.mp4", "s3://bucket/a%231.mp4"),
        ("s3://bucket/100%25.mp4", "s3://bucket/100%2525.mp4"),
        ("/clips/ü\u2028.mp4", "file:///clips/%C3%BC%E2%80%A8.mp4"),
        ("s3://bucket//a//b.mp4", "s3://bucket//a//b.mp4"),
        ("s3://bucket/a@b=c,d.mp4", "s3://bucket/a@b=c,d.mp4"),
    ],
)
def test_a_stored_file_is_an_asset_that_airflow_keeps_as_it_is(path: str, uri: str) -> None:
    assert asset_uri(path) == uri
    assert Asset(uri=uri).uri == uri
    assert uri.isascii()


def test_files_whose_names_differ_are_different_assets() -> None:
    names = ["a?b", "a#b", "a%3Fb", "a b", "a+b", "a%20b", "A b", "a", "a/b", "ü", "%C3%BC"]
    assert len({Asset(uri=asset_uri(f"s3://bucket/{name}")).uri for name in names}) == len(names)


def test_a_file_that_can_be_no_asset_costs_its_event_and_no_task(caplog: pytest.LogCaptureFixture) -> None:
    paths = [f"s3://bucket/{'ü' * 600}.mp4", "s3://bucket/b.mp4"]
    stored = [StoredOutput(path, 1, "cafe", "video/mp4") for path in paths]
    added = added_to_alias(Delivered("m", RESULT, None, stored))
    assert [uri for uri, _ in added] == ["s3://bucket/b.mp4"]
    assert "req-1" in caplog.text


def test_the_examples_name_their_assets_and_invent_no_scheme() -> None:
    """Airflow neither checks nor tidies a URI whose scheme no provider has, and OpenLineage leaves it out."""
    examples = Path(__file__).parents[2].joinpath("example_dags").glob("*.py")
    names = [name for file in examples for name in re.findall(r'Asset\("(.*?)"\)', file.read_text())]
    assert sorted(names) == ["product_clips", "product_requests"]
    assert [Asset(name).uri for name in names] == names
