"""The picture: videos over time, and what they took."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.charts import PALE, plain, tidy, tidy_bars
from benchmarks.fleet.dags.contestants import FIELD, Contestant
from benchmarks.fleet.play import Outcome
from benchmarks.fleet.settings import Settings

COLOURS = {
    "redis_limit": "#4b3fbf",
    "redis": "#9a8cf0",
    "limit": "#2a9d8f",
    "plain": "#8fd3c8",
    "official": "#d1495b",
}

Drawn = Sequence[tuple[Contestant, Outcome]]


def draw(path: Path, outcomes: Sequence[Outcome], settings: Settings, clips: int) -> None:
    """Draw the last round with so many clips into a PNG file."""
    last = {each.contestant: each for each in outcomes if each.clips == clips}
    drawn = [(each, last[each.name]) for each in FIELD if each.name in last]
    figure, (over_time, of_money, of_answers) = plt.subplots(
        1, 3, figsize=(13, 4.2), width_ratios=(5, 3, 3), layout="constrained"
    )
    _draw_videos(over_time, drawn, settings)
    _draw_paid(of_money, drawn)
    _draw_refused(of_answers, drawn)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _draw_videos(axes: Axes, drawn: Drawn, settings: Settings) -> None:
    for contestant, outcome in drawn:
        moments = [0.0, *outcome.delivered, outcome.makespan]
        counts = [0, *range(1, len(outcome.delivered) + 1), len(outcome.delivered)]
        axes.step(
            moments,
            counts,
            where="post",
            color=COLOURS[contestant.name],
            linewidth=2,
            label=plain(contestant.title),
        )
    bound = drawn[0][1].bound
    axes.axvline(bound, color=PALE, linewidth=2, zorder=0, label="lower bound")
    axes.set_title(f"Clips delivered, {settings.rate} requests a minute", fontsize=11)
    axes.set(xlabel="seconds since the first request")
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    tidy(axes)


def _draw_paid(axes: Axes, drawn: Drawn) -> None:
    names = [plain(contestant.title).replace(", ", ",\n", 1) for contestant, _ in drawn]
    paid = axes.barh(names, [outcome.charged for _, outcome in drawn], color=PALE)
    axes.barh(names, [len(outcome.delivered) for _, outcome in drawn], color=_colours(drawn))
    labels = [f"{len(outcome.delivered)} of {outcome.charged}" for _, outcome in drawn]
    axes.bar_label(paid, labels, padding=3, fontsize=9)
    axes.set_title("Clips delivered of those paid", fontsize=11)
    axes.tick_params(axis="y", labelsize=8)
    tidy_bars(axes)


def _draw_refused(axes: Axes, drawn: Drawn) -> None:
    shares = [100 * outcome.limited_share for _, outcome in drawn]
    bars = axes.barh(range(len(drawn)), shares, color=_colours(drawn))
    axes.bar_label(bars, [f"{share:.1f} %" for share in shares], padding=3, fontsize=9)
    axes.set_title("Requests answered 429", fontsize=11)
    axes.set_yticks([])
    tidy_bars(axes)


def _colours(drawn: Drawn) -> list[str]:
    return [COLOURS[contestant.name] for contestant, _ in drawn]
