"""
Change what decides about money, one small thing at a time, and see whether the fast tests notice.

``python -m tests.mutation --count 250 --seed 1``, or with the names of mutants, those only.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mutmut.stats import status_by_exit_code

from tests.mutation.sample import Mutant, all_mutants, draw, results_of

KILLED = ("killed", "timeout")
ENOUGH = 0.95


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--count", type=int, default=250)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("names", nargs="*", help="mutants to run instead of a sample")
    options = parser.parse_args(arguments)
    mutants = all_mutants()
    left_out = Counter(each.words for each in mutants if each.words is not None)
    print(f"{len(mutants)} mutants; {left_out.total()} change only words, and are left out:", dict(left_out))  # noqa: T201
    wanted = [each for each in mutants if each.name in options.names] or draw(mutants, options.count, options.seed)
    began = time.monotonic()
    mutmut = Path(sys.executable).with_name("mutmut")
    command = ["nice", str(mutmut), "run", "--max-children", "1", *(each.name for each in wanted)]
    if subprocess.run(command, check=False).returncode:
        sys.exit(
            "mutmut does not say why. If a test fails without a mutant, pytest shows it: [tool.mutmut] lists them"
        )
    return report(wanted, time.monotonic() - began)


def report(mutants: Sequence[Mutant], seconds: float) -> int:
    status = {name: status_by_exit_code[code] for name, code in results_of(mutants).items()}
    by_module: dict[str, Counter[str]] = {}
    for each in mutants:
        by_module.setdefault(each.module, Counter())[status[each.name]] += 1
    for module, counts in sorted(by_module.items()):
        print(f"  {module:32} {counts.total():4}  {dict(counts)}")  # noqa: T201
    survivors = [each for each in mutants if status[each.name] not in KILLED]
    killed = 1 - len(survivors) / len(mutants)
    print(f"{len(mutants)} mutants in {seconds / 60:.0f} minutes, {killed:.1%} killed. The others:")  # noqa: T201
    for each in sorted(survivors, key=lambda each: each.name):
        print(f"  {each.name} ({status[each.name]})\n      {each.change}")  # noqa: T201
    return 0 if killed >= ENOUGH else 1


if __name__ == "__main__":
    raise SystemExit(main())
