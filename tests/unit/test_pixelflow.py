"""Runs of workflows: what is sent and returned, and that nothing is submitted twice. The ledger is the judge."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_segmind.api.answers import RequestReport
from airflow_provider_segmind.api.output import model_output, output_text, output_urls
from airflow_provider_segmind.compat import AirflowFailException, TaskDeferred
from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.exceptions import (
    ContentBlockedError,
    InvalidParameterError,
    RequestFailedError,
    SubmitUnresolvedError,
)
from airflow_provider_segmind.operators.pixelflow import SegmindPixelFlowOperator
from airflow_provider_segmind.sensors.request import SegmindRequestSensor
from tests.unit.test_paying_tasks import Task, event_of, submits

WORKFLOW = "66cec9a38aeef98f887211f1-v1"
INPUTS = {"input_image": "https://images.example.com/mug.png", "steps": 3}
EMPTY = {"data": []}
NO_ROWS = ({"on": "history", "json": EMPTY}, {"on": "generations", "json": EMPTY})
LOST = {
    "answer lost": {"on": "submit", "count": 1, "drop": "after"},
    "504, accepted": {"on": "submit", "count": 1, "status": 504, "accepted": True},
    "500 of Segmind, accepted": {"on": "submit", "count": 1, "status": 500, "accepted": True},
    "503 of Segmind, accepted": {"on": "submit", "count": 1, "status": 503, "accepted": True},
    "an answer without an id": {"on": "submit", "count": 1, "missing_request_id": True},
}
UNANSWERED = {
    **LOST,
    "never arrived": {"on": "submit", "count": 1, "drop": "before"},
    "500 of Segmind": {"on": "submit", "count": 1, "status": 500},
}


class WorkflowTask(Task):
    """A task instance that runs a workflow, from attempt to attempt."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**{"workflow": WORKFLOW, "inputs": INPUTS, **arguments})
        del self.arguments["model"], self.arguments["parameters"]

    def new_operator(self, **changed: Any) -> Any:
        self.operator = SegmindPixelFlowOperator(task_id="run", **{**self.arguments, **changed})
        return self.operator


@pytest.fixture(autouse=True)
def _store_that_survives_a_clear(short_search: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_segmind.durability.backends.does_clear_forget", lambda: False)


def paths(emulator: RunningEmulator) -> list[str]:
    return [each["path"] for each in emulator.requests()["log"] if each["method"] == "POST"]


@pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "blocking"])
def test_a_run_returns_its_outputs_by_name(emulator: RunningEmulator, deferrable: bool) -> None:
    task = WorkflowTask(expected_duration=60 if deferrable else 0.3)
    if deferrable:
        deferral = task.deferral()
        outputs = task.resume(deferral, event_of(deferral))
    else:
        outputs = task.attempt()
    (charge,) = emulator.ledger()["charges"]
    assert outputs["output"] == f"Emulated run of {WORKFLOW}"
    assert charge["request_id"] in outputs["image"]
    assert (charge["model"], charge["parameters"]) == (WORKFLOW, INPUTS)
    assert paths(emulator) == [f"/workflows/v2/{WORKFLOW}"]
    summary = task.xcoms["summary"]
    assert (summary["model"], summary["cost"]) == (WORKFLOW, charge["amount"])
    assert [file["url"] for file in summary["files"]] == [outputs["image"]]


def test_the_files_among_the_outputs_are_stored(emulator: RunningEmulator, tmp_path: Path) -> None:
    WorkflowTask(output_path=f"{tmp_path}/").attempt()
    (file,) = [each for each in tmp_path.iterdir() if each.is_file()]
    assert file.read_bytes().startswith(b"\x89PNG")


def test_a_sensor_reads_the_outputs_as_the_operator_does(emulator: RunningEmulator) -> None:
    task = WorkflowTask(wait_for_completion=False)
    request_id = task.attempt()
    sensor = SegmindRequestSensor(task_id="wait", request_id=request_id, deferrable=False, poke_interval=0.1)
    assert sensor.execute(task.context)["output"] == f"Emulated run of {WORKFLOW}"


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
def test_a_run_that_the_history_shows_is_found(emulator: RunningEmulator, fault: dict[str, Any]) -> None:
    emulator.faults(fault)
    assert WorkflowTask().attempt()["output"] == f"Emulated run of {WORKFLOW}"
    assert emulator.ledger()["submits"] == submits(emulator) == 1


@pytest.mark.parametrize("dies", [False, True], ids=["", "the first attempt dies"])
@pytest.mark.parametrize("fault", UNANSWERED.values(), ids=UNANSWERED)
def test_without_a_history_nothing_is_submitted_again(
    emulator: RunningEmulator, fault: dict[str, Any], dies: bool
) -> None:
    emulator.faults(fault, *NO_ROWS)
    task = WorkflowTask()
    if dies:
        with pytest.raises(TaskDeferred):
            task.attempt(deferrable=True)
    for _ in range(2):
        with pytest.raises(SubmitUnresolvedError) as caught:
            task.attempt()
        for part in (WORKFLOW, "no clear answer", "platform.segmind.com", "abandon_request", "Look for"):
            assert part in str(caught.value)
    assert submits(emulator) == 1


def test_without_a_record_nothing_is_submitted_again(emulator: RunningEmulator) -> None:
    emulator.faults(LOST["answer lost"], *NO_ROWS)
    with pytest.raises(AirflowFailException, match="whether runs of workflows are there"):
        WorkflowTask(remembers=False).attempt()
    assert submits(emulator) == 1


def test_a_submit_that_a_person_gives_up_is_replaced_once(emulator: RunningEmulator) -> None:
    emulator.faults(UNANSWERED["never arrived"], *NO_ROWS)
    task = WorkflowTask()
    with pytest.raises(SubmitUnresolvedError) as caught:
        task.attempt()
    assert task.attempt(abandon_request=caught.value.submit)
    assert (submits(emulator), emulator.ledger()["submits"]) == (2, 1)


def test_one_may_choose_to_pay_twice(emulator: RunningEmulator) -> None:
    emulator.faults(LOST["answer lost"], *NO_ROWS)
    assert WorkflowTask(on_unresolved_submit="resubmit").attempt()
    assert emulator.ledger()["submits"] == 2


def test_a_refusal_is_not_charged_and_leaves_nothing_to_search_for(emulator: RunningEmulator) -> None:
    emulator.faults({"on": "submit", "count": 1, "status": 406, "cause": "credits"})
    task = WorkflowTask()
    with pytest.raises(AirflowFailException):
        task.attempt()
    task.clear()
    assert task.attempt()
    assert emulator.ledger()["count"] == 1


@pytest.mark.parametrize("error_key", ["error", "error_object"])
def test_a_failed_run_says_why_and_is_not_charged(emulator: RunningEmulator, error_key: str) -> None:
    emulator.change_world(error_key=error_key)
    emulator.faults({"on": "submit", "count": 1, "outcome": "failed", "error": "node 3 had no image"})
    task = WorkflowTask()
    with pytest.raises(RequestFailedError, match="node 3 had no image"):
        task.attempt()
    assert task.attempt()
    assert (emulator.ledger()["submits"], emulator.ledger()["count"]) == (2, 1)


def test_a_blocked_run_is_not_tried_again(emulator: RunningEmulator) -> None:
    emulator.change_world(error_key="error_object")
    emulator.faults({"on": "submit", "count": 1, "outcome": "blocked"})
    with pytest.raises(ContentBlockedError) as caught:
        WorkflowTask().attempt()
    assert isinstance(caught.value, AirflowFailException)


def report(output: Any) -> RequestReport:
    return RequestReport("r1", "COMPLETED", {"status": "COMPLETED", "output": output})


def listed(*outputs: tuple[str, Any]) -> list[dict[str, Any]]:
    return [{"keyname": name, "value": value} for name, value in outputs]


URL, OTHER = "https://images.segmind.com/a.png", "https://images.segmind.com/b.png"


@pytest.mark.parametrize(
    ("outputs", "expected", "urls"),
    [
        (listed(("image", URL), ("text", "a fox")), {"image": URL, "text": "a fox"}, [URL]),
        (listed(("image", [URL, OTHER])), {"image": [URL, OTHER]}, [URL, OTHER]),
        (listed(("a", {"url": URL}), ("b", {"c": {"url": OTHER}})), None, [URL, OTHER]),
        (listed(("a", 1), ("a", 2), ("a", 3)), {"a": 1, "a_2": 2, "a_3": 3}, []),
        (listed(("", URL)), {"1": URL}, [URL]),
        (listed(("a", None)), {"a": None}, []),
    ],
)
@pytest.mark.parametrize("write", [json.dumps, list], ids=["as a text", "as a list"])
def test_the_outputs_of_a_workflow(outputs: Any, expected: Any, urls: list[str], write: Any) -> None:
    found = report(write(outputs))
    assert model_output(found) == (expected or {each["keyname"]: each["value"] for each in outputs})
    assert output_text(found) is None
    if urls:
        assert output_urls(found) == urls


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "a fox",
        '{"keyname": "a", "value": 1}',
        '[{"keyname": "a"}]',
        '[{"keyname": 1, "value": 1}]',
        '[{"keyname": "a", "value": 1}, 2]',
        '[{"keyname": "a", "value": 1}',
        '["\\"keyname\\""]',
    ],
)
def test_another_text_is_returned_as_it_came(text: str) -> None:
    assert model_output(report(text)) == text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"workflow": "a/b"}, "workflow: must be the id of a workflow"),
        ({"workflow": "../v2/kling"}, "workflow: must be"),
        ({"inputs": [1]}, "inputs: must be a dict"),
        ({"inputs": {"a": {1}}}, r"inputs\['a'\]: cannot be sent as JSON"),
        ({"inputs": {"a": "s3://bucket/a.png"}}, r"inputs\['a'\]: is a file .* Add 'a' to upload"),
        ({"upload": ["mask"]}, "upload: there is no input 'mask'; the inputs are"),
    ],
)
def test_what_is_wrong_fails_when_the_dag_is_parsed(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        WorkflowTask(**arguments).new_operator()


def test_a_file_among_the_inputs_is_uploaded(emulator: RunningEmulator, tmp_path: Path) -> None:
    image = tmp_path / "mug.png"
    image.write_bytes((Path(__file__).parents[2] / "example_dags" / "images" / "mug.jpg").read_bytes())
    WorkflowTask(inputs={"input_image": str(image)}, upload=["input_image"]).attempt()
    (charge,) = emulator.ledger()["charges"]
    assert charge["parameters"]["input_image"].startswith(f"{emulator.url}/assets/")


def test_the_trigger_of_a_run_only_reads(emulator: RunningEmulator) -> None:
    deferral = WorkflowTask(expected_duration=60).deferral()
    before = len(paths(emulator))

    async def follow() -> None:
        async for _ in deferral.trigger.run():
            return

    asyncio.run(follow())
    assert len(paths(emulator)) == before


def test_a_workflow_that_does_not_exist_is_not_called_a_model(emulator: RunningEmulator) -> None:
    emulator.faults({"on": "submit", "status": 404})
    with pytest.raises(AirflowFailException, match=r"No such workflow.* Compare the id with the workflow"):
        WorkflowTask().attempt()
