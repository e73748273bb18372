"""The events of a task's assets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.compat import Asset

if TYPE_CHECKING:
    from airflow_provider_segmind.compat import Context
    from airflow_provider_segmind.lineage.delivered import Delivered


def tell_assets(context: Context, outlets: Sequence[Any], delivered: Delivered) -> None:
    """Give the event of each asset among a task's outlets its extra, as from :func:`facts_of`."""
    for outlet in outlets:
        if isinstance(outlet, Asset):
            context["outlet_events"][outlet].extra.update(facts_of(delivered))


def facts_of(delivered: Delivered) -> dict[str, Any]:
    """Return ``url``, ``output_path``, ``request_id``, ``model`` and ``cost`` (USD), as far as there are any."""
    paths = [each.path for each in delivered.stored]
    facts = {
        "url": delivered.output if _is_text(delivered.output) else None,
        "output_path": paths[0] if len(paths) == 1 else paths or None,
        "request_id": delivered.result.request_id,
        "model": delivered.model,
        "cost": delivered.result.metrics.get("cost"),
    }
    return {name: value for name, value in facts.items() if value is not None}


def _is_text(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(each, str) for each in value))
