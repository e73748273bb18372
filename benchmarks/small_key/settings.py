"""What can be chosen."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.small_key.dags.contestants import Contestant, Waits, chosen


@dataclass(frozen=True)
class Settings:
    """
    A race.

    :param tasks: Mapped tasks of each contestant.
    :param rate: Requests a minute that each key allows.
    :param scale: Multiplies the durations of the jobs, nothing else.
    :param only: Names of the contestants; all if there are none.
    :param seed: The durations of the jobs are drawn from it.
    """

    tasks: int = 24
    rate: int = 60
    scale: float = 1.0
    only: tuple[str, ...] = ()
    seed: int = 1

    @property
    def contestants(self) -> tuple[Contestant, ...]:
        """The contestants that take part."""
        return chosen(self.only)

    @property
    def slots(self) -> int:
        """A number of worker slots for which nobody has to wait while others hold theirs."""
        holding = sum(each.waits is not Waits.TRIGGERER for each in self.contestants)
        return self.tasks * holding + max(self.tasks, 4)

    @property
    def environment(self) -> dict[str, str]:
        """What the DAG file reads."""
        return {"SMALL_KEY_TASKS": str(self.tasks), "SMALL_KEY_ONLY": ",".join(self.only)}
