"""``python -m tests.e2e.pipeline --images 200``: print what came of it."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from harness import StoppedError

from .played import SHAPES, played


def main() -> int:
    """Play, and print the outcome."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.pipeline", description=__doc__)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--deaths", type=int, help="at most so many; default: a quarter of the images")
    parser.add_argument(
        "--pause",
        type=float,
        default=1.5,
        help="mean seconds between two deaths; if they last until few tasks are left, those die too often",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--executor", choices=SHAPES, default="local", help="celery: two of each process, which die, too"
    )
    parser.add_argument("--folder", type=Path, help="where to keep everything; default: thrown away")
    options = parser.parse_args()
    deaths = options.images // 4 if options.deaths is None else options.deaths
    try:
        outcome = played(
            options.folder, options.images, deaths, options.pause, options.seed, executor=options.executor
        )
    except StoppedError as stopped:
        return stopped.exit_code
    for name, value in asdict(outcome).items():
        sys.stdout.write(f"{name:20} {value}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
