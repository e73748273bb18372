"""How long a task held a worker slot, from Airflow's own records."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.airflow_api import StateChange


def slot_time(changes: Sequence[StateChange]) -> float | None:
    """Return for how many seconds a slot was held; None if Airflow has not recorded all that it takes to know."""
    states = [change.state for change in changes]
    if states != ["running", "deferred", "running", "success"]:
        return None
    return sum(
        (after.at - before.at).total_seconds() for before, after in pairwise(changes) if before.state == "running"
    )
