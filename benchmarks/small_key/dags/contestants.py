"""The contestants. The benchmark and its DAG file both read this."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum

TASK_ID = "make_clip"
TASKS = int(os.environ.get("SMALL_KEY_TASKS", "24"))
ONLY = tuple(filter(None, os.environ.get("SMALL_KEY_ONLY", "").split(",")))


class Waits(StrEnum):
    """Where a task waits for its video."""

    TRIGGERER = "triggerer"
    WORKER = "worker"
    OFFICIAL = "official"


@dataclass(frozen=True)
class Contestant:
    """
    A way to make clips.

    :param name: Also the id of its DAG and the end of its connection's id.
    :param title: For the reader.
    :param waits: Where it waits; the official client does so in a PythonOperator.
    :param has_limit: Whether its connection says what the key allows.
    """

    name: str
    title: str
    waits: Waits
    has_limit: bool = False
    retries: int = 0

    @property
    def conn_id(self) -> str:
        """The connection to its own emulator."""
        return f"segmind_{self.name}"


FIELD = (
    Contestant("deferred", "operator", Waits.TRIGGERER, has_limit=True),
    Contestant("deferred_untold", "operator, limit not in the connection", Waits.TRIGGERER),
    Contestant("worker", "operator, `deferrable=False`", Waits.WORKER, has_limit=True),
    Contestant("official", "official client", Waits.OFFICIAL),
    Contestant("official_retries", "official client, `retries=3`", Waits.OFFICIAL, retries=3),
)


def chosen(names: tuple[str, ...]) -> tuple[Contestant, ...]:
    """Return the contestants of these names; all if there are none."""
    return tuple(each for each in FIELD if not names or each.name in names)
