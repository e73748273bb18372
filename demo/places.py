"""Where to look in Airflow's UI: the addresses of what the demo has made."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from demo.printing import detail, say

if TYPE_CHECKING:
    from harness import Run

TAB = "plugin/segmind"
QUESTION = "required_actions"


class Places:
    """
    What there is to see, and where.

    :param url: Of Airflow's UI.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._places: list[tuple[str, str, str]] = []
        self.add(
            "account", 'the page "Segmind": what it cost, and what was paid for nothing', "plugin/segmind-account"
        )

    def add(self, name: str, what: str, path: str) -> None:
        """
        Note a page.

        :param name: One word.
        :param what: What the reader sees there.
        :param path: Below the address of Airflow's UI.
        """
        self._places.append((name, what, path))

    def show(self) -> None:
        """Print all of them."""
        say(f"Airflow's UI: {self._url} (everybody is an admin: no login). There is to see:")
        for name, what, path in self._places:
            detail(name, what)
            detail("", f"{self._url}/{path}")


def task_page(run: Run, task_id: str, tab: str = TAB, map_index: int = -1) -> str:
    """Return the path of a tab on the page of a task."""
    mapped = "" if map_index < 0 else f"/mapped/{map_index}"
    return f"dags/{run.dag_id}/runs/{quote(run.run_id, safe='')}/tasks/{task_id}{mapped}/{tab}"
