"""What a benchmark hands over, and the page that is made of it."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import psutil
from airflow import __version__ as airflow_version

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Section:
    """
    What came of one benchmark.

    :param title: Its heading.
    :param text: Markdown: what was done, the table, what it means.
    :param plot: A picture that it has drawn in this folder, if any.
    """

    title: str
    text: str
    plot: Path | None = None

    def markdown(self) -> str:
        """Return the section with its heading and its picture."""
        parts = [f"## {self.title}", self.text.strip()]
        if self.plot is not None:
            parts.append(f"![{self.title}]({self.plot.name})")
        return "\n\n".join(parts)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return the median of several runs, and from where to where they went."""
    middle, least, most = (f"{each:.{digits}f}" for each in (median(values), min(values), max(values)))
    return middle if least == most else f"{middle} ({least} to {most})"


def machine() -> str:
    """Return a line about where this runs."""
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB; {platform.system()} {platform.release()}; "
        f"Python {platform.python_version()}; Airflow {airflow_version}; {datetime.now(UTC):%Y-%m-%d}"
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
