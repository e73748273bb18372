"""The two Segminds of the demo: the emulator, and with LIVE=1 the real one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from demo.printing import detail, say
from harness import EmulatedSegmind, HarnessError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CLIP_SECONDS = 145
CLIP_PRICE = 0.91
EXAMPLE_DAGS = Path(__file__).parents[1] / "example_dags"

_IMAGES = EXAMPLE_DAGS / "images"
_TIME_SCALE = 0.16


class Segmind(Protocol):
    """Where the clip is made."""

    seconds: float
    """How long one step of the demo may take."""

    costs_money: bool
    pace: str
    images: Sequence[Path]
    """What clips are made of."""

    environment: Mapping[str, str]
    """What tells Airflow of it, if it is not emulated."""

    @property
    def emulator(self) -> EmulatedSegmind | None:
        """The emulator, if this is one."""

    def introduce(self) -> None:
        """Say what it costs, and how long it takes."""

    def conf(self, images: Path, clips: Path) -> Mapping[str, Any]:
        """Return the parameters of the DAG run, for two folders."""

    def describe_charges(self, paid: Mapping[str, Mapping[str, Any]]) -> str:
        """
        Say what was charged.

        :param paid: The summary of each request.
        """


class Emulated:
    """The emulator, which makes clips six times as fast, and charges nobody."""

    seconds = 240.0
    costs_money = False
    pace = f" (at its real speed {CLIP_SECONDS} s each)"
    images: Sequence[Path] = tuple(sorted(_IMAGES.glob("*.jpg")))

    def __init__(self) -> None:
        self.emulator = EmulatedSegmind(time_scale=_TIME_SCALE, latency=CLIP_SECONDS)
        self.environment: Mapping[str, str] = {}

    def introduce(self) -> None:
        """Say how fast clips are made here."""
        say(
            f"Segmind is the emulator: a clip takes {CLIP_SECONDS * _TIME_SCALE:.0f} s here, not {CLIP_SECONDS} s,"
            " and costs nothing"
        )

    def conf(self, images: Path, clips: Path) -> dict[str, Any]:
        """Say how fast clips are made here."""
        expected = CLIP_SECONDS * _TIME_SCALE
        return {"images": str(images), "clips": str(clips), "expected_duration": expected}

    def describe_charges(self, paid: Mapping[str, Mapping[str, Any]]) -> str:
        """
        Ask the emulator's ledger.

        :raises HarnessError: If there is not exactly one charge for each request.
        """
        charges = sorted(self.emulator.charged_ids())
        if charges != sorted(paid):
            raise HarnessError(
                f"the emulator should have charged {sorted(paid)} once each, but it charged {charges}"
            )
        total = self.emulator.ledger()["total"]
        return f"{len(charges)} charges, {total:.2f} USD of play money (the emulator's ledger)"


class Live:
    """Segmind itself, with the user's key and at the user's cost."""

    seconds = 1200.0
    costs_money = True
    pace = ""
    images: Sequence[Path] = (_IMAGES / "mug.jpg",)
    emulator = None

    def __init__(self, api_key: str) -> None:
        self.environment: Mapping[str, str] = {"SEGMIND_API_KEY": api_key}  # serves where there is no connection

    def introduce(self) -> None:
        """Say what it costs."""
        say(f"Using Segmind itself with your key: a clip costs about {CLIP_PRICE} USD and takes {CLIP_SECONDS} s.")
        detail("", "Until the DAG is triggered, Ctrl-C stops the demo before anything is charged.")

    def conf(self, images: Path, clips: Path) -> dict[str, Any]:
        """Leave all but the folders as it is in the DAG."""
        return {"images": str(images), "clips": str(clips)}

    def describe_charges(self, paid: Mapping[str, Mapping[str, Any]]) -> str:
        """Read the cost from the results."""
        figures = [
            f"{_figure(each['cost'])} USD, {_figure(each['remaining_credits'])} USD left" for each in paid.values()
        ]
        return f"{'; '.join(figures)} (Segmind's metrics)"


def _figure(value: float | None) -> str:
    """Write a figure that Segmind may not have stated."""
    return "?" if value is None else f"{value}"


def chosen_segmind() -> Segmind:
    """
    Return the one that the environment asks for.

    :raises HarnessError: If that is the real one, but there is no key.
    """
    if os.environ.get("LIVE") != "1":
        return Emulated()
    api_key = os.environ.get("SEGMIND_API_KEY", "").strip()
    if not api_key:
        raise HarnessError(
            f"LIVE=1 makes one clip with Segmind itself, for about {CLIP_PRICE} USD, and needs your key in "
            "SEGMIND_API_KEY. Without LIVE=1 the demo uses the emulator.",
            exit_code=2,
        )
    return Live(api_key)
