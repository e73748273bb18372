"""What a delivered request tells the data platform."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_segmind.api.answers import RequestReport
from airflow_provider_segmind.compat import Asset
from airflow_provider_segmind.lineage import metrics
from airflow_provider_segmind.lineage.assets import facts_of, tell_assets
from airflow_provider_segmind.lineage.delivered import Delivered
from airflow_provider_segmind.media.storing import StoredOutput

METRICS = {"cost": 0.91, "queue_time": 2.5, "inference_time": 140.0, "total_time": 142.5}
RESULT = RequestReport("req-1", "COMPLETED", {"metrics": METRICS})
STORED = [StoredOutput(f"/clips/{name}.mp4", 1000, "cafe", "video/mp4") for name in ("a", "b")]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What was sent to Airflow's metrics."""
    told: dict[str, Any] = {}

    def note(name: str, value: Any, *, tags: dict[str, str]) -> None:
        assert tags == {"model": "m"}
        told[name] = value

    monkeypatch.setattr(metrics, "Stats", SimpleNamespace(gauge=note, timing=note))
    return told


def test_what_a_request_took_goes_to_the_metrics(sent: dict[str, Any]) -> None:
    metrics.count(Delivered("m", RESULT, None, STORED))
    assert sent == {
        "segmind.cost": 0.91,
        "segmind.queue_time": timedelta(seconds=2.5),
        "segmind.inference_time": timedelta(seconds=140),
        "segmind.output_bytes": 2000,
    }


@pytest.mark.parametrize(
    "figures", [{}, None, {"cost": "much", "queue_time": True, "inference_time": -1}, {"cost": 1e300}]
)
def test_figures_that_are_none_are_not_sent(sent: dict[str, Any], figures: Any) -> None:
    metrics.count(Delivered("m", RequestReport("req-1", "COMPLETED", {"metrics": figures}), None))
    assert sent == {}


@pytest.mark.parametrize(
    ("output", "stored", "told"),
    [
        ("https://x/a.mp4", [], {"url": "https://x/a.mp4"}),
        ("https://x/a.mp4", STORED[:1], {"url": "https://x/a.mp4", "output_path": "/clips/a.mp4"}),
        (["u1", "u2"], STORED, {"url": ["u1", "u2"], "output_path": ["/clips/a.mp4", "/clips/b.mp4"]}),
        ({"text": "x"}, [], {}),
    ],
)
def test_the_facts_of_a_request(output: object, stored: list[StoredOutput], told: dict[str, Any]) -> None:
    facts = facts_of(Delivered("m", RESULT, output, stored))
    assert facts == {**told, "request_id": "req-1", "model": "m", "cost": 0.91}


def test_only_assets_among_the_outlets_get_an_event() -> None:
    asset, event = Asset("s3://clips/a.mp4"), SimpleNamespace(extra={"mine": 1})

    class Events:
        def __getitem__(self, outlet: Any) -> Any:
            assert outlet is asset
            return event

    context: Any = {"outlet_events": Events()}
    tell_assets(context, [asset, "a file"], Delivered("m", RESULT, None))
    assert event.extra == {"mine": 1, "request_id": "req-1", "model": "m", "cost": 0.91}
