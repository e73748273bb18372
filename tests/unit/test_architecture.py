"""Which way imports run: the house stays the one that docs/architecture.md shows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import airflow_provider_segmind

PACKAGE = "airflow_provider_segmind"
ROOT = Path(airflow_provider_segmind.__file__).parent
PICTURE = Path(__file__).parents[2] / "docs" / "architecture.md"
FILES = sorted(ROOT.rglob("*.py"))
EVERYBODY_MAY_IMPORT = {"compat", "exceptions"}
MAY_NOT_USE = {
    "exceptions": {"airflow", "requests", "aiohttp", "urllib3"},
    "api": {"airflow", "requests", "aiohttp", "urllib3"},
    "arguments": {"airflow", "requests", "aiohttp", "urllib3"},
    "rendering": {"requests", "aiohttp", "urllib3"},
    "emulator": {"airflow", "requests", "urllib3"},
    "contract": {"airflow", "aiohttp", "urllib3"},
    "testing": {"airflow", "requests", "aiohttp", "urllib3"},
    "media": {"requests", "aiohttp", "urllib3"},
    "triggers": {"requests", "aiohttp", "urllib3"},
    "decorators": {"requests", "aiohttp", "urllib3"},
    "operators": {"requests", "aiohttp", "urllib3"},
    "sensors": {"requests", "aiohttp", "urllib3"},
}


def imports(path: Path) -> Iterator[str]:
    """Yield what a file imports anywhere: also within functions, and for type checkers only."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            where = node.module or ""
            parts = (f"{where}.{alias.name}" for alias in node.names)
            yield from (part if module_file(part) else where for part in parts)


@cache
def module_file(name: str) -> Path | None:
    """Return the file of a module of this package; None if there is none of that name."""
    path = ROOT.parent.joinpath(*name.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file in FILES), None)


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room(name: str) -> str:
    return name.partition(".")[0]


@cache
def module_imports() -> dict[str, set[str]]:
    """Return the modules of this package that each of them imports."""
    graph: dict[str, set[str]] = {}
    for path in FILES:
        found = filter(None, map(module_file, imports(path)))
        graph[module(path)] = {module(each) for each in found if each not in (path, ROOT / "__init__.py")}
    return graph


@cache
def room_imports() -> dict[str, set[str]]:
    """Return the rooms that each room imports, without those that everybody may."""
    rooms: dict[str, set[str]] = {}
    for name, imported in module_imports().items():
        if name != "__init__":
            others = {room(each) for each in imported} - {room(name)} - EVERYBODY_MAY_IMPORT
            rooms.setdefault(room(name), set()).update(others)
    return {name: others for name, others in rooms.items() if name not in EVERYBODY_MAY_IMPORT}


@cache
def picture() -> dict[str, set[str]]:
    """Return the arrows of docs/architecture.md by the room that they start from."""
    diagram = PICTURE.read_text().partition("```mermaid")[2].partition("```")[0]
    rooms: dict[str, str] = {}
    arrows: list[tuple[str, str]] = []
    for line in diagram.splitlines():
        for node, label in re.findall(r'(\w+)\["([^"<]+)', line):
            rooms[node] = label.removesuffix("/").removesuffix(".py")
        if arrow := re.fullmatch(r"\s*(\w+).* --> (\w+).*", line):
            arrows.append((arrow[1], arrow[2]))
    shown: dict[str, set[str]] = {rooms[node]: set() for node in rooms}
    for start_node, end_node in arrows:
        shown[rooms[start_node]].add(rooms[end_node])
    return {name: ends - EVERYBODY_MAY_IMPORT for name, ends in shown.items() if name not in EVERYBODY_MAY_IMPORT}


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def test_every_package_is_in_the_diagram() -> None:
    assert picture().keys() - {"the official client"} == room_imports().keys()


@pytest.mark.parametrize("name", room_imports())
def test_imports_run_along_the_arrows_of_the_picture(name: str) -> None:
    assert room_imports()[name] <= reachable(picture(), name)


@pytest.mark.parametrize("name", room_imports())
def test_every_arrow_of_the_picture_is_an_import(name: str) -> None:
    assert picture()[name] <= room_imports()[name]


def test_no_module_imports_itself_by_way_of_others() -> None:
    """An import for type checkers counts, too: modules of which each needs the other are one module."""
    graph = {name: set(imported) for name, imported in module_imports().items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@pytest.mark.parametrize("path", FILES, ids=module)
def test_rooms_leave_libraries_to_others(path: Path) -> None:
    used = {name.partition(".")[0] for name in imports(path)}
    assert not used & MAY_NOT_USE.get(room(module(path)), set())


@pytest.mark.parametrize("path", FILES, ids=module)
def test_airflow_is_imported_through_compat(path: Path) -> None:
    """Versions differ in where names live; one module knows, and asks common.compat first."""
    allowed = {"airflow.triggers.base", "airflow.providers.common.compat.openlineage.facet"}
    allowed |= {"airflow.providers.openlineage.extractors"}  # of a separate provider, alike on all versions
    if module(path) == "compat":
        allowed |= {"airflow.providers.common.compat.sdk"}
    for name in imports(path):
        assert name != "airflow", path
        assert not name.startswith("airflow.") or name in allowed, f"{path} imports {name}"
