"""What is checked when a DAG is parsed, and what a template may still turn out to be."""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_segmind.api.answers import SyncAnswer
from airflow_provider_segmind.arguments import is_literal, optional_seconds, seconds
from airflow_provider_segmind.compat import DAG, AirflowFailException, BaseOperator, ObjectStoragePath
from airflow_provider_segmind.exceptions import InvalidParameterError
from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
from airflow_provider_segmind.operators.sync import SegmindSyncInferenceOperator
from airflow_provider_segmind.operators.sync_running import SyncRun
from airflow_provider_segmind.sensors.request import SegmindRequestSensor
from tests.raw_server import raw_server, trickle
from tests.task_instance import Ti

KLING: dict[str, Any] = {"task_id": "clip", "prompt": "zoom", "start_image_url": "https://x.example/a.png"}

FLAGS = ("deferrable", "wait_for_completion", "durable")


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
        ("timeout", "{{ params.later }}"),
        ("max_output_bytes", "{{ params.later }}"),
        *((name, value) for name in FLAGS for value in ("False", "True", "{{ params.later }}", 0, 1, "")),
        ("wait_for_completion", None),
        ("on_unresolved_submit", "{{ params.later }}"),
    ],
)
def test_a_wrong_literal_fails_when_the_dag_is_parsed(name: str, value: Any) -> None:
    with pytest.raises(InvalidParameterError, match=rf"^Invalid parameter: {name}"):
        KlingImageToVideoOperator(**{**KLING, name: value})


def test_how_a_task_waits_is_not_a_template() -> None:
    fields = {*SegmindInferenceOperator.template_fields, *SegmindSyncInferenceOperator.template_fields}
    assert fields == {
        *("model", "parameters", "upload", "name_output_after", "expected_duration", "segmind_conn_id"),
        *("input_conn_id", "output_path", "output_conn_id", "abandon_request"),
        *("expected_cost", "max_cost", "max_cost_per_run"),
    }


@pytest.mark.parametrize("name", [*KlingImageToVideoOperator.template_fields])
def test_what_runs_may_be_a_template(name: str) -> None:
    operator = KlingImageToVideoOperator(**{**KLING, name: "{{ params.later }}"})
    assert getattr(operator, name) == "{{ params.later }}"


def test_what_runs_may_be_the_output_of_another_task() -> None:
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


FILES = ["s3://bucket/a.png", "gs://bucket/a b.png", "file:///data/a", "/data/a.png", "/data/a b.png", "/a.jpeg"]
TEXTS = [
    *("/imagine a fox", "/imagine a fox.png", "/v1/models/x", "/shrug", "a.png", "//example.com/a.png", "/", ""),
    *("https://example.com/a.png", "data:image/png;base64,AAAA", "note://a fox", "look at s3://bucket/a.png"),
    "/zoom in\n/data/a.png",
]


@pytest.mark.parametrize("value", [*FILES, [FILES[0]], ["https://x.example/a.png", FILES[3]], Path("/data/a.png")])
def test_a_file_that_is_not_uploaded_fails_when_the_dag_is_parsed(value: Any) -> None:
    for operator in (SegmindInferenceOperator, SegmindSyncInferenceOperator):
        with pytest.raises(InvalidParameterError, match=r"^Invalid parameter: parameters\['image'\]: .* upload"):
            operator(task_id="x", model="m", parameters={"image": value})
    SegmindInferenceOperator(task_id="x", model="m", parameters={"image": value, "prompt": "a"}, upload=["image"])


@pytest.mark.parametrize("value", [*TEXTS, TEXTS, {"path": FILES[0]}, 5, None])
def test_text_is_no_file(value: Any) -> None:
    for operator in (SegmindInferenceOperator, SegmindSyncInferenceOperator):
        operator(task_id="x", model="m", parameters={"image": value})


def test_a_prompt_of_kling_is_text() -> None:
    KlingImageToVideoOperator(**{**KLING, "prompt": FILES[0]})


def test_a_file_from_a_template_fails_before_anything_is_sent() -> None:
    operator = SegmindInferenceOperator(task_id="x", model="m", parameters={"image": "{{ params.image }}"})
    operator.parameters = {"image": FILES[0]}
    with pytest.raises(InvalidParameterError, match="Add 'image' to upload, or give a URL"):
        operator.model_parameters()


@pytest.mark.parametrize(
    "arguments",
    [
        {"output_path": "s3://clips/a.mp4"},
        {"output_path": "/clips/a.mp4", "if_output_exists": "skip"},
        {"output_path": ObjectStoragePath("s3://clips/a.mp4", protocol="s3", conn_id="c")},
        {
            "output_path": "s3://clips/",
            "name_output_after": "start_image_url",
            "start_image_url": "https://x/a.png",
        },
    ],
    ids=str,
)
def test_a_mapped_task_with_one_output_fails_when_the_dag_is_parsed(arguments: dict[str, Any]) -> None:
    with (
        DAG("mapped", schedule=None),
        pytest.raises(InvalidParameterError, match=r"^Invalid parameter: output_path"),
    ):
        KlingImageToVideoOperator.partial(task_id="clip", **arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"output_path": "s3://clips/{{ ti.map_index }}.mp4"},
        {"output_path": "s3://clips/{{ task.prompt }}.mp4"},
        {"output_path": "s3://clips/"},
        {"output_path": None},
        {"output_path": "s3://clips/", "name_output_after": "start_image_url"},
        {},
    ],
    ids=str,
)
def test_a_mapped_task_may_have_an_output_for_each(arguments: dict[str, Any]) -> None:
    with DAG("mapped", schedule=None):
        mapped = KlingImageToVideoOperator.partial(task_id="clip", prompt="zoom", **arguments).expand(
            start_image_url=["https://x/a.png", "https://x/b.png"]
        )
    assert mapped.task_id == "clip"


@pytest.mark.parametrize("choice", ["skip", "error"])
def test_what_is_there_can_only_be_looked_for_by_a_name_that_is_known(choice: str) -> None:
    for path in ("s3://clips/", None):
        with pytest.raises(InvalidParameterError, match="if_output_exists: needs an output whose name is known"):
            KlingImageToVideoOperator(**KLING, output_path=path, if_output_exists=choice)
    KlingImageToVideoOperator(**KLING, output_path="s3://clips/a.mp4", if_output_exists=choice)
    with pytest.raises(InvalidParameterError, match="if_output_exists: must be one of"):
        KlingImageToVideoOperator(**KLING, if_output_exists="maybe")


def test_rendered_numbers() -> None:
    assert seconds("timeout", " 90 ") == 90
    assert optional_seconds("poll_interval", "None") is None
    assert optional_seconds("poll_interval", "2.5") == 2.5
    with pytest.raises(InvalidParameterError, match="timeout"):
        seconds("timeout", "nan")


def test_a_text_that_a_sync_run_was_paid_for_can_be_kept_by_every_database() -> None:
    operator = SegmindSyncInferenceOperator(task_id="x", model="m")
    answer = SyncAnswer("r1", "text/plain", b"two\nlines, a NUL\x00 and \xf0\x9f\xa6\x8a")
    assert SyncRun(operator, {})._output(answer) == "two\nlines, a NUL\ufffd and \U0001f98a"


def test_a_sync_run_ends_before_its_execution_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own error says more than Airflow's, which would stop the task in the middle of the call."""
    with raw_server(trickle(b"", b"")) as server:
        connection = {"conn_type": "segmind", "password": "SG_0123456789abcdef", "host": server.url}
        monkeypatch.setenv("AIRFLOW_CONN_NEVER_ANSWERS", json.dumps(connection))
        limit = timedelta(seconds=6)
        run = SegmindSyncInferenceOperator(
            task_id="x",
            model="m",
            segmind_conn_id="never_answers",
            execution_timeout=limit,
            check_parameters="off",
        )
        started = time.monotonic()
        with pytest.raises(AirflowFailException, match="whether Segmind accepted"):
            run.execute({"ti": Ti()})  # type: ignore[typeddict-item]
        assert time.monotonic() - started < 30, "a busy machine is slow, but a call may take minutes otherwise"
        assert len(server.requests) == 1
