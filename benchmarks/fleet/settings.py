"""What can be chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TYPICAL = 144.5
"""Seconds that a Kling O1 clip takes."""


@dataclass(frozen=True)
class Settings:
    """
    A fleet of processes, and its clips.

    :param clips: How many are made, as fast as the key allows.
    :param rate: Requests a minute that the key allows.
    :param configured: Whether the connection says so.
    :param scale: Multiplies the duration of the clips.
    :param triggerers: Processes that wait.
    :param workers: Processes that submit.
    :param slots: Tasks at a time in each worker.
    :param start: Seconds that a worker takes to start a task, on average.
    :param world: What Segmind does where the evidence leaves it open.
    :param seed: The durations are drawn from it.
    """

    clips: int = 100
    rate: int = 120
    configured: bool = True
    scale: float = 0.2
    triggerers: int = 2
    workers: int = 2
    slots: int = 8
    start: float = 2.0
    world: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 1

    @property
    def lower_bound(self) -> float:
        """Seconds that all clips take at least, if each takes two requests that are spaced evenly."""
        return 2 * self.clips / self.rate * 60 + self.scale * TYPICAL

    @property
    def world_name(self) -> str:
        """The world in a few words."""
        return ", ".join(f"{name}={value}" for name, value in self.world.items()) or "as documented"
