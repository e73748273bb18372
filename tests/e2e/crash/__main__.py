"""Any number of rounds: `python -m tests.e2e.crash --rounds 10`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from .dags.events import CASES, Case
from .real_airflow import airflow_root
from .rounds import Outcome, campaign
from .table import markdown


def main() -> int:
    """Play, and print a line for each round and the table at the end."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.crash", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument(
        "--folder", type=Path, help="where to keep everything; must not exist; default: thrown away"
    )
    options = parser.parse_args()
    outcomes: list[dict[Case, Outcome]] = []
    started = time.monotonic()
    try:
        with airflow_root(options.folder) as root, campaign(root) as played:
            _say(f"Airflow on {played.database} is up after {time.monotonic() - started:.0f} s")
            for number in range(1, options.rounds + 1):
                began = time.monotonic()
                outcomes.append(played.round())
                _say(f"round {number}: {time.monotonic() - began:.0f} s; {_unexpected(outcomes[-1])}")
                if options.folder:
                    told = [outcomes[-1][case].as_json() for case in CASES]
                    (root / f"round-{number}.json").write_text(json.dumps(told, indent=1))
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
