"""What a delivered request tells the data platform: events of the task's assets, and metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Asset, Stats

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_segmind.api.answers import RequestReport
    from airflow_provider_segmind.media.storing import StoredOutput


def tell_assets(context: Context, outlets: Sequence[Any], facts: Mapping[str, Any]) -> None:
    """
    Give the event of each asset among a task's outlets its extra.

    :param facts: As from :func:`facts_of`.
    """
    for outlet in outlets:
        if isinstance(outlet, Asset):
            context["outlet_events"][outlet].extra.update(facts)


def facts_of(model: str, result: RequestReport, output: object, stored: Sequence[StoredOutput]) -> dict[str, Any]:
    """Return ``url``, ``output_path``, ``request_id``, ``model`` and ``cost`` (USD), as far as there are any."""
    paths = [each.path for each in stored]
    facts = {
        "url": output if _is_text(output) else None,
        "output_path": paths[0] if len(paths) == 1 else paths or None,
        "request_id": result.request_id,
        "model": model,
        "cost": result.metrics.get("cost"),
    }
    return {name: value for name, value in facts.items() if value is not None}


def count(model: str, result: RequestReport, stored: Sequence[StoredOutput]) -> None:
    """
    Send what a request took to Airflow's metrics, tagged by model.

    ``segmind.cost`` in USD and ``segmind.output_bytes`` as gauges, ``segmind.queue_time`` and
    ``segmind.inference_time`` as timings.
    """
    tags = {"model": model}
    cost = _number(result.metrics.get("cost"))
    if cost is not None:
        Stats.gauge("segmind.cost", cost, tags=tags)
    for name in ("queue_time", "inference_time"):
        seconds = _number(result.metrics.get(name))
        if seconds is not None:
            Stats.timing(f"segmind.{name}", timedelta(seconds=seconds), tags=tags)
    if stored:
        Stats.gauge("segmind.output_bytes", sum(each.size for each in stored), tags=tags)


def _number(value: object) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < 1e9 else None  # type: ignore[arg-type,operator]


def _is_text(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(each, str) for each in value))
