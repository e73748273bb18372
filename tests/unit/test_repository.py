"""Which way imports run between the top-level folders: each uses what docs/architecture.md puts below it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAY_IMPORT = {
    "airflow_provider_segmind": set(),
    "harness": {"airflow_provider_segmind"},
    "demo": {"airflow_provider_segmind", "harness"},
    "benchmarks": {"airflow_provider_segmind", "harness"},
    "example_dags": {"airflow_provider_segmind"},
}
FOLDERS = {*MAY_IMPORT, "tests"}
FILES = [path for folder in MAY_IMPORT for path in sorted((ROOT / folder).rglob("*.py"))]


def top_names(path: Path) -> Iterator[str]:
    """Yield the first part of each module that a file imports; relative imports stay in their folder."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module).partition(".")[0]


def test_every_folder_is_looked_at() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == MAY_IMPORT.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downwards(path: Path) -> None:
    here = path.relative_to(ROOT).parts[0]
    for there in set(top_names(path)) & (FOLDERS - {here}):
        assert there in MAY_IMPORT[here], f"{here} may not import {there} ({path})"
