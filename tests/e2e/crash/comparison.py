"""The results on several versions of Airflow, side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow import __version__

from .dags.events import CASES, DEATHS, FAULTS, IN_FILES, LOSSES, Case, Event, Side
from .rounds import Outcome

SIDES = (Side.DEFERRED, Side.BLOCKING)


def keep(file: Path, outcomes: Mapping[Case, Outcome]) -> None:
    """Write a round to a file that `side_by_side` reads."""
    kept = {
        "airflow": __version__,
        "records": "files" if IN_FILES else "task state",
        "outcomes": [outcomes[case].as_json() for case in CASES],
    }
    file.write_text(json.dumps(kept, indent=1))


def side_by_side(files: Sequence[Path]) -> str:
    """Return a table of what the operator paid and delivered in each round, one column for each file."""
    rounds = [json.loads(file.read_text()) for file in files]
    heads = [f"{each['airflow']}, {each['records']}" for each in rounds]
    lines = [f"| | {' | '.join(heads)} |", f"|---{'|---' * len(heads)}|"]
    lines += [
        f"| {event.title} | {' | '.join(_cell(event, each['outcomes']) for each in rounds)} |"
        for event in (*DEATHS, *LOSSES, *FAULTS)
    ]
    return "\n".join(lines)


def _cell(event: Event, outcomes: Sequence[Mapping[str, Any]]) -> str:
    found = {each["side"]: each for each in outcomes if each["event"] == event.name}
    return " · ".join(_figures(found[str(side)]) for side in SIDES if str(side) in found)


def _figures(outcome: Mapping[str, Any]) -> str:
    """Return charges and delivered videos; bold if they differ, or the task did not succeed."""
    figures = f"{outcome['charged']}/{outcome['delivered']}"
    good = outcome["charged"] == outcome["delivered"] and outcome["states"] == ["success"]
    return figures if good else f"**{figures}**"
