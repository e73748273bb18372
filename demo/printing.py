"""What the demo prints: one line per step, with the seconds since it started."""

from __future__ import annotations

import sys
import time

_STARTED = time.monotonic()


def elapsed() -> float:
    """Return the seconds since the demo started."""
    return time.monotonic() - _STARTED


def say(line: str) -> None:
    """Print what happens now."""
    _write(f"{elapsed():6.1f} s  {line}")


def detail(topic: str, line: str) -> None:
    """Print what belongs to the line before."""
    _write(f"{'':10}{topic:<10} {line}")


def quote(line: str) -> None:
    """Print a line of somebody else's, such as of a log file."""
    _write(f"{'':10}| {line}")


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
