"""Airflow's metrics of a request."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_segmind.compat import Stats

if TYPE_CHECKING:
    from airflow_provider_segmind.lineage.delivered import Delivered


def count(delivered: Delivered) -> None:
    """
    Send what a request took to Airflow's metrics, tagged by model.

    ``segmind.cost`` in USD and ``segmind.output_bytes`` as gauges, ``segmind.queue_time`` and
    ``segmind.inference_time`` as timings.
    """
    tags = {"model": delivered.model}
    cost = delivered.figure("cost")
    if cost is not None:
        Stats.gauge("segmind.cost", cost, tags=tags)
    for name in ("queue_time", "inference_time"):
        seconds = delivered.figure(name)
        if seconds is not None:
            Stats.timing(f"segmind.{name}", timedelta(seconds=seconds), tags=tags)
    if delivered.stored:
        Stats.gauge("segmind.output_bytes", sum(each.size for each in delivered.stored), tags=tags)
