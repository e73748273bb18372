"""What became of them, in a table."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.fleet.play import Outcome
from benchmarks.fleet.settings import Settings
from benchmarks.report import spread, table

NONE = "-"
HEADS = (
    *("clips", "", "delivered", "paid", "paid for nothing", "requests per delivered clip", "answered 429"),
    *("refused submits", "makespan", "of the lower bound", "slot-seconds per delivered clip"),
)


def text(outcomes: Sequence[Outcome], settings: Settings) -> str:
    """Return a row for each contestant and number of clips, with the spread of its rounds."""
    rows = []
    for clips in settings.clips:
        for contestant in settings.contestants:
            found = [each for each in outcomes if (each.contestant, each.clips) == (contestant.name, clips)]
            if found:
                rows.append((str(clips), contestant.title, *_figures(found)))
    return table(HEADS, rows)


def _figures(found: Sequence[Outcome]) -> tuple[str, ...]:
    return (
        spread([len(each.delivered) for each in found], 0),
        spread([each.charged for each in found], 0),
        f"{spread([each.lost for each in found])} USD",
        _known([each.per_clip for each in found], 2),
        f"{spread([100 * each.limited_share for each in found], 1)} %",
        spread([each.limited.get("submit", 0) for each in found], 0),
        f"{spread([each.makespan for each in found], 0)} s",
        spread([each.makespan / each.bound for each in found]),
        _known([each.slot_seconds / len(each.delivered) if each.delivered else None for each in found], 1),
    )


def _known(values: Sequence[float | None], digits: int) -> str:
    known = [each for each in values if each is not None]
    return spread(known, digits) if known else NONE
