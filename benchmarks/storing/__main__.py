"""The command line: `python -m benchmarks.storing`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.storing import run


def main() -> int:
    """Run it, and print what became of it in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storing", description=__doc__)
    parser.add_argument("--long", action="store_true", help="a video of 1 GiB instead of 255 MiB")
    options = parser.parse_args()
    sys.stdout.write(run(Path(), long=options.long).markdown() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
