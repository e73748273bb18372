"""A request whose output a task has got."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_segmind.api.values import LARGEST, read_number

if TYPE_CHECKING:
    from airflow_provider_segmind.api.answers import RequestReport
    from airflow_provider_segmind.media.stored import StoredOutput


MOST_PLAUSIBLE = {"cost": 10_000.0}
"""The most that a figure can be. One wrong cost of a million would hide all others in a sum."""


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
        return read_number(self.result.metrics.get(name), 0, MOST_PLAUSIBLE.get(name, LARGEST))
