"""The files for GitHub and for contributors: they parse, and check what the Makefile checks."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FILES = [*sorted((ROOT / ".github").rglob("*.yml")), ROOT / ".pre-commit-config.yaml"]


def made(name: str) -> list[str]:
    """Return the words of a variable of the Makefile."""
    (value,) = re.findall(rf"^{name} :?\??= (.+)$", MAKEFILE, re.MULTILINE)
    return str(value).split()


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


NEWEST = re.findall(r"^AIRFLOW \?= (.+)$", MAKEFILE, re.MULTILINE)[0]
OLDEST_PYTHON = str(PROJECT["requires-python"]).removeprefix(">=")
PYTHONS = [OLDEST_PYTHON, *(each for each in made("PYTHONS") if each != OLDEST_PYTHON)]
CHECKS = read(ROOT / ".github" / "workflows" / "checks.yml")["jobs"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_it_can_be_read(file: Path) -> None:
    assert isinstance(read(file), dict)


def test_the_newest_airflow_is_tested_on_each_python() -> None:
    assert CHECKS["tests"]["strategy"]["matrix"] == {"python": PYTHONS}
    assert NEWEST in CHECKS["tests"]["name"]


def test_the_other_airflows_are_those_of_the_makefile_on_each_python() -> None:
    matrix = CHECKS["versions"]["strategy"]["matrix"]
    assert matrix["airflow"] == made("VERSIONS")
    assert matrix["python"] == PYTHONS
    assert matrix["exclude"] == [{"airflow": "2.11", "python": "3.13"}]


def test_the_dated_airflows_are_those_with_pins() -> None:
    pins = {path.stem.removeprefix("dated-") for path in (ROOT / "constraints").glob("dated-*.txt")}
    airflows = CHECKS["dated"]["strategy"]["matrix"]["airflow"]
    assert set(airflows) == pins == {*made("VERSIONS"), NEWEST, "newest"}


def test_the_classifiers_name_each_python() -> None:
    named = [each.rpartition(" ")[2] for each in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", each)]
    assert named == PYTHONS
    assert all(SpecifierSet(PROJECT["requires-python"]).contains(each) for each in named)


def test_everything_that_the_local_checks_make_is_made_there_too() -> None:
    local = set(re.findall(r"[\w-]+", " ".join(re.findall(r"make (.+)", (ROOT / ".ci" / "run").read_text()))))
    commands = " ".join(str(step.get("run", "")) for step in steps({"jobs": CHECKS}))
    for target in ("test", "test-interrupted", "test-crashes", "test-long", "test-lowest", "check", "docs"):
        assert target in local, target
        assert re.search(rf"make {target}(\s|$)", commands), target


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_makes_what_there_is(workflow: Path) -> None:
    for command in (str(step["run"]) for step in steps(read(workflow)) if "run" in step):
        if command.startswith("make "):
            rule = re.sub(r"\$\{\{.*?\}\}", "%", command.removeprefix("make "))
            assert re.search(rf"^{rule}:", MAKEFILE, re.MULTILINE), command


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_an_action_is_pinned_and_gets_no_more_than_it_needs(workflow: Path) -> None:
    document = read(workflow)
    assert document["permissions"] == {"contents": "read"}
    for action in (step["uses"] for step in steps(document) if "uses" in step):
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action), action
    permitted = {name: job["permissions"] for name, job in document["jobs"].items() if "permissions" in job}
    assert permitted in ({}, {"publish": {"id-token": "write"}})


def test_the_storages_are_tested_there_as_they_are_not_on_one_machine() -> None:
    commands = [str(step.get("run", "")) for step in steps({"jobs": CHECKS})]
    assert "make test-storages" in commands
    assert "test-storages" not in (ROOT / ".ci" / "run").read_text()


def test_pre_commit_runs_what_make_check_runs() -> None:
    hooks = [hook for each in read(ROOT / ".pre-commit-config.yaml")["repos"] for hook in each["hooks"]]
    entries = {" ".join(str(hook["entry"]).split()[:2]).removeprefix(".venv/bin/") for hook in hooks}
    assert entries == {"ruff format", "ruff check", "mypy", "check-jsonschema --builtin-schema"}


def test_the_package_says_where_its_repository_is() -> None:
    urls = PROJECT["urls"]
    assert urls.keys() == {"Homepage", "Documentation", "Changelog", "Source", "Issues"}
    for url in urls.values():
        assert url.startswith(urls["Source"])
        path = url.partition("/blob/main/")[2]
        assert (ROOT / path).exists(), url
