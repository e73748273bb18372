"""What ships: all that the package needs, and nothing that happens to be in its folders."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("hatchling", reason="the newest Airflow is tested with it")
pytest.importorskip("hatch_fancy_pypi_readme", reason="the newest Airflow is tested with it")

ROOT = Path(__file__).parents[2]
PACKAGE = "airflow_provider_segmind"
FOLDERS = (PACKAGE, "example_dags", "docs")
FILES = ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", ".gitignore")
STRAY = (
    *("key.pem", "api.secret", ".env", ".env.local", "airflow.sqlite", "airflow.db", "id_rsa", "credentials.json"),
    *("core.12345", "notes.txt", "clip.mp4", "dump.py.bak", "module.py~", ".module.py.swp", "connections.yaml"),
)
PARTS = (PACKAGE, f"{PACKAGE}/hooks", f"{PACKAGE}/emulator/clips", f"{PACKAGE}/.cache", "example_dags", "docs")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a wheel and an sdist, built where stray files are."""
    tree = tmp_path_factory.mktemp("tree")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in FILES:
        shutil.copy(ROOT / file, tree)
    for part in (*PARTS, "."):
        (tree / part).mkdir(exist_ok=True)
        for name in STRAY:
            (tree / part / name).write_text("SG_0123456789abcdef")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", "dist"], cwd=tree, check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    return tree / "dist"


def shipped(folder: str, *patterns: str) -> set[str]:
    found = {path for pattern in patterns for path in (ROOT / folder).rglob(pattern)}
    return {path.relative_to(ROOT).as_posix() for path in found}


CODE = shipped(PACKAGE, "*.py", "*.js", "py.typed", "placeholder.mp4")


def test_the_wheel_has_the_package_alone(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    metadata = {name for name in names if ".dist-info/" in name}
    assert {name.rpartition("dist-info/")[2] for name in metadata} == {
        *("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"),
    }
    assert names - metadata == CODE


def test_the_index_shows_the_readme_and_its_links_lead_to_the_repository(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith("/METADATA"))
        described = archive.read(name).decode().partition("\n\n")[2]
    links = re.findall(r"\]\(([^)]+)\)", described)
    assert len(links) == len(re.findall(r"\]\(", (ROOT / "README.md").read_text()))
    assert [link for link in links if not link.startswith("https://")] == []
    assert "https://github.com/segmind/airflow-provider-segmind/blob/main/docs/paid-once.md" in links


def test_the_sdist_has_examples_and_documentation_too(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    examples = {path.relative_to(ROOT).as_posix() for path in (ROOT / "example_dags").glob("*.py")}
    expected = CODE | examples | shipped("example_dags", "*.jpg") | shipped("docs", "*.md")
    assert names == expected | {*FILES, "PKG-INFO"}
