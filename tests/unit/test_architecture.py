"""Which way imports run: the house stays the one that docs/architecture.md shows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_provider_segmind

PACKAGE = "airflow_provider_segmind"
ROOT = Path(airflow_provider_segmind.__file__).parent

MAY_IMPORT = {
    "compat": set(),
    "exceptions": set(),
    "api": {"exceptions"},
    "arguments": {"exceptions"},
    "rendering": set(),
    "hooks": {"compat", "api", "exceptions"},
    "triggers": {"compat", "hooks", "api", "exceptions"},
    "delivery": {"compat", "api", "media", "exceptions"},
    "media": {"compat", "api", "exceptions"},
    "durability": {"compat", "hooks", "api", "delivery", "lineage", "media", "exceptions"},
    "lineage": {"compat", "api", "media", "exceptions"},
    "operators": {
        "compat",
        "durability",
        "media",
        "lineage",
        "triggers",
        "hooks",
        "api",
        "arguments",
        "rendering",
        "delivery",
        "exceptions",
    },
    "sensors": {
        "compat",
        "triggers",
        "lineage",
        "hooks",
        "api",
        "arguments",
        "rendering",
        "delivery",
        "exceptions",
    },
    "emulator": set(),
    "get_provider_info": {"hooks"},
}
MAY_NOT_USE = {
    "exceptions": {"airflow", "requests", "aiohttp", "urllib3"},
    "api": {"airflow", "requests", "aiohttp", "urllib3"},
    "arguments": {"airflow", "requests", "aiohttp", "urllib3"},
    "rendering": {"requests", "aiohttp", "urllib3"},
    "emulator": {"airflow", "requests", "urllib3"},
    "media": {"requests", "aiohttp", "urllib3"},
    "triggers": {"requests", "aiohttp", "urllib3"},
    "operators": {"requests", "aiohttp", "urllib3"},
    "sensors": {"requests", "aiohttp", "urllib3"},
}
FILES = sorted(ROOT.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            module = node.module or ""
            yield from ((f"{module}.{alias.name}" for alias in node.names) if module == PACKAGE else (module,))


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.parent != ROOT or path.name != "__init__.py"], ids=str
)
def test_imports_run_downwards(path: Path) -> None:
    here = room(path)
    for name in imports(path):
        top, _, rest = name.partition(".")
        if top == PACKAGE and rest != "__version__":
            there = rest.split(".")[0]
            assert there == here or there in MAY_IMPORT[here], f"{here} may not import {there} ({path})"
        assert top not in MAY_NOT_USE.get(here, set()), f"{here} may not use {top} ({path})"


def test_every_room_has_its_place_in_the_picture() -> None:
    rooms = {room(path) for path in FILES} - {"__init__"}
    assert rooms == MAY_IMPORT.keys()


@pytest.mark.parametrize("path", FILES, ids=str)
def test_airflow_is_imported_through_compat(path: Path) -> None:
    """Versions differ in where names live; one module knows, and asks common.compat first."""
    allowed = {"airflow.triggers.base", "airflow.providers.common.compat.openlineage.facet"}
    allowed |= {"airflow.providers.openlineage.extractors"}  # of a provider of its own, alike for all
    if room(path) == "compat":
        allowed |= {"airflow.providers.common.compat.sdk"}
    for name in imports(path):
        assert name != "airflow", path
        assert not name.startswith("airflow.") or name in allowed, f"{path} imports {name}"
