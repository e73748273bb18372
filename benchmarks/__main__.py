"""Run the benchmarks, and write what came of them to `results.md`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from . import schedule, small_key, storing, triggerer
from .report import HERE, Section, machine

Run = Callable[..., Section]
BENCHMARKS: dict[str, Run] = {
    "schedule": schedule.run,
    "small_key": small_key.run,
    "triggerer": triggerer.run,
    "storing": storing.run,
}
INTRODUCTION = """# What waiting and storing cost

Written by `make bench{flag}`, on {machine}. Everything in one table ran in one run, side by side or in turn,
against the emulator on the same machine; look at the ratios.
"""


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--long", action="store_true", help="the sizes that take fifty minutes, too")
    parser.add_argument("--folder", type=Path, default=HERE, help="gets results.md and the pictures")
    options = parser.parse_args()
    strangers = set(options.names) - BENCHMARKS.keys()
    if strangers:
        parser.error(f"no benchmark is called {', '.join(sorted(strangers))}")
    options.folder.mkdir(parents=True, exist_ok=True)
    parts = [INTRODUCTION.format(flag=" LONG=1" if options.long else "", machine=machine())]
    for name in options.names or BENCHMARKS:
        sys.stderr.write(f"{name} …\n")
        parts.append(BENCHMARKS[name](options.folder, long=options.long).markdown())
        (options.folder / "results.md").write_text("\n\n".join(part.strip() for part in parts) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
