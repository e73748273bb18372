"""The command line: `python -m benchmarks.fleet`."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.fleet.dags.contestants import FIELD
from benchmarks.fleet.play import Outcome, play
from benchmarks.fleet.plot import draw
from benchmarks.fleet.settings import Settings
from benchmarks.fleet.story import text
from benchmarks.races import names_of
from benchmarks.report import machine
from harness import StoppedError


def main() -> int:
    """Run it, and print what became of it in Markdown; what happens meanwhile goes to stderr."""
    options = _parser().parse_args()
    settings = Settings(options.clips, options.rate, options.latency, options.slots, options.only, options.redis)
    options.folder.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    try:
        for _ in range(options.rounds):
            for outcome in play(settings):
                outcomes.append(outcome)
                _keep(options.folder, outcomes)
    except StoppedError as stopped:
        return stopped.exit_code
    draw(options.folder / "fleet.png", outcomes, settings, settings.clips[-1])
    sys.stdout.write(f"{machine()}\n\n{text(outcomes, settings)}\n")
    return 0


def _keep(folder: Path, outcomes: list[Outcome]) -> None:
    """Write what is there by now: a long benchmark may be stopped."""
    kept = {"machine": machine(), "outcomes": [asdict(each) for each in outcomes]}
    (folder / "fleet.json").write_text(f"{json.dumps(kept)}\n")


def _parser() -> argparse.ArgumentParser:
    defaults = Settings()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    add = parser.add_argument
    add("--clips", type=_numbers, default=defaults.clips, help="mapped tasks of a run, such as 24,100 (24,100)")
    add("--rate", type=int, default=defaults.rate, help="requests a minute of each key (%(default)s)")
    add("--latency", type=float, default=defaults.latency, help="seconds that a clip takes (%(default)s)")
    add("--slots", type=int, default=defaults.slots, help="of each of the two workers (%(default)s)")
    add(
        "--only",
        type=names_of([each.name for each in FIELD]),
        default=(),
        help=f"some of {','.join(each.name for each in FIELD)}",
    )
    add("--rounds", type=int, default=1, help="how often, each in a new Airflow (%(default)s)")
    add("--redis", default=defaults.redis, help="an Airflow connection (%(default)s)")
    add("--folder", type=Path, default=Path(".cache/benchmarks"), help="gets the results (%(default)s)")
    return parser


def _numbers(given: str) -> tuple[int, ...]:
    return tuple(int(each) for each in given.split(","))


if __name__ == "__main__":
    sys.exit(main())
