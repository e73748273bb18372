"""The provider can be installed beside what people have: an Airflow, and the packages of its release's day."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
OPTIONAL = [each for extra in EXTRAS.values() for each in extra]
NEEDED = [Requirement(each) for each in (*PROJECT["dependencies"], *OPTIONAL)]
SERIES = ("2.11", "3.0", "3.1", "3.2", "3.3")
DATED = [ROOT / "constraints" / f"dated-{series}.txt" for series in (*SERIES, "newest")]


def pinned(pins: Path) -> dict[str, Version]:
    lines = [Requirement(line) for line in pins.read_text().splitlines() if line and not line.startswith("#")]
    here = [each for each in lines if each.marker is None or each.marker.evaluate()]
    return {canonicalize_name(each.name): Version(str(each.specifier).removeprefix("==")) for each in here}


@pytest.mark.parametrize("series", SERIES)
def test_the_pins_of_a_day_are_of_its_airflow(series: str) -> None:
    there_was = pinned(ROOT / "constraints" / f"dated-{series}.txt")
    assert ".".join(map(str, there_was["apache-airflow"].release[:2])) == series


@pytest.mark.parametrize("needed", NEEDED, ids=str)
@pytest.mark.parametrize("pins", DATED, ids=lambda pins: pins.stem)
def test_no_floor_is_above_what_there_was(pins: Path, needed: Requirement) -> None:
    there_was = pinned(pins)[canonicalize_name(needed.name)]
    assert needed.specifier.contains(there_was, prereleases=True), (
        f"{needed} cannot be had with {pins.name}: lower the floor"
    )
