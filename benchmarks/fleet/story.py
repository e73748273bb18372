"""What became of fleets, in a table."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from statistics import median

from benchmarks.report import spread, table

from .play import Outcome

HEADS = (
    *("world", "limit in the connection", "clips", "requests per clip", "without refused ones"),
    *("of them status", "result", "answered 429", "of them submits", "seconds", "times the lower bound"),
    *("each seen after its end, median", "longest"),
)


def text(outcomes: Sequence[Outcome]) -> str:
    """Return a row for each kind of fleet, with the spread of its rounds."""
    kinds = groupby(outcomes, key=lambda each: each.settings)
    return table(HEADS, [_row(list(found)) for _, found in kinds])


def _row(found: Sequence[Outcome]) -> tuple[str, ...]:
    settings = found[0].settings
    return (
        settings.world_name,
        "yes" if settings.configured else "no",
        str(settings.clips),
        spread([each.per_clip for each in found]),
        spread([each.answered_per_clip for each in found]),
        spread([each.requests.get("status", 0) / settings.clips for each in found]),
        spread([each.requests.get("result", 0) / settings.clips for each in found]),
        f"{spread([100 * each.limited_share for each in found], 1)} %",
        spread([each.limited.get("submit", 0) for each in found], 0),
        spread([each.seconds for each in found], 0),
        spread([each.against_bound for each in found]),
        f"{spread([median(each.delays) for each in found], 1)} s",
        f"{spread([max(each.delays) for each in found], 1)} s",
    )
