"""The command line: `python -m benchmarks.small_key`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.races import names_of
from benchmarks.small_key.dags.contestants import FIELD
from benchmarks.small_key.race import measure
from benchmarks.small_key.settings import Settings
from harness import StoppedError


def main() -> int:
    """Run it, and print what became of it in Markdown; what happens meanwhile goes to stderr."""
    options = _parser().parse_args()
    settings = Settings(options.tasks, options.rate, options.scale, options.only)
    try:
        section = measure(options.folder, settings, options.rounds)
    except StoppedError as stopped:
        return stopped.exit_code
    sys.stdout.write(f"{section.markdown()}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    defaults = Settings()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.small_key", description=__doc__)
    add = parser.add_argument
    add("--tasks", type=int, default=defaults.tasks, help="mapped tasks of each contestant (%(default)s)")
    add("--rate", type=int, default=defaults.rate, help="requests a minute of each key (%(default)s)")
    add("--scale", type=float, default=defaults.scale, help="multiplies the jobs' durations (%(default)s)")
    add("--rounds", type=int, default=1, help="how often to run it (%(default)s)")
    add(
        "--only",
        type=names_of([each.name for each in FIELD]),
        default=(),
        help=f"some of {','.join(each.name for each in FIELD)}",
    )
    add("--folder", type=Path, default=Path(".cache/benchmarks"), help="gets the results (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
