"""What benchmarks share in which contestants make clips on a real Airflow."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Collection
from datetime import datetime

from harness import ENDED, Run

PRICE = 0.91
"""USD for a clip."""

TYPICAL = 144.5
"""Seconds that a clip takes at Segmind."""

LIMITED = 429
LOOK_EVERY = 3.0
AIRFLOW = {
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.5,
    # A hundred tasks that start at once keep a small machine busy: that must not look like a death.
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": 300,
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": 300,
}


class RareLook:
    """A look at a run that is not taken too often: Airflow has better things to do."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._next = 0.0

    def __call__(self) -> str | None:
        """Return how the run has ended; None if it has not."""
        if time.monotonic() < self._next:
            return None
        self._next = time.monotonic() + LOOK_EVERY
        state = self._run.state()
        return state if state in ENDED else None


def names_of(known: Collection[str]) -> Callable[[str], tuple[str, ...]]:
    """Return what reads the names of some contestants from a command line."""

    def read(given: str) -> tuple[str, ...]:
        names = tuple(given.split(","))
        strangers = set(names) - set(known)
        if strangers:
            raise argparse.ArgumentTypeError(f"nobody is called {', '.join(sorted(strangers))}")
        return names

    return read


def say(line: str) -> None:
    """Print a line about what happens, with the time."""
    sys.stderr.write(f"{datetime.now().astimezone():%H:%M:%S} {line}\n")
