"""
docs/parameters.md says what each form of the catalogue leads to: each cell is a comparison over HTTP.

``WRITE_PARAMETERS=1`` writes the table.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_segmind.emulator.models import Modality, Model, Parameter
from airflow_provider_segmind.emulator.running import RunningEmulator, running_emulator
from airflow_provider_segmind.emulator.worlds import CHOICES
from airflow_provider_segmind.exceptions import InvalidParameterError
from airflow_provider_segmind.hooks import catalogue
from airflow_provider_segmind.hooks.segmind import SegmindHook
from airflow_provider_segmind.operators.checking import compare_with_catalogue

PAGE = Path(__file__).parents[2] / "docs" / "parameters.md"
BEGIN = "<!-- tests/integration/test_parameter_page.py writes this table. -->\n\n"
END = "\n<!-- end of the table -->"
MODEL = "draw"
FITS = "\N{EN DASH}"

MODELS = (
    Model(
        MODEL,
        Modality.IMAGE,
        price=0.01,
        latency=1.0,
        parameters=(
            Parameter("prompt", "string", required=True),
            Parameter("duration", "integer", default=5, choices=(5, 10)),
            Parameter("samples", "integer", default=1, minimum=1, maximum=4),
            Parameter("tiled", "boolean", default=False),
        ),
    ),
)
"""What the emulator publishes in each of its forms."""

WITH_REFERENCES = {
    "type": "object",
    "required": ["prompt"],
    "properties": {
        "prompt": {"type": "string"},
        "duration": {"allOf": [{"$ref": "#/$defs/Duration"}], "default": 5},
        "samples": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 4}, {"type": "null"}], "default": 1},
        "tiled": {"$ref": "#/$defs/Tiled"},
    },
    "$defs": {"Duration": {"enum": [5, 10]}, "Tiled": {"type": "boolean"}},
}
DESCRIBED_IN_TEXTS = {
    "prompt": {"isRequired": "true", "default": "a fox"},
    "duration": {"default": "5", "options": [{"label": "short", "value": "5"}, {"value": "10"}]},
    "samples": {"default": "1", "min": "1", "max": "4"},
    "tiled": {"default": False},
}


@dataclass(frozen=True)
class Shape:
    """
    A form of the catalogue.

    :param title: What it is called on the page.
    :param world: The emulator's own form.
    :param entry: What it does not publish by itself: the parameters in the model's entry.
    """

    title: str
    world: dict[str, Any] = field(default_factory=dict)
    entry: dict[str, Any] | None = None


SHAPES = (
    Shape("JSON schema", {"catalogue_parameters": "parameters_schema"}),
    Shape("JSON schema as a text", {"catalogue_parameters": "schema_text"}),
    Shape("JSON schema with references", entry={"parameters_schema": WITH_REFERENCES}),
    Shape("`parameters` with `isRequired`, `min`, …", {"catalogue_parameters": "parameters"}),
    Shape("`parameters` with numbers as texts", entry={"parameters": DESCRIBED_IN_TEXTS}),
)
GOOD = {"prompt": "a fox", "duration": 5, "samples": 2, "tiled": True}
CASES: dict[str, dict[str, Any]] = {
    "all of them right": GOOD,
    "numbers as texts": {**GOOD, "duration": "10", "samples": "2"},
    "null": {**GOOD, "duration": None, "samples": None, "tiled": None},
    "only what is needed": {"prompt": "a fox"},
    "an unknown name": {**GOOD, "duraton": 5},
    "a missing name": {"duration": 5},
    "another type: a text for a number": {**GOOD, "samples": "many"},
    "another type: a number for a text": {**GOOD, "prompt": 7},
    "another type: a flag for a number": {**GOOD, "samples": True},
    "another type: a text for a flag": {**GOOD, "tiled": "yes"},
    "below `min`": {**GOOD, "samples": 0},
    "above `max`": {**GOOD, "samples": 5},
    "above `max`, as a text": {**GOOD, "samples": "5"},
    "none of the options": {**GOOD, "duration": 7},
    "none of the options, as a text": {**GOOD, "duration": "7"},
}


@pytest.fixture(scope="module")
def published() -> Iterator[RunningEmulator]:
    with running_emulator(models=MODELS) as running:
        yield running


@pytest.fixture(autouse=True)
def connection(published: RunningEmulator, monkeypatch: pytest.MonkeyPatch, nothing_learned: Path) -> None:
    """Lead the tasks to that emulator, and let nothing be remembered of another form."""
    monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", json.dumps(published.connection()))
    monkeypatch.setattr(catalogue, "_catalogues", {})
    monkeypatch.setattr(catalogue, "_shared_file", lambda platform: None)
    published.reset()


def publish(emulator: RunningEmulator, shape: Shape) -> None:
    """Let the next answer for the catalogue be of another form."""
    catalogue._catalogues.clear()
    emulator.reset()
    emulator.change_world(**shape.world)
    if shape.entry is not None:
        emulator.faults({"on": "catalogue", "json": {"models": [{"slug": MODEL, **shape.entry}]}})


def message(parameters: dict[str, Any], model: str = MODEL) -> str:
    """Return what ``check_parameters="error"`` says of parameters, as far as it is about them."""
    try:
        compare_with_catalogue("error", model, parameters, SegmindHook())
    except InvalidParameterError as error:
        said = str(error).removeprefix("Invalid parameter: ").partition(" Segmind's catalogue says so")[0]
        name, _, problem = said.partition(": ")
        return f"{name} {problem}".removesuffix(".")
    return FITS


def table(emulator: RunningEmulator) -> str:
    """Return the table. Forms that lead to the same messages share a column."""
    columns: dict[tuple[str, ...], list[str]] = {}
    for shape in SHAPES:
        publish(emulator, shape)
        columns.setdefault(tuple(map(message, CASES.values())), []).append(shape.title)
        assert emulator.requests()["endpoints"]["catalogue"] == 1
    lines = [["parameters", *("; ".join(titles) for titles in columns.values())], ["---"] * (len(columns) + 1)]
    for index, case in enumerate(CASES):
        lines.append([case, *(cells[index].replace("|", "\\|") for cells in columns)])
    lines.append(["any, of a catalogue that cannot be read", *[of_no_catalogue(emulator)] * len(columns)])
    lines.append(["any, of a model that it does not have", *[of_no_model(emulator)] * len(columns)])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def of_no_catalogue(emulator: RunningEmulator) -> str:
    publish(emulator, SHAPES[0])
    emulator.faults({"on": "catalogue", "body": "html"})
    return message(CASES["an unknown name"])


def of_no_model(emulator: RunningEmulator) -> str:
    publish(emulator, SHAPES[0])
    return message(CASES["an unknown name"], "no-such-model")


def test_the_table_of_the_page_is_what_the_check_says(published: RunningEmulator) -> None:
    before, _, rest = PAGE.read_text().partition(BEGIN)
    expected = f"{before}{BEGIN}{table(published)}{END}{rest.partition(END)[2]}"
    if os.environ.get("WRITE_PARAMETERS"):
        PAGE.write_text(expected)
    assert PAGE.read_text() == expected, "WRITE_PARAMETERS=1 writes the table"


def test_each_form_of_the_emulator_is_in_the_table() -> None:
    assert {each.world.get("catalogue_parameters") for each in SHAPES} >= {*CHOICES["catalogue_parameters"]}
