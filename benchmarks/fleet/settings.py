"""What can be chosen."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.fleet.dags.contestants import Contestant, chosen

MINUTE = 60.0


@dataclass(frozen=True)
class Settings:
    """
    What is played.

    :param clips: Numbers of mapped tasks, each of which is a run for each contestant.
    :param rate: Requests a minute that each key allows.
    :param latency: Seconds that a clip takes on average: the real duration would make a benchmark of hours.
    :param slots: Tasks at a time in each of the two workers.
    :param only: Names of the contestants; all if there are none.
    :param redis: An Airflow connection, as a URI.
    """

    clips: tuple[int, ...] = (24, 100)
    rate: int = 120
    latency: float = 29.0
    slots: int = 8
    only: tuple[str, ...] = ()
    redis: str = "redis://127.0.0.1:6379/9"

    @property
    def contestants(self) -> tuple[Contestant, ...]:
        """The contestants that take part."""
        return chosen(self.only)

    def lower_bound(self, clips: int) -> float:
        """Return the seconds that so many clips take at least: two requests each, evenly spaced, and one clip."""
        return 2 * clips * MINUTE / self.rate + self.latency

    @property
    def environment(self) -> dict[str, str]:
        """What the DAG file reads."""
        return {
            "FLEET_CLIPS": ",".join(map(str, self.clips)),
            "FLEET_ONLY": ",".join(self.only),
            "FLEET_LATENCY": str(self.latency),
        }
