"""What waiting costs in one real triggerer, next to other ways to wait for the same jobs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.report import Section


def run(folder: Path, *, long: bool) -> Section:
    """
    Measure, and write the raw results and the picture to a folder.

    :param long: Add a thousand waiting jobs for each kind, one kind after the other.
    """
    # The triggerer imports this package, too: what measures must not be imported along with it.
    from benchmarks.triggerer import measuring, plan, story

    rounds = plan.rounds(plan.DEFAULT_SIZES)
    if long:
        rounds += plan.rounds((plan.LONG_SIZE,), restart=False)
    return story.write_section(measuring.measure(rounds), folder)
