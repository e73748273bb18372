"""What is checked when a DAG is parsed, and what a template may still turn out to be."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, BaseOperator, ObjectStoragePath

from airflow_provider_segmind.api.answers import SyncAnswer
from airflow_provider_segmind.arguments import flag, is_literal, optional_seconds, seconds
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
        ("timeout", 1e12),
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
        (ObjectStoragePath("s3://bucket/a.png", protocol="s3", conn_id="c"), True),
        ({"a": [ObjectStoragePath("s3://bucket/{{ ds }}/a.png", protocol="s3", conn_id="c")]}, False),
    ],
)
def test_what_is_known_when_the_dag_is_parsed(value: Any, literal: bool) -> None:
    assert is_literal(value) is literal


@pytest.mark.parametrize("name", ["timeout", "poll_interval", "expected_duration"])
@pytest.mark.parametrize("value", [sys.maxsize, 1e300, "1e12", 10**400, -1, True, timedelta(seconds=1)])
def test_times_that_no_clock_can_reach_fail_before_anything_is_paid(name: str, value: Any) -> None:
    with pytest.raises(InvalidParameterError, match=name):
        SegmindInferenceOperator(task_id="x", model="m", **{name: value})


@pytest.mark.parametrize("value", [0.5, "0.25", 1e8, "900"])
def test_short_and_long_times_are_taken(value: Any) -> None:
    SegmindInferenceOperator(task_id="x", model="m", timeout=value)


@pytest.mark.parametrize("operator", [SegmindInferenceOperator, SegmindSyncInferenceOperator])
@pytest.mark.parametrize("kind", ["lists", "objects", "itself"])
def test_parameters_that_are_nested_too_deep_fail_before_anything_is_paid(operator: Any, kind: str) -> None:
    deep: Any = "x"
    for _ in range(600):
        deep = [deep] if kind == "lists" else {"a": deep}
    if kind == "itself":
        deep["a"] = deep
    with pytest.raises(InvalidParameterError, match="nested"):
        operator(task_id="x", model="m", parameters={"graph": deep})


def test_parameters_may_be_nested_as_a_workflow_is() -> None:
    deep: Any = "x"
    for _ in range(60):
        deep = {"a": [deep]}
    for operator in (SegmindInferenceOperator, SegmindSyncInferenceOperator):
        operator(task_id="x", model="m", parameters=deep)


def test_a_path_that_cannot_be_used_fails_when_the_dag_is_parsed() -> None:
    path = ObjectStoragePath("s3://bucket/a.png", protocol="s3", conn_id="c")
    with pytest.raises(InvalidParameterError, match=r"parameters\['image'\]"):
        SegmindInferenceOperator(task_id="x", model="m", parameters={"image": path})
    with pytest.raises(InvalidParameterError, match="there is no parameter 'mask'"):
        SegmindInferenceOperator(task_id="x", model="m", parameters={1: 2, "image": "a"}, upload=["mask"])
    with pytest.raises(InvalidParameterError, match="name_output_after: needs an output_path that is a folder"):
        KlingImageToVideoOperator(
            task_id="x", prompt="zoom", start_image_url=path, output_path=path, name_output_after="start_image_url"
        )


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


def test_a_text_that_a_sync_run_was_paid_for_can_be_kept_by_every_database() -> None:
    operator = SegmindSyncInferenceOperator(task_id="x", model="m")
    answer = SyncAnswer("r1", "text/plain", b"two\nlines, a NUL\x00 and \xf0\x9f\xa6\x8a")
    assert operator._output(answer) == "two\nlines, a NUL\ufffd and \U0001f98a"
