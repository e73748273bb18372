"""The recipe of docs/testing.md works as pasted: in a process and an Airflow that know nothing of these tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
RECIPE, MARKED = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "testing.md").read_text(), re.DOTALL)
PROVOKED = re.findall(r"^\| `(\{.*?\})` \|", (ROOT / "docs" / "testing.md").read_text(), re.MULTILINE)
TOO_LONG = '{"on": "submit", "drop": "before", "count": 1}'
ENDS = {
    '{"on": "submit", "outcome": "failed"}': ("failed", 0, 1),
    '{"on": "submit", "outcome": "blocked"}': ("failed", 0, 1),
    '{"on": "submit", "status": 406, "cause": "credits"}': ("failed", 0, 1),
    '{"on": "submit", "status": 429, "count": 1}': ("success", 1, 2),
    '{"on": "submit", "drop": "after", "count": 1}': ("success", 1, 1),
    '{"on": "poll", "status": 503, "count": 2}': ("success", 1, 1),
    '{"on": "submit", "outcome": "stuck"}': ("failed", 1, 1),
    '{"on": "media", "status": 503, "count": 1}': ("success", 1, 1),
}
"""What each rule of the page leads to: the task's state, the charges and the submits."""

LONGEST_TEST = 80.0
"""Seconds. It is under ten where nothing else runs. Tasks that do not know the emulator's speed wait longer."""


def run_pytest(folder: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "SEGMIND", "PYTEST"))
    }
    environment = {**kept, "AIRFLOW_HOME": str(folder / "airflow"), **variables}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, "."]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=560, check=False
    )


def durations(report: Path) -> dict[str, float]:
    """Return the seconds that each test took, without its fixtures' share in a session."""
    return {case.attrib["name"]: float(case.attrib["time"]) for case in ET.parse(report).iter("testcase")}  # noqa: S314


def test_the_recipe_works_as_pasted(tmp_path: Path) -> None:
    (tmp_path / "test_clips.py").write_text(RECIPE)
    done = run_pytest(tmp_path, "--junitxml=report.xml", "-o", "junit_duration_report=call")
    assert done.returncode == 0, done.stdout + done.stderr
    took = durations(tmp_path / "report.xml")
    assert len(took) == RECIPE.count("def test_") == 4
    assert max(took.values()) < LONGEST_TEST, took


def test_a_dag_may_be_mapped_and_have_a_conf_and_the_marker_changes_the_emulator(tmp_path: Path) -> None:
    (tmp_path / "test_more.py").write_text(
        f"""
from airflow.providers.common.compat.sdk import DAG
from pendulum import datetime

from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
{MARKED.partition("@pytest")[0]}
with DAG("texts", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    SegmindInferenceOperator(
        task_id="one", model="mock-text", parameters={{"prompt": "{{{{ dag_run.conf['prompt'] }}}}"}}
    )
    SegmindInferenceOperator.partial(task_id="many", model="mock-text").expand(
        parameters=[{{"prompt": "a"}}, {{"prompt": "b"}}]
    )


@pytest.mark.segmind(latency=0.1, credits=7)
def test_it(segmind, run_dag):
    for prompt in ("first", "second"):
        run = run_dag(dag, conf={{"prompt": prompt}})
        assert {{name: task.state for name, task in run.tasks.items()}} == dict.fromkeys(
            ("one", "many[0]", "many[1]"), "success"
        )
        assert run["one"].xcoms["request_id"]
        assert run["one"].try_number == 1
    assert segmind.settings.credits == 7
    prompts = [charge["parameters"]["prompt"] for charge in segmind.ledger()["charges"]]
    assert sorted(prompts) == ["a", "a", "b", "b", "first", "second"]


def test_the_database_of_the_process_is_left_alone(run_dag):
    from airflow import settings

    assert "airflow-database" in str(settings.engine.url)


def test_and_given_back():
    from airflow import settings

    assert "airflow-database" not in str(settings.engine.url)
"""
    )
    done = run_pytest(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_what_the_page_provokes_ends_as_it_says(tmp_path: Path) -> None:
    assert set(PROVOKED) == {*ENDS, TOO_LONG}
    (tmp_path / "test_rules.py").write_text(
        f"""
import json

import pytest
from airflow.providers.common.compat.sdk import DAG
from pendulum import datetime

from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator


@pytest.mark.parametrize(("rule", "end"), {ENDS!r}.items())
def test_rule(rule, end, segmind, run_dag, tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW__SEGMIND__ALLOWED_LOCAL_PATHS", str(tmp_path))
    with DAG("clips", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        KlingImageToVideoOperator(
            task_id="make_clip", prompt="x", start_image_url="https://example.com/mug.jpg",
            output_path=f"{{tmp_path}}/", timeout=8 if "stuck" in rule else 60,
        )
    segmind.faults(json.loads(rule))
    task = run_dag(dag)["make_clip"]
    assert (task.state, segmind.ledger()["count"], segmind.requests()["endpoints"]["submit"]) == end
    assert len(list(tmp_path.glob("*.mp4"))) == (task.state == "success")
"""
    )
    done = run_pytest(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ENDS)} passed" in done.stdout
