"""What becomes of mapped tasks on a key that allows few requests a minute: `python -m benchmarks.small_key`."""

from __future__ import annotations

from pathlib import Path

from benchmarks.report import Section
from benchmarks.small_key.race import measure
from benchmarks.small_key.settings import Settings


def run(folder: Path, *, long: bool) -> Section:
    """
    Compare at the real durations: some six minutes; twice if `long`.

    :param folder: Gets the picture and the figures.
    """
    return measure(folder, Settings(), rounds=2 if long else 1)
