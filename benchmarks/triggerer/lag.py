"""Reading what the lag meter wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_MILLI = 1000.0


@dataclass(frozen=True)
class Lag:
    """How late the event loop was, in milliseconds."""

    p50: float
    p99: float
    most: float
    samples: int


def lag_between(path: Path, begin: float, end: float) -> Lag | None:
    """Return what was measured between two moments, in seconds since the epoch."""
    late = sorted(value for at, value in _samples(path) if begin <= at < end)
    if not late:
        return None
    return Lag(_share(late, 0.5), _share(late, 0.99), late[-1] * _MILLI, len(late))


def _samples(path: Path) -> list[tuple[float, float]]:
    lines = path.read_text().splitlines() if path.exists() else []
    pairs = [line.split() for line in lines]
    return [(float(pair[0]), float(pair[1])) for pair in pairs if len(pair) == 2]


def _share(values: Sequence[float], share: float) -> float:
    return values[round(share * (len(values) - 1))] * _MILLI
