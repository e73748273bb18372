"""Values that another task made, and what a run is given, are never rendered as templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_segmind.emulator.running import RunningEmulator

pytestmark = pytest.mark.timeout(600)  # some thirty tasks, each of them a while on a slow machine

Run = Callable[..., dict[str, Any]]
SECRET = "hunter2-of-production"
PROMPTS = [
    "{{ conn.prod_db.password }}",
    "{% for _ in range(3) %}{{ conn.get('prod_db').password }}{% endfor %}",
    "{{ 'a' if '{' in task.prompt else conn.prod_db.password }}.png",
    "{# a comment #}kept",
]


def test_it_goes_to_segmind_as_it_is(
    emulator: RunningEmulator, run_dag: Run, monkeypatch: pytest.MonkeyPatch, said: Callable[[], str]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PROD_DB", f'{{"conn_type": "generic", "password": "{SECRET}"}}')
    tasks = run_dag("untrusted", prompts=PROMPTS, prefix="from-conf")
    assert {task.state for task in tasks.values()} == {"success"}
    sent = [charge["parameters"] for charge in emulator.ledger()["charges"]]
    prompts = [each["prompt"] for each in sent if "start_image_url" in each]
    assert sorted(prompts) == sorted(2 * PROMPTS)
    nested = [each["messages"][0]["content"] for each in sent if "messages" in each]
    assert sorted(nested) == sorted(4 * PROMPTS)
    rest = [each["prompt"] for each in sent if set(each) == {"prompt"}]
    assert sorted(rest) == sorted(["from-conf", "from-conf", PROMPTS[0]])
    assert SECRET not in str(sent)
    assert SECRET not in said()


def test_what_the_dag_says_beside_it_is_rendered(emulator: RunningEmulator, run_dag: Run) -> None:
    run_dag("untrusted", prompts=["zoom"], prefix="from-conf")
    images = {charge["parameters"].get("start_image_url") for charge in emulator.ledger()["charges"]}
    assert "https://example.com/a.png?from-conf" in images


@pytest.mark.parametrize(
    "prompt", ["2026", "1e5", "[1, 2]", "None", "'quoted'", "007", "{{ conn.prod_db.password }}"]
)
def test_native_rendering_leaves_a_text_as_it_is(emulator: RunningEmulator, run_dag: Run, prompt: str) -> None:
    tasks = run_dag("native", prompt=prompt)
    sent = [charge["parameters"] for charge in emulator.ledger()["charges"]]
    assert {task.state for task in tasks.values()} == {"success"}
    assert [each["prompt"] for each in sent] == [prompt, prompt]
    assert sorted(each["duration"] for each in sent) == [5, 10]


def test_outputs_of_a_mapped_task_are_a_list(emulator: RunningEmulator, run_dag: Run) -> None:
    tasks = run_dag("collected", names=["a", "{{ b }}"])
    assert tasks["nested"].state == "success"
    (charge,) = emulator.ledger()["charges"]
    assert charge["parameters"]["messages"] == ["a picture of a", "a picture of {{ b }}"]
