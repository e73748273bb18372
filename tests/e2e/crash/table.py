"""The results side by side, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from .dags.events import DEATHS, FAULTS, LOSSES, Case, Event, Side, chosen
from .rounds import Outcome

HEADS = {
    Side.DEFERRED: "operator, deferred",
    Side.BLOCKING: "operator, in the worker",
    Side.PLAIN: "Python task, official client",
}


def markdown(rounds: Sequence[dict[Case, Outcome]]) -> str:
    """Return a table of the deaths and one of the faults."""
    tables = (("Death", (*DEATHS, *LOSSES)), ("Fault", FAULTS))
    return "\n\n".join(_table(title, chosen(events), rounds) for title, events in tables)


def _table(title: str, events: Sequence[Event], rounds: Sequence[dict[Case, Outcome]]) -> str:
    lines = [f"| {title} | {' | '.join(HEADS.values())} |", f"|---{'|---' * len(HEADS)}|"]
    for event in events:
        cells = [
            _cell([each[Case(event, side)] for each in rounds], event) if side in event.sides else ""
            for side in HEADS
        ]
        lines.append(f"| {event.title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(outcomes: Sequence[Outcome], event: Event) -> str:
    """Say how many videos were paid and delivered, and in how many attempts; each different answer once."""
    counts: dict[str, int] = {}
    for outcome in outcomes:
        attempts = f"{outcome.attempts} attempts" if outcome.attempts > 1 else "1 attempt"
        text = f"{outcome.charged} paid, {outcome.delivered} delivered, {attempts}"
        if outcome.charged > event.videos or outcome.delivered < outcome.charged:
            text = f"**{text}**"
        if outcome.states != ("success",):
            text += f", {', '.join(outcome.states)}"
        counts[text] = counts.get(text, 0) + 1
    if len(counts) == 1:
        return next(iter(counts))
    return "; ".join(f"{text} ({times}x)" for text, times in sorted(counts.items()))
