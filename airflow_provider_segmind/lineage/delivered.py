"""A request whose output a task has got."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_segmind.api.answers import RequestReport
    from airflow_provider_segmind.media.storing import StoredOutput


@dataclass(frozen=True)
class Delivered:
    """
    A request whose output a task has got.

    :param model: The model's slug.
    :param result: What Segmind says of it.
    :param output: What the task returns.
    :param stored: The files that were stored.
    """

    model: str
    result: RequestReport
    output: object
    stored: Sequence[StoredOutput] = ()

    def figure(self, name: str) -> float | None:
        """Return a figure of its metrics (USD or seconds); None if there is none that can be one."""
        value = self.result.metrics.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        return float(value) if 0 <= value < 1e9 else None
