"""The example DAGs that the installed Airflow can load."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from packaging.version import Version

FOLDER = Path(__file__).parents[1] / "example_dags"
SINCE = {"segmind_approve_clips": (3, 1), "segmind_on_any_request": (3, 0)}
"""The first Airflow of an example: before 3.1, no task can ask a person; before 3.0, no asset has a watcher."""


def loadable_examples() -> list[Path]:
    """Return their files, in the order of their names."""
    installed = Version(version("apache-airflow")).release
    return sorted(each for each in FOLDER.glob("*.py") if installed >= SINCE.get(each.stem, (2, 11)))
