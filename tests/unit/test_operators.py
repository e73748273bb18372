"""What is checked when a DAG is parsed, and what a template may still turn out to be."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_segmind.arguments import flag, is_literal, optional_seconds, seconds
from airflow_provider_segmind.compat import DAG, BaseOperator
from airflow_provider_segmind.exceptions import InvalidParameterError
from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
from airflow_provider_segmind.operators.sync import SegmindSyncInferenceOperator
from airflow_provider_segmind.sensors.request import SegmindRequestSensor

KLING: dict[str, Any] = {"task_id": "clip", "prompt": "zoom", "start_image_url": "https://x.example/a.png"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("duration", 7),
        ("start_image_url", "a.png"),
        ("end_image_url", "b/a.png"),
        ("prompt", " "),
        ("timeout", 0),
        ("timeout", "soon"),
        ("poll_interval", -1),
        ("deferrable", "perhaps"),
        ("wait_for_completion", "perhaps"),
    ],
)
def test_a_wrong_literal_fails_when_the_dag_is_parsed(name: str, value: Any) -> None:
    with pytest.raises(InvalidParameterError, match=name):
        KlingImageToVideoOperator(**{**KLING, name: value})


@pytest.mark.parametrize("name", [*KlingImageToVideoOperator.template_fields])
def test_every_argument_may_be_a_template(name: str) -> None:
    operator = KlingImageToVideoOperator(**{**KLING, name: "{{ params.later }}"})
    assert getattr(operator, name) == "{{ params.later }}"


def test_every_argument_may_be_the_output_of_another_task() -> None:
    with DAG("outputs", schedule=None):
        first = BaseOperator(task_id="first")
        clip = KlingImageToVideoOperator(task_id="clip", prompt="zoom", start_image_url=first.output)  # type: ignore[arg-type]
    assert clip.upstream_task_ids == {"first"}


def test_the_arguments_that_users_depend_on() -> None:
    operator = KlingImageToVideoOperator(**KLING)
    assert operator.segmind_conn_id == "segmind_default"
    assert operator.deferrable is True
    assert operator.wait_for_completion is True
    assert operator.timeout == 900
    assert operator.poll_interval is None
    assert operator.duration == 5
    assert operator.end_image_url is None


def test_kling_takes_no_parameters_beside_its_own() -> None:
    with pytest.raises(TypeError, match="parameters"):
        KlingImageToVideoOperator(**KLING, parameters={"seed": 1})


def test_a_model_that_is_no_slug_fails_when_the_dag_is_parsed() -> None:
    with pytest.raises(InvalidParameterError, match="model"):
        SegmindInferenceOperator(task_id="x", model="no slug")
    with pytest.raises(InvalidParameterError, match="model"):
        SegmindSyncInferenceOperator(task_id="x", model="no slug")


def test_parameters_that_json_cannot_say_fail_when_the_dag_is_parsed() -> None:
    with pytest.raises(InvalidParameterError, match="'when'"):
        SegmindInferenceOperator(task_id="x", model="m", parameters={"when": object})


def test_a_sensor_wants_an_id() -> None:
    with pytest.raises(InvalidParameterError, match="request_id"):
        SegmindRequestSensor(task_id="x", request_id="")
    assert SegmindRequestSensor(task_id="x", request_id="{{ ti.xcom_pull('submit') }}").timeout == 3600


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        ("a", True),
        (None, True),
        ({"a": ["b", 1]}, True),
        ("{{ x }}", False),
        ("{% if x %}", False),
        ({"a": ["{{ x }}"]}, False),
        (("{# x #}",), False),
    ],
)
def test_what_is_known_when_the_dag_is_parsed(value: Any, literal: bool) -> None:
    assert is_literal(value) is literal


def test_rendered_numbers_and_flags() -> None:
    assert seconds("timeout", " 90 ") == 90
    assert optional_seconds("poll_interval", "None") is None
    assert optional_seconds("poll_interval", "2.5") == 2.5
    assert [flag("deferrable", value) for value in (True, "True", "yes", "False", "", "0", False)] == [
        True,
        True,
        True,
        False,
        False,
        False,
        False,
    ]
    with pytest.raises(InvalidParameterError, match="timeout"):
        seconds("timeout", "nan")
