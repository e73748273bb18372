"""``python -m benchmarks.triggerer``: measure, and print what came of it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.triggerer import plan, story
from benchmarks.triggerer.measuring import measure
from benchmarks.triggerer.plan import Kind


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for."""
    options = _parser().parse_args(arguments)
    sizes = options.sizes + ([plan.LONG_SIZE] if options.long else [])
    options.folder.mkdir(parents=True, exist_ok=True)
    outcomes = measure(plan.rounds(sizes, options.kinds, restart=not options.no_restart), options.scale)
    section = story.write_section(outcomes, options.folder)
    sys.stdout.write(section.markdown() + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.triggerer", description=__doc__)
    add = parser.add_argument
    add("--long", action="store_true", help="also with a thousand jobs for each kind")
    add("--sizes", type=_sizes, default=list(plan.DEFAULT_SIZES), metavar="10,100", help="how many jobs wait")
    add("--kinds", type=_kinds, default=list(Kind), metavar="segmind,sleeping", help="ways to wait")
    add("--scale", type=float, default=1.0, help="shortens the jobs, for trials: segmind still expects real ones")
    add("--no-restart", action="store_true", help="kill no triggerer")
    add("--folder", type=Path, default=Path(__file__).parents[1], help="where results and picture go")
    return parser


def _sizes(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def _kinds(text: str) -> list[Kind]:
    return [Kind(each) for each in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
