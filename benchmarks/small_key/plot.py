"""The picture: videos over time, what was paid for them, and worker slots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.charts import PALE, plain, tidy, tidy_bars
from benchmarks.small_key.dags.contestants import Contestant
from benchmarks.small_key.outcome import Outcome
from benchmarks.small_key.settings import Settings

LOOKS = {
    "deferred": ("#4b3fbf", "-"),
    "deferred_untold": ("#9a8cf0", "--"),
    "worker": ("#2a9d8f", "-"),
    "official": ("#d1495b", "-"),
    "official_retries": ("#edae49", "--"),
}
"""Colour and line of each contestant."""


Drawn = Sequence[tuple[Contestant, Outcome]]


def draw(path: Path, outcomes: Sequence[Outcome], settings: Settings) -> None:
    """Draw a round into a PNG file."""
    drawn = list(zip(settings.contestants, outcomes, strict=True))
    figure, (over_time, of_money, of_slots) = plt.subplots(
        1, 3, figsize=(13, 4.2), width_ratios=(5, 3, 3), layout="constrained"
    )
    _videos(over_time, drawn, settings)
    _paid(of_money, drawn)
    _slots(of_slots, drawn)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _videos(axes: Axes, drawn: Drawn, settings: Settings) -> None:
    end = max((outcome.ended_at for _, outcome in drawn), default=0.0)
    for contestant, outcome in drawn:
        moments = [0.0, *(each.at for each in outcome.deliveries), end]
        counts = [0, *range(1, outcome.delivered + 1), outcome.delivered]
        colour, line = LOOKS[contestant.name]
        axes.step(moments, counts, line, where="post", color=colour, label=plain(contestant.title), linewidth=2)
    axes.set_title(f"Videos delivered, {settings.rate} requests a minute", fontsize=11)
    axes.set(xlabel="seconds since the start", yticks=_quarters(settings.tasks))
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    tidy(axes)


def _paid(axes: Axes, drawn: Drawn) -> None:
    names = [plain(contestant.title).replace(", ", ",\n") for contestant, _ in drawn]
    paid = axes.barh(names, [outcome.charged for _, outcome in drawn], color=PALE)
    axes.barh(names, [outcome.delivered for _, outcome in drawn], color=_colours(drawn))
    labels = [f"{outcome.delivered} of {outcome.charged}" for _, outcome in drawn]
    axes.bar_label(paid, labels, padding=3, fontsize=9)
    axes.set_title("Videos delivered of those paid", fontsize=11)
    axes.tick_params(axis="y", labelsize=8)
    tidy_bars(axes)


def _slots(axes: Axes, drawn: Drawn) -> None:
    held = [outcome.slot_seconds_per_video or 0.0 for _, outcome in drawn]
    bars = axes.barh(range(len(drawn)), held, color=_colours(drawn))
    labels = [f"{each:.1f} s" if each else "no video" for each in held]
    axes.bar_label(bars, labels, padding=3, fontsize=9)
    axes.set_title("Worker-slot seconds per video", fontsize=11)
    axes.set_yticks([])
    tidy_bars(axes)


def _quarters(tasks: int) -> list[int]:
    return list(range(0, tasks + 1, max(tasks // 4, 1)))


def _colours(drawn: Drawn) -> list[str]:
    return [LOOKS[contestant.name][0] for contestant, _ in drawn]
