"""The contestants. The benchmark and its DAG file both read this."""

from __future__ import annotations

import os
from dataclasses import dataclass

TASK_ID = "make_clip"
LIMITS = "key_limits"
"""The Airflow connection to the Redis that a contestant's processes share their limit in."""

SIZES = tuple(int(each) for each in os.environ.get("FLEET_CLIPS", "24").split(","))
ONLY = tuple(filter(None, os.environ.get("FLEET_ONLY", "").split(",")))
LATENCY = float(os.environ.get("FLEET_LATENCY", "29"))
"""Seconds that a clip takes. The operator is told, as it knows of the real Kling how long its clips take."""

RETRIES = 3
RETRY_DELAY = 30.0
"""Seconds between two attempts of a contestant that needs some."""


@dataclass(frozen=True)
class Contestant:
    """
    A way to make clips.

    :param name: Also the beginning of its DAGs' ids.
    :param title: For the reader.
    :param is_official: Whether it is the official client in a `PythonOperator`.
    :param has_limit: Whether its connection says what the key allows.
    :param has_redis: Whether its processes share the limit in Redis.
    """

    name: str
    title: str
    is_official: bool = False
    has_limit: bool = False
    has_redis: bool = False

    def conn_id(self, clips: int) -> str:
        """Return the id of the connection to its emulator for so many clips."""
        return f"segmind_{self.dag_id(clips)}"

    def dag_id(self, clips: int) -> str:
        """Return the id of its DAG with so many mapped tasks."""
        return f"{self.name}_{clips}"


FIELD = (
    Contestant("redis_limit", "operator, limit configured, Redis", has_limit=True, has_redis=True),
    Contestant("redis", "operator, limit learned, Redis", has_redis=True),
    Contestant("limit", "operator, limit configured", has_limit=True),
    Contestant("plain", "operator, limit learned"),
    Contestant("official", f"official client, `retries={RETRIES}`", is_official=True),
)


def chosen(names: tuple[str, ...]) -> tuple[Contestant, ...]:
    """Return the contestants of these names; all if there are none."""
    return tuple(each for each in FIELD if not names or each.name in names)
