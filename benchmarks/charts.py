"""How the pictures of benchmarks look."""

from __future__ import annotations

from matplotlib.axes import Axes

PALE = "#d9d9d9"


def plain(title: str) -> str:
    """Return a title in Markdown as a picture has it."""
    return title.replace("`", "")


def tidy_bars(axes: Axes) -> None:
    """Put the first of some horizontal bars on top, and leave room for their labels."""
    axes.invert_yaxis()
    axes.margins(x=0.3)
    tidy(axes)


def tidy(axes: Axes) -> None:
    """Leave out the lines that say nothing."""
    axes.spines[["top", "right"]].set_visible(False)
