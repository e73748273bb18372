"""What the documentation names is there."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_segmind.compat import Connection
from airflow_provider_segmind.hooks import form
from airflow_provider_segmind.hooks.addresses import GATEWAY_URL, PLATFORM_URL, STORAGE_URL
from airflow_provider_segmind.hooks.connection import EXTRA_KEYS
from airflow_provider_segmind.hooks.segmind import SegmindHook

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [
    *(README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "SECURITY.md"),
    *sorted((ROOT / "docs").rglob("*.md")),
]
FOLDERS = {"U": ROOT / "tests" / "unit", "I": ROOT / "tests" / "integration", "B": ROOT / "tests" / "browser"}
PUBLIC = runpy.run_path(str(ROOT / "docs" / "public_names.py"))
LONGEST_README = 900


def test_each_guarantee_has_the_tests_that_it_names() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    named = re.findall(r"`([UIB]) (test_\w+\.py)(?:::(\w+))?`", page)
    assert len(named) > 20
    for folder, file, function in named:
        text = (FOLDERS[folder] / file).read_text()
        assert f"def {function}" in text, f"{file}::{function}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target, anchor in links(page):
        file = page.parent / target if target else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), f"{target}#{anchor}"


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One, `two`: three!\n\n[a](#one-two-three) [b](other.md#x) [c](https://example.com/#x)\n")
    assert list(links(page)) == [("", "one-two-three"), ("other.md", "x")]
    assert anchors(page) == {"one-two-three"}


def test_the_site_has_every_page() -> None:
    listed = re.findall(r"^([\w/-]+)$", (ROOT / "docs" / "index.md").read_text(), re.MULTILINE)
    pages = {str(page.relative_to(ROOT / "docs").with_suffix("")) for page in (ROOT / "docs").rglob("*.md")}
    assert sorted(listed) == sorted(pages - {"index"})


def test_every_example_is_in_a_how_to() -> None:
    text = "".join(page.read_text() for page in (ROOT / "docs" / "howto").glob("*.md"))
    included = re.findall(r"\{literalinclude\} \.\./\.\./example_dags/(\w+)\.py", text)
    assert set(included) == {example.stem for example in (ROOT / "example_dags").glob("*.py")}


@pytest.mark.parametrize(("module", "name"), PUBLIC["public_names"](), ids=str)
def test_public_names_are_documented(module: str, name: str) -> None:
    problems: Callable[..., Iterator[str]] = PUBLIC["problems"]
    assert list(problems(module, name)) == []


def test_the_readme_is_short() -> None:
    assert len(README.read_text().split()) <= LONGEST_README


def test_the_three_connections_of_the_readme_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"```bash\n(.*?)```", README.read_text(), re.DOTALL)
    (block,) = (each for each in blocks if "AIRFLOW_CONN" in each)
    uri, document, command = (shlex.split(line) for line in block.splitlines())
    for export in (uri, document):
        name, _, value = export[1].partition("=")
        monkeypatch.setenv(name, value)
        transport = SegmindHook().get_conn()
        assert transport.connection.api_key == "SG_0123456789abcdef"
    added = dict(zip(command[4::2], command[5::2], strict=True))
    connection = Connection(conn_id="x", conn_type=added["--conn-type"], password=added["--conn-password"])
    assert (command[:4], connection.password) == (
        ["airflow", "connections", "add", "segmind_default"],
        json.loads(document[1].partition("=")[2])["password"],
    )


def test_the_connection_page_begins_with_three_lines_to_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "connection.md").read_text()
    (block, *_) = re.findall(r"```bash\n(.*?)```", page.partition("\n## ")[0], re.DOTALL)
    uri, document, command = (
        shlex.split(line.replace("SG_…", "SG_0123456789abcdef")) for line in block.splitlines()
    )
    for export in (uri, document):
        monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", export[1].partition("=")[2])
        connection = SegmindHook().get_conn().connection
        assert (connection.api_key, connection.requests_per_minute) == ("SG_0123456789abcdef", 60)
    assert command[:4] == ["airflow", "connections", "add", "segmind_default"]
    assert json.loads(command[-1]) == {"requests_per_minute": 60}


@pytest.mark.parametrize("page", [README, ROOT / "docs" / "connection.md"], ids=lambda page: page.name)
def test_the_default_addresses_are_stated(page: Path) -> None:
    for url in (GATEWAY_URL, PLATFORM_URL, STORAGE_URL):
        assert f"`{url}`" in page.read_text()


def test_the_form_has_every_documented_field_with_the_same_range() -> None:
    page = (ROOT / "docs" / "connection.md").read_text()
    (table,) = re.findall(r"^\| field \| \|.*?(?=\n\n)", page, re.DOTALL | re.MULTILINE)
    rows = [row.split("|")[1:3] for row in table.splitlines() if row.startswith("| extra ")]
    described = {name: text for names, text in rows for name in re.findall(r"`(\w+)`", names)}
    assert described.keys() == form.FIELDS.keys() == set(EXTRA_KEYS)
    for name, field in form.FIELDS.items():
        if "minimum" in field["schema"]:
            bounds = f"{field['schema']['minimum']:,g} to {field['schema']['maximum']:,g}"
            assert bounds in described[name], name
            assert bounds in field["description"], name


def links(page: Path) -> Iterator[tuple[str, str]]:
    """Yield the file and the heading of each link that does not lead to the web."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in target:
            file, _, anchor = target.partition("#")
            yield file, anchor


def anchors(page: Path) -> set[str]:
    """Return the names that GitHub and the site give to the headings of a page."""
    headings: list[Any] = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
