"""How long a task held a worker slot, from Airflow's own records."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.airflow_api import StateChange


@dataclass(frozen=True)
class SlotTime:
    """Each stay in a worker, and the time from the first start to the end, in seconds."""

    stays: tuple[float, ...]
    whole: float

    @property
    def held(self) -> float:
        """Seconds in a worker, all stays together."""
        return sum(self.stays)


def slot_time(changes: Sequence[StateChange]) -> SlotTime | None:
    """Return how long a slot was held; None if Airflow has not recorded all that it takes to know."""
    states = [change.state for change in changes]
    if states != ["running", "deferred", "running", "success"]:
        return None
    stays = tuple(
        (after.at - before.at).total_seconds() for before, after in pairwise(changes) if before.state == "running"
    )
    return SlotTime(stays, (changes[-1].at - changes[0].at).total_seconds())
