"""docs/errors.md says what users see."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_errors_is_what_happens() -> None:
    page = runpy.run_path(str(DOCS / "error_table.py"))["page"]()
    assert (DOCS / "errors.md").read_text() == page, "run: .venv/bin/python docs/error_table.py"
