"""The Airflow that the browser looks at."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

import pytest

from harness import Cluster, Run

SECONDS_FOR_ALL = 600.0
TIME_LIMIT = pytest.mark.timeout(SECONDS_FOR_ALL + 60, method="signal")
"""The other method would leave processes."""


@dataclass(frozen=True)
class Watched:
    """An Airflow whose tasks have ended, or wait for ever."""

    cluster: Cluster
    media: Run
    waiting: Run
    approving: Run
    """Its two clips wait for a person."""

    nobodys: str
    """A request that was submitted without Airflow."""

    def question(self, map_index: int) -> str:
        """Return the address of the page where a person approves a clip."""
        task = f"{self.tab(self.approving, 'review.approve', map_index)}"
        return task.replace("/plugin/segmind", "/required_actions")

    @property
    def account(self) -> str:
        """The address of the page in the navigation."""
        return f"{self.cluster.url}/plugin/segmind-account"

    def tab(self, run: Run, task_id: str, map_index: int = -1) -> str:
        """Return the address of the tab of a task."""
        mapped = "" if map_index < 0 else f"/mapped/{map_index}"
        where = f"dags/{run.dag_id}/runs/{quote(run.run_id, safe='')}/tasks/{task_id}{mapped}"
        return f"{self.cluster.url}/{where}/plugin/segmind"
