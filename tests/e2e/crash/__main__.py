"""Any number of rounds: `python -m tests.e2e.crash --rounds 10`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from harness import StoppedError

from .comparison import keep, side_by_side
from .dags.events import Case
from .rounds import Outcome, campaign
from .table import markdown


def main() -> int:
    """Play, and print a line for each round and the table at the end."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.crash", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where to keep everything; default: thrown away")
    parser.add_argument("--compare", type=Path, nargs="+", help="print rounds that were kept, and play none")
    options = parser.parse_args()
    if options.compare:
        _say(side_by_side(options.compare))
        return 0
    outcomes: list[dict[Case, Outcome]] = []
    started = time.monotonic()
    try:
        with campaign(options.folder) as played:
            _say(f"Airflow on {played.cluster.database.product} is up after {time.monotonic() - started:.0f} s")
            for number in range(1, options.rounds + 1):
                began = time.monotonic()
                outcomes.append(played.round())
                _say(f"round {number}: {time.monotonic() - began:.0f} s; {_unexpected(outcomes[-1])}")
                if options.folder:
                    keep(played.cluster.folder / f"round-{number}.json", outcomes[-1])
    except StoppedError as stopped:
        return stopped.exit_code
    finally:
        if outcomes:
            _say(markdown(outcomes))
    return 0


def _unexpected(outcomes: dict[Case, Outcome]) -> str:
    wrong = [f"{case.task_id}: {outcome}" for case, outcome in outcomes.items() if not outcome.paid_once(case)]
    return "\n  ".join(wrong) or "each operator task paid once"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
