"""Any number of rounds, and what is kept of them."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from benchmarks.report import Section, machine
from benchmarks.small_key.plot import draw
from benchmarks.small_key.race import Round, race
from benchmarks.small_key.settings import Settings
from benchmarks.small_key.telling import text
from demo.failure import DemoError
from demo.telling import say

NAME = "small-key"


def played(folder: Path, settings: Settings, rounds: int = 1) -> Section:
    """
    Run it so many times, and write the picture and the figures.

    :param folder: Gets both.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found: list[Round] = []
    for _ in range(rounds):
        found.append(_raced(settings))
        _keep(folder / f"{NAME}.json", found, settings)
    plot = folder / f"{NAME}.png"
    draw(plot, found[-1].outcomes, settings)
    return Section(f"{settings.tasks} tasks on a small key", text(found, settings), plot)


def _raced(settings: Settings) -> Round:
    """Run it once in a folder of its own, which stays only if something went wrong with Airflow."""
    root = Path(tempfile.mkdtemp(prefix=f"segmind-{NAME}-"))
    with ExitStack() as cleaning:
        cleaning.callback(shutil.rmtree, root, ignore_errors=True)
        try:
            return race(root / "airflow", settings)
        except DemoError:
            cleaning.pop_all()
            say(f"Airflow's logs are in {root}")
            raise


def _keep(path: Path, rounds: Sequence[Round], settings: Settings) -> None:
    kept = {
        "machine": machine(),
        "settings": asdict(settings),
        "rounds": [asdict(each) for each in rounds],
    }
    path.write_text(f"{json.dumps(kept)}\n")
