"""What OpenLineage receives of a request, where its provider is installed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_segmind.api.answers import RequestReport
from airflow_provider_segmind.compat import AirflowException
from airflow_provider_segmind.decorators.segmind import segmind_task
from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.hooks.segmind import SegmindHook
from airflow_provider_segmind.lineage.delivered import Delivered
from airflow_provider_segmind.media.storing import StoredOutput
from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
from airflow_provider_segmind.operators.pixelflow import SegmindPixelFlowOperator
from airflow_provider_segmind.operators.sync import SegmindSyncInferenceOperator
from airflow_provider_segmind.sensors.request import SegmindRequestSensor
from tests.unit.test_paying_tasks import PNG, Task

pytest.importorskip("airflow.providers.openlineage", reason="one Airflow of each version is tested with it")

from airflow.providers.openlineage.extractors.base import DefaultExtractor

from airflow_provider_segmind.lineage.openlineage import FACET, dataset_name, lineage_of

KLING = "kling-o1-image-to-video"
WEB = "https://example.com/a.png"
CALLS: dict[str, Callable[[Any], Any]] = {
    "start": lambda operator: DefaultExtractor(operator).extract(),
    "end": lambda operator: DefaultExtractor(operator).extract_on_complete(None),
    "failure": lambda operator: DefaultExtractor(operator).extract_on_failure(None),
}
"""What OpenLineage's provider calls, and when."""


def lineage_at(moment: str, operator: Any) -> tuple[list[tuple[str, str]], list[str], Any]:
    """Return the inputs, the names of the outputs and the facet that OpenLineage gets of a task."""
    lineage = CALLS[moment](operator)
    inputs = [(each.namespace, each.name) for each in lineage.inputs]
    return inputs, [each.name for each in lineage.outputs], lineage.run_facets[FACET]


def rendered(operator: Any, **context: Any) -> Any:
    """Return a task as Airflow starts it."""
    operator.render_template_fields(context)
    return operator


def clip(**arguments: Any) -> Any:
    return KlingImageToVideoOperator(task_id="clip", **{"prompt": "zoom", "start_image_url": WEB, **arguments})


def decorated(returned: Any, **arguments: Any) -> Any:
    def describe() -> Any:
        if isinstance(returned, Exception):
            raise returned
        return returned

    made: Any = segmind_task(describe, **{"model": KLING, "deferrable": False, **arguments})
    return made.override(task_id="run")().operator


VIDEO = {"video": {"url": "https://cdn.segmind.com/out/a.mp4"}, "metrics": {"cost": 0.91, "total_time": 144}}


def lineage_for(body: dict[str, Any], images: list[str] | None = None, **more: Any) -> Any:
    delivered = Delivered("m", RequestReport("req-1", "COMPLETED", body), None, **more)
    return lineage_of("m", images or [], "req-1", delivered)


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("s3://bucket/in/a b?.png", ("s3://bucket", "in/a b?.png")),
        ("s3://my_conn@bucket/a.png", ("s3://bucket", "a.png")),
        ("gs://bucket/ü.png", ("gs://bucket", "ü.png")),
        ("file:///data/a.png", ("file", "/data/a.png")),
        ("/data/a#1.png", ("file", "/data/a#1.png")),
        ("https://user:pass@example.com/x/a.png?X-Amz-Signature=cafe#f", ("https://example.com", "x/a.png")),
        ("HTTPS://example.com/a.png?X-Amz-Signature=cafe", ("https://example.com", "a.png")),
        (
            "abfss://c@account.dfs.core.windows.net/a.png?sig=cafe",
            ("abfss://account.dfs.core.windows.net", "a.png"),
        ),
        ("/data/a://b.png", ("file", "/data/a://b.png")),
        ("https://example.com", ("https://example.com", "/")),
        ("https://[::1]:8443/a.png", ("https://[::1]:8443", "a.png")),
        ("s3://arn:aws:s3:eu-west-1:1:accesspoint/a.png", ("s3://arn:aws:s3:eu-west-1:1:accesspoint", "a.png")),
        ("https://user:pa/ss@example.com/a.png", None),
        ("https://user:pa?ss@example.com/a.png", None),
        ("https://user:pa#ss@example.com/a.png", None),
    ],
)
def test_a_file_is_named_as_openlineage_does_and_without_secrets(
    location: str, name: tuple[str, str] | None
) -> None:
    assert dataset_name(location) == name


@pytest.mark.parametrize(
    "body",
    [
        VIDEO,
        {"output": ["https://cdn.segmind.com/a.png", "https://cdn.segmind.com/b.png"]},
        {"output": "a poem"},
        {},
    ],
)
def test_what_is_not_stored_is_not_a_dataset_as_its_url_expires(body: dict[str, Any]) -> None:
    assert lineage_for(body).outputs == []


def test_what_is_stored_is_there_and_has_a_size() -> None:
    stored = [StoredOutput(f"s3://clips/{name}.mp4", 7, "cafe", "video/mp4") for name in ("a", "b")]
    outputs = lineage_for(VIDEO, stored=stored).outputs
    assert [each.name for each in outputs] == ["a.mp4", "b.mp4"]
    assert outputs[0].outputFacets["outputStatistics"].size == 7


def test_an_image_that_is_given_twice_is_one_input() -> None:
    inputs = lineage_for(VIDEO, images=["/a.png", "/b.png", "/a.png"]).inputs
    assert [each.name for each in inputs] == ["/a.png", "/b.png"]


def test_text_is_not_a_file_and_what_is_not_known_is_none() -> None:
    lineage = lineage_for({"output": "a poem", "metrics": {"cost": "much"}})
    facet = lineage.run_facets[FACET]
    assert lineage.outputs == []
    assert (facet.requestId, facet.cost, facet.queueTime) == ("req-1", None, None)


def test_a_run_that_has_come_to_no_request_has_its_images() -> None:
    lineage = lineage_of("m", ["/a.png"], None, None)
    assert ([each.name for each in lineage.inputs], lineage.outputs) == (["/a.png"], [])
    assert lineage.run_facets[FACET].requestId is None


def test_a_sensor_knows_its_request_and_not_the_model() -> None:
    delivered = Delivered(None, RequestReport("req-1", "COMPLETED", VIDEO), None)
    lineage = lineage_of(None, [], "req-1", delivered)
    facet = lineage.run_facets[FACET]
    assert (facet.model, facet.requestId, facet.cost, lineage.outputs) == (None, "req-1", 0.91, [])


# What the tasks say, and when.


def test_a_start_has_the_model_and_the_images_and_an_end_the_same() -> None:
    operator = rendered(clip(start_image_url="{{ name }}", end_image_url=WEB), name="/images/a.png")
    images = [("file", "/images/a.png"), ("https://example.com", "a.png")]
    for moment in CALLS:
        inputs, outputs, facet = lineage_at(moment, operator)
        assert (inputs, outputs, facet.model, facet.requestId) == (images, [], KLING, None)


@pytest.mark.parametrize(
    "image",
    [
        "s3://products/in/a.png",
        "S3://products/in/a.png",
        "s3://products/in//a b#1.png",
        "file:///images/a.png",
        Path("/images/a.png"),
        f" {WEB}\n",
        f"{WEB}?X-Amz-Signature=cafe",
    ],
    ids=repr,
)
def test_an_image_has_one_name_from_start_to_end_however_it_is_given(image: Any) -> None:
    by_model = {"model": "any-model", "parameters": {"image": [image]}, "upload": ["image"]}
    any_model = rendered(SegmindInferenceOperator(task_id="any", **by_model))
    ((namespace, name),), _, _ = lineage_at("start", any_model)
    assert (namespace.lower(), name.endswith(".png")) == (namespace, True)
    for operator in (any_model, rendered(clip(start_image_url=image))):
        for moment in CALLS:
            assert lineage_at(moment, operator)[0] == [(namespace, name)]


def test_a_workflow_names_its_images_and_files(emulator: RunningEmulator, tmp_path: Path) -> None:
    image, output = tmp_path / "a.png", tmp_path / "b.mp4"
    image.write_bytes(PNG)
    operator = rendered(
        SegmindPixelFlowOperator(
            task_id="run",
            workflow="66cec9a38aeef98f887211f1-v1",
            inputs={"picture": image, "steps": 3},
            upload=["picture"],
            output_path=str(output),
            deferrable=False,
        )
    )
    inputs, outputs, facet = lineage_at("start", operator)
    assert (inputs, outputs, facet.model) == ([("file", str(image))], [], "66cec9a38aeef98f887211f1-v1")
    operator.execute(Task().context)
    inputs, outputs, facet = lineage_at("end", operator)
    assert (inputs, outputs, facet.model) == ([("file", str(image))], [str(output)], "66cec9a38aeef98f887211f1-v1")
    (charge,) = emulator.ledger()["charges"]
    assert (facet.requestId, facet.cost) == (charge["request_id"], charge["amount"])


def test_a_decorated_task_names_its_images_as_soon_as_its_function_has(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    image = tmp_path / "a.png"
    image.write_bytes(PNG)
    operator = rendered(decorated({"prompt": "zoom", "start_image_url": str(image)}, expected_duration=0.3))
    inputs, outputs, facet = lineage_at("start", operator)
    assert (inputs, outputs, facet.model) == ([], [], KLING)
    operator.execute(Task().context)
    inputs, outputs, facet = lineage_at("end", operator)
    assert (inputs, outputs, facet.model) == ([("file", str(image))], [], KLING)
    assert facet.requestId == emulator.ledger()["charges"][0]["request_id"]


def test_a_decorated_function_that_fails_leaves_the_model() -> None:
    operator = rendered(decorated(RuntimeError("the table is gone")))
    with pytest.raises(RuntimeError):
        operator.execute(Task().context)
    inputs, outputs, facet = lineage_at("failure", operator)
    assert (inputs, outputs, facet.model, facet.requestId) == ([], [], KLING, None)


def test_a_failed_task_names_its_request_and_no_file_that_is_not_there(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    emulator.faults({"on": "media", "body": "html"})
    operator = rendered(clip(output_path=str(tmp_path / "a.mp4"), deferrable=False, expected_duration=0.3))
    with pytest.raises(AirflowException):
        operator.execute(Task().context)
    inputs, outputs, facet = lineage_at("failure", operator)
    assert (inputs, outputs) == ([("https://example.com", "a.png")], [])
    assert facet.requestId == emulator.ledger()["charges"][0]["request_id"]


def test_the_blocking_call_names_its_model_at_the_start_and_its_request_at_the_end(
    emulator: RunningEmulator,
) -> None:
    operator: Any = SegmindSyncInferenceOperator(task_id="run", model="fast-text-to-image", timeout=20)
    operator.parameters = {"prompt": "a fox"}
    inputs, outputs, facet = lineage_at("start", rendered(operator))
    assert (inputs, outputs, facet.model, facet.requestId) == ([], [], "fast-text-to-image", None)
    operator.execute(Task().context)
    assert lineage_at("end", operator)[2].requestId == emulator.ledger()["charges"][0]["request_id"]


def test_a_sensor_knows_its_request_at_the_start(emulator: RunningEmulator) -> None:
    request_id = SegmindHook().submit("fast-text-to-image", {"prompt": "a fox"}).request_id
    arguments: dict[str, Any] = {"deferrable": False, "poke_interval": 0.1}
    sensor = rendered(SegmindRequestSensor(task_id="wait", request_id="{{ it }}", **arguments), it=request_id)
    asked = emulator.requests()["total"]
    inputs, outputs, facet = lineage_at("start", sensor)
    assert (inputs, outputs, facet.model, facet.requestId, facet.cost) == ([], [], None, request_id, None)
    assert emulator.requests()["total"] == asked
    sensor.execute(Task().context)
    assert lineage_at("end", sensor)[2].cost == emulator.ledger()["charges"][0]["amount"]


@pytest.mark.parametrize("moment", CALLS)
@pytest.mark.parametrize(
    "value", [None, "", 5, b"x", [WEB, {"a": object()}], object(), "{{ conn.x.password }}", "a\0b"]
)
def test_whatever_a_template_has_rendered_to_does_no_harm(moment: str, value: Any) -> None:
    any_model: Any = SegmindInferenceOperator(task_id="any", model="m", parameters={"a": WEB}, upload=["a"])
    sync: Any = SegmindSyncInferenceOperator(task_id="sync", model="m")
    sensor: Any = SegmindRequestSensor(task_id="wait", request_id="req-1")
    flow: Any = SegmindPixelFlowOperator(task_id="flow", workflow="w")
    for operator in (rendered(clip()), rendered(decorated({})), *map(rendered, (any_model, sync, sensor, flow))):
        for name in ("model", "parameters", "upload", "start_image_url", "request_id", "workflow", "inputs"):
            if hasattr(operator, name):
                setattr(operator, name, value)
        inputs, outputs, facet = lineage_at(moment, operator)
        assert (inputs, outputs, facet.model, facet.requestId) == ([], [], None, None)


def test_a_template_that_raises_leaves_no_name_that_is_half_a_template() -> None:
    operator = clip(start_image_url="https://example.com/{{ name }}.png", prompt="{{ nothing.there }}")
    with pytest.raises(Exception, match="nothing"):
        operator.render_template_fields({"name": "a"})
    assert lineage_at("failure", operator)[0] == []


@pytest.mark.parametrize("moment", CALLS)
def test_logins_and_signatures_stay_here(moment: str) -> None:
    images = ["https://me:hunter2@example.com/a.png?sig=hunter2#hunter2", "https://me:hunter2/3@example.com/"]
    operator = rendered(clip(start_image_url=images[0], end_image_url=images[1], prompt="hunter2"))
    lineage = CALLS[moment](operator)
    assert [each.name for each in lineage.inputs] == ["a.png"]
    assert "hunter2" not in json.dumps(lineage, default=lambda each: getattr(each, "__dict__", None) or str(each))
