"""The command line: `python -m benchmarks.fleet`."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from benchmarks.fleet.play import Outcome, play
from benchmarks.fleet.settings import Settings
from benchmarks.fleet.story import text


def main() -> int:
    """Run it, and print what became of it in Markdown, and as JSON to stderr."""
    options = _parser().parse_args()
    outcomes: list[Outcome] = []
    for world in options.world or [{}]:
        for configured in options.limit:
            for _ in range(options.rounds):
                settings = Settings(
                    clips=options.clips,
                    rate=options.rate,
                    configured=configured,
                    scale=options.scale,
                    triggerers=options.triggerers,
                    workers=options.workers,
                    slots=options.slots,
                    start=options.start,
                    world=world,
                )
                outcomes.append(play(settings))
                kept = {name: value for name, value in asdict(outcomes[-1]).items() if name != "delays"}
                sys.stderr.write(f"{json.dumps(kept)}\n")
    sys.stdout.write(f"{text(outcomes)}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    defaults = Settings()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    add = parser.add_argument
    add("--clips", type=int, default=defaults.clips, help="(%(default)s)")
    add("--rate", type=int, default=defaults.rate, help="requests a minute of the key (%(default)s)")
    add("--scale", type=float, default=defaults.scale, help="multiplies the clips' durations (%(default)s)")
    add("--triggerers", type=int, default=defaults.triggerers, help="(%(default)s)")
    add("--workers", type=int, default=defaults.workers, help="(%(default)s)")
    add("--slots", type=int, default=defaults.slots, help="of each worker (%(default)s)")
    add("--start", type=float, default=defaults.start, help="seconds to start a task (%(default)s)")
    add("--rounds", type=int, default=1, help="how often (%(default)s)")
    add("--limit", type=_limits, default=(True, False), help="in the connection: yes, no or yes,no (yes,no)")
    add("--world", type=_world, action="append", help="such as running_status=425,running_body=error; repeatable")
    return parser


def _limits(given: str) -> tuple[bool, ...]:
    return tuple({"yes": True, "no": False}[each] for each in given.split(","))


def _world(given: str) -> dict[str, Any]:
    pairs = (each.partition("=") for each in given.split(",") if each)
    return {name: int(value) if value.isdigit() else value for name, _, value in pairs}


if __name__ == "__main__":
    sys.exit(main())
