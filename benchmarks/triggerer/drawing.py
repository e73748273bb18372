"""The picture: CPU and lag of the event loop, by the number of jobs and the way to wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.triggerer.outcome import Outcome, find, sizes, work_per_job
from benchmarks.triggerer.plan import Kind

COLOURS = {Kind.SEGMIND: "#1b7f5c", Kind.HTTP: "#d98b2b", Kind.THREAD: "#b3473f", Kind.SLEEPING: "#9aa3ab"}
_WIDTH = 0.2
_MILLI = 1000.0

Figure = Callable[[Outcome], float | None]


def draw(outcomes: Sequence[Outcome], path: Path) -> Path:
    """Draw the picture and return where it is."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    _bars(left, outcomes, _work, "{:.0f}")
    left.set_title("CPU per finished job, without idling (ms)", fontsize=11)
    _bars(right, outcomes, _late, "{:.1f}")
    right.set_title("Event loop late, 99th percentile while waiting (ms)", fontsize=11)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=len(Kind), frameon=False)
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path


def _work(outcome: Outcome) -> float | None:
    work = work_per_job(outcome)
    return None if work is None else max(work, 0) * _MILLI


def _late(outcome: Outcome) -> float | None:
    return outcome.lag_steady.p99 if outcome.lag_steady else None


def _bars(axes: Axes, outcomes: Sequence[Outcome], figure: Figure, form: str) -> None:
    groups = sizes(outcomes)
    kinds = [kind for kind in Kind if any(find(outcomes, kind, size) for size in groups)]
    for number, kind in enumerate(kinds):
        found = [find(outcomes, kind, size) for size in groups]
        values = [(figure(each) if each else None) or 0 for each in found]
        places = [group + (number - (len(kinds) - 1) / 2) * _WIDTH for group in range(len(groups))]
        bars = axes.bar(places, values, _WIDTH * 0.92, color=COLOURS[kind], label=kind.value)
        labels = [form.format(value) if each else "" for value, each in zip(values, found, strict=True)]
        axes.bar_label(bars, labels, fontsize=8, padding=2)
    axes.set_xticks(range(len(groups)), [f"{size} jobs" for size in groups])
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(y=0.12)
