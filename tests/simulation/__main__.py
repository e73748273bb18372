"""Play simulations until so many steps are done: ``python -m tests.simulation --steps 1000000 --seed 1``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from tests.simulation.run import simulate_many


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    began = time.monotonic()
    total = simulate_many(options.steps, options.seed)
    last = options.seed + total.runs - 1
    print(  # noqa: T201
        f"{total.steps} steps in {total.runs} simulations (seeds {options.seed} to {last}), "
        f"{time.monotonic() - began:.0f} s; {len(total.findings)} findings"
    )
    for name, count in total.exceptions.most_common():
        print(f"  documented: {name}: {count}")  # noqa: T201
    for verdict in total.findings:
        print(f"  {verdict}")  # noqa: T201
    return 1 if total.findings else 0


if __name__ == "__main__":
    raise SystemExit(main())
