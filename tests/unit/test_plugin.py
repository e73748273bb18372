"""What the pytest plugin costs where nothing uses it, and what it says without Airflow."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLUGIN = "airflow_provider_segmind.testing.plugin"
HIDE_AIRFLOW = """
import sys
from importlib.abc import MetaPathFinder


class Hidden(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == "airflow":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Hidden())
"""


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    return done.stdout


def test_pytest_finds_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"segmind": PLUGIN}


def test_it_loads_nothing_that_takes_time() -> None:
    code = f"import sys, pytest; before = set(sys.modules); import {PLUGIN}; print(*(set(sys.modules) - before))"
    new = set(run_python(code).split())
    assert {each for each in new if each.startswith("airflow_provider_segmind")} == {
        "airflow_provider_segmind",
        "airflow_provider_segmind.testing",
        PLUGIN,
    }
    assert not {each.partition(".")[0] for each in new} & {"airflow", "aiohttp", "requests", "sqlalchemy"}


def test_without_airflow_a_fixture_says_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(HIDE_AIRFLOW)
    (tmp_path / "test_it.py").write_text(
        "def test_one(segmind): pass\n\n\ndef test_two(run_dag): pass\n\n\ndef test_three(): pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *_plugin(), str(tmp_path)],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "1 passed, 2 errors" in done.stdout, done.stdout
    assert done.stdout.count("need Apache Airflow in the environment that runs pytest") >= 2
    assert "Traceback" not in done.stdout


def _plugin() -> tuple[str, ...]:
    """Return the option that loads the plugin where the installation does not list it yet."""
    listed = any(each.value == PLUGIN for each in entry_points(group="pytest11"))
    return () if listed else ("-p", PLUGIN)
