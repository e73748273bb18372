"""What the documentation names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = {"U": ROOT / "tests" / "unit", "I": ROOT / "tests" / "integration"}


def test_each_guarantee_has_the_tests_that_it_names() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    named = re.findall(r"`([UI]) (test_\w+\.py)(?:::(\w+))?`", page)
    assert len(named) > 20
    for folder, file, function in named:
        text = (FOLDERS[folder] / file).read_text()
        assert f"def {function}" in text, f"{file}::{function}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target
