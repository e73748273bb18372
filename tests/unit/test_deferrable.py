"""Whether a task is deferred if its DAG does not say: what the deployment sets, and else yes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_segmind.compat import conf
from airflow_provider_segmind.decorators.segmind import segmind_task
from airflow_provider_segmind.deferrable import OPTION, SECTION
from airflow_provider_segmind.exceptions import InvalidParameterError
from airflow_provider_segmind.get_provider_info import get_provider_info
from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
from airflow_provider_segmind.operators.pixelflow import SegmindPixelFlowOperator
from airflow_provider_segmind.sensors.request import SegmindRequestSensor

OURS, AIRFLOWS = "AIRFLOW__SEGMIND__DEFERRABLE", "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE"


def describe() -> dict[str, Any]:
    """Return the parameters of a model."""
    return {}


TASKS: list[Callable[..., Any]] = [
    lambda **arguments: SegmindInferenceOperator(task_id="x", model="m", **arguments),
    lambda **arguments: KlingImageToVideoOperator(
        task_id="x", prompt="zoom", start_image_url="https://x.example/a.png", **arguments
    ),
    lambda **arguments: SegmindRequestSensor(task_id="x", request_id="r1", **arguments),
    lambda **arguments: SegmindPixelFlowOperator(task_id="x", workflow="w-v1", inputs={}, **arguments),
    lambda **arguments: segmind_task(describe, model="m", **arguments)().operator,  # type: ignore[attr-defined]
]


@pytest.fixture(params=TASKS, ids=["inference", "kling", "sensor", "pixelflow", "decorator"])
def task(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return request.param  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("set_by_deployment", "deferrable"),
    [
        ({}, True),
        ({AIRFLOWS: "False"}, False),
        ({AIRFLOWS: "True"}, True),
        ({OURS: "False"}, False),
        ({OURS: "True", AIRFLOWS: "False"}, True),
        ({OURS: "False", AIRFLOWS: "True"}, False),
        ({OURS: "", AIRFLOWS: "False"}, False),
    ],
)
def test_the_deployment_decides_if_the_dag_does_not(
    task: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, set_by_deployment: dict[str, str], deferrable: bool
) -> None:
    for name, value in set_by_deployment.items():
        monkeypatch.setenv(name, value)
    assert task().deferrable is deferrable
    assert task(deferrable=None).deferrable is deferrable
    assert task(deferrable=True).deferrable is True
    assert task(deferrable=False).deferrable is False


@pytest.mark.parametrize("value", ["False", "True", "", 0, 1, "{{ params.deferrable }}"])
def test_only_a_bool_says_so(task: Callable[..., Any], value: Any) -> None:
    with pytest.raises(InvalidParameterError, match=r"deferrable: must be True or False"):
        task(deferrable=value)


def test_an_option_that_is_neither_is_named(task: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OURS, "perhaps")
    with pytest.raises(Exception, match=r'"deferrable" key in "segmind" section'):
        task()


def test_airflow_knows_the_option() -> None:
    option = get_provider_info()["config"][SECTION]["options"][OPTION]
    assert option["default"] == conf.get(SECTION, OPTION, fallback="") == ""


def test_a_file_says_so_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written = tmp_path / "airflow.cfg"
    written.write_text("[operators]\ndefault_deferrable = False\n")
    changed = type(conf)()
    changed.read(written)
    monkeypatch.setattr("airflow_provider_segmind.compat.conf", changed, raising=False)
    assert TASKS[0]().deferrable is False
