"""A request whose output a task has got."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_segmind.api.answers import RequestReport
    from airflow_provider_segmind.media.storing import StoredOutput


MOST_PLAUSIBLE = {"cost": 10_000.0}
"""What a figure may be at most. One wrong cost of a million would hide all others in a sum."""

_MOST = 1e9


@dataclass(frozen=True)
class Delivered:
    """
    A request whose output a task has got.

    :param model: The model's slug; None if the task does not know it.
    :param result: What Segmind says of it.
    :param output: What the task returns.
    :param stored: The files that were stored.
    """

    model: str | None
    result: RequestReport
    output: object
    stored: Sequence[StoredOutput] = ()

    def figure(self, name: str) -> float | None:
        """Return a figure of its metrics (USD or seconds); None if there is none, or none that is plausible."""
        value = self.result.metrics.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        return float(value) if 0 <= value < MOST_PLAUSIBLE.get(name, _MOST) else None
