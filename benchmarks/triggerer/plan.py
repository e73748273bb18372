"""What is measured together, and in what order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.triggerer.kinds import Kind

KINDS = tuple(Kind)
DEFAULT_SIZES = (10, 100)
LONG_SIZE = 1000
LARGEST_TOGETHER = 100
"""So many jobs may wait in each of several triggerers at a time, without one disturbing the other."""


@dataclass(frozen=True)
class Case:
    """So many jobs that wait in one triggerer in one way; ``restart``: the triggerer is killed in the middle."""

    kind: Kind
    size: int
    restart: bool = False

    @property
    def name(self) -> str:
        """A name for files and databases."""
        return f"{self.kind}_{self.size}{'_restart' if self.restart else ''}"


def rounds(sizes: Sequence[int], kinds: Iterable[Kind], *, restart: bool = True) -> list[list[Case]]:
    """Return the cases: small ones side by side, the others one after the other."""
    kinds = tuple(kinds)
    small = [Case(kind, size) for size in sizes if size <= LARGEST_TOGETHER for kind in kinds]
    if restart and small and Kind.SEGMIND in kinds:
        small.append(Case(Kind.SEGMIND, max(each.size for each in small), restart=True))
    large = [[Case(kind, size)] for size in sizes if size > LARGEST_TOGETHER for kind in kinds]
    return ([small] if small else []) + large
