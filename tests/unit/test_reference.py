"""
The reference says what the code does: signatures, docstrings and the tables on the pages of operators and sensors.

``WRITE_REFERENCE=1`` writes the tables.
"""

from __future__ import annotations

import inspect
import os
import re
import runpy
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from airflow_provider_segmind import exceptions
from airflow_provider_segmind.compat import AirflowFailException, BaseOperator, BaseSensorOperator
from airflow_provider_segmind.delivery import task_failure
from airflow_provider_segmind.exceptions import PASSING_TROUBLE, InvalidParameterError
from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
from airflow_provider_segmind.sensors.credits import SegmindCreditsSensor
from airflow_provider_segmind.sensors.request import SegmindRequestSensor
from airflow_provider_segmind.signatures import SensorArguments, TaskArguments

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TABLES = runpy.run_path(str(DOCS / "argument_tables.py"))
PUBLIC = runpy.run_path(str(DOCS / "public_names.py"))
PAGES: list[tuple[Path, Any]] = list(TABLES["tasks"]())
TASKS = [task for _, task in PAGES]
OF_KLING_ALONE = ("prompt", "start_image_url", "end_image_url", "duration")
NOT_OF_KLING = ("model", "parameters", "upload")

each_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.__name__)
each_page = pytest.mark.parametrize(("page", "task"), PAGES, ids=lambda value: getattr(value, "name", ""))


def signature_of(task: Any) -> dict[str, inspect.Parameter]:
    return {each.name: each for each in TABLES["arguments"](task)}


def test_each_public_task_has_a_page() -> None:
    rooms = ("operators", "sensors")
    public = [name for module, name in PUBLIC["public_names"]() if module.split(".")[1] in rooms]
    assert sorted(public) == sorted(task.__name__ for task in TASKS)


@each_page
def test_a_page_has_the_table_of_the_signature(page: Path, task: Any) -> None:
    expected = TABLES["with_table"](page.read_text(), task)
    if os.environ.get("WRITE_REFERENCE"):
        page.write_text(expected)
    assert page.read_text() == expected, "WRITE_REFERENCE=1 writes the table"


@pytest.mark.parametrize(("page", "decorator", "operator"), [*TABLES["decorators"]()])
def test_the_page_of_a_decorator_has_the_arguments_of_its_operator_too(
    page: Path, decorator: Any, operator: Any
) -> None:
    expected = TABLES["with_table"](page.read_text(), decorator, operator)
    if os.environ.get("WRITE_REFERENCE"):
        page.write_text(expected)
    assert page.read_text() == expected, "WRITE_REFERENCE=1 writes the table"
    headings = re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)
    assert headings[-5:] == ["Arguments", "XComs", "Cost", "Errors", "Assets and lineage"]


@each_task
def test_a_table_can_be_read_as_markdown(task: Any) -> None:
    lines = TABLES["table"](task).splitlines()
    assert len(lines) == len(signature_of(task)) + 2
    for line in lines:
        assert len(re.split(r"(?<!\\)\|", line)) == 7, line
        assert line.count("`") % 2 == 0, line
        assert "``" not in line, line
        assert "docs/" not in line, line
        assert ":class:" not in line, line


@each_task
def test_a_table_says_what_is_templated(task: Any) -> None:
    """As Airflow sees it: what it renders, and what the constructor takes."""
    rows = [[cell.strip() for cell in line.split(" | ")] for line in TABLES["table"](task).splitlines()[2:]]
    templated = {row[0].strip("| `") for row in rows if row[-2] == "yes"}
    assert templated == {*task.template_fields} & {*signature_of(task)}
    assert {*task.template_fields} <= {*signature_of(task)}


@each_task
def test_a_docstring_has_each_argument_in_the_order_of_the_signature(task: Any) -> None:
    """The class's own: an editor shows nothing of the class that it inherits from."""
    assert list(TABLES["descriptions"](task)) == [*signature_of(task), "kwargs"]


@each_task
def test_each_argument_has_a_type(task: Any) -> None:
    for argument in signature_of(task).values():
        assert argument.annotation is not argument.empty
        assert str(argument.annotation) != "Any", argument


@each_task
def test_only_what_every_task_takes_is_not_in_the_signature(task: Any) -> None:
    (rest,) = (each for each in inspect.signature(task).parameters.values() if each.kind is each.VAR_KEYWORD)
    of_a_sensor = issubclass(task, BaseSensorOperator)
    assert rest.annotation == f"Unpack[{'SensorArguments' if of_a_sensor else 'TaskArguments'}]"


def test_kling_takes_what_any_model_takes() -> None:
    shared = {
        name: each for name, each in signature_of(SegmindInferenceOperator).items() if name not in NOT_OF_KLING
    }
    found = {
        name: each for name, each in signature_of(KlingImageToVideoOperator).items() if name not in OF_KLING_ALONE
    }
    assert list(found.values()) == list(shared.values())
    described = TABLES["descriptions"](SegmindInferenceOperator)
    for name in shared:
        assert TABLES["descriptions"](KlingImageToVideoOperator)[name] == described[name]


def test_kling_hands_on_what_it_takes() -> None:
    given: dict[str, Any] = {
        "input_conn_id": "in",
        "output_path": "s3://clips/",
        "output_conn_id": "out",
        "name_output_after": "start_image_url",
        "if_output_exists": "skip",
        "max_output_bytes": 5,
        "segmind_conn_id": "other",
        "deferrable": False,
        "wait_for_completion": True,
        "timeout": 7.0,
        "poll_interval": 8.0,
        "expected_duration": 9.0,
        "expected_cost": 0.5,
        "max_cost": 2.0,
        "max_cost_per_run": 50.0,
        "durable": True,
        "check_parameters": "error",
        "on_unresolved_submit": "resubmit",
        "on_changed_parameters": "continue",
        "abandon_request": "r1",
        "push_result": True,
    }
    signature = signature_of(KlingImageToVideoOperator)
    assert given.keys() == signature.keys() - set(OF_KLING_ALONE)
    only_alternative = {"wait_for_completion", "durable"}  # they do not go with output_path and max_cost
    assert all(given[name] != signature[name].default for name in given.keys() - only_alternative)
    clip = KlingImageToVideoOperator(task_id="a", prompt="x", start_image_url="https://example.com/a.png", **given)
    assert {name: getattr(clip, name) for name in given} == given
    submit = KlingImageToVideoOperator(
        task_id="b",
        prompt="x",
        start_image_url="https://example.com/a.png",
        wait_for_completion=False,
        durable=False,
    )
    assert (submit.wait_for_completion, submit.durable) == (False, False)


@pytest.mark.parametrize("name", NOT_OF_KLING)
def test_kling_takes_no_other_model(name: str) -> None:
    arguments: Any = {name: {}}
    with pytest.raises(TypeError, match=name):
        KlingImageToVideoOperator(
            task_id="a", prompt="x", start_image_url="https://example.com/a.png", **arguments
        )


@pytest.mark.parametrize("name", ["model", "parameters", "upload"])
def test_a_mapped_kling_task_does_not_take_them_either(name: str) -> None:
    """Airflow would take them, because its base class does, and fail when the task runs."""
    arguments: Any = {name: "x"}
    with pytest.raises(InvalidParameterError, match=f"{name}: is set by KlingImageToVideoOperator"):
        KlingImageToVideoOperator.partial(task_id="a", prompt="x", **arguments)


@each_task
def test_a_mapped_task_takes_no_other_name(task: Any) -> None:
    """A type checker sees nothing in ``partial()``. So Airflow has to, when the DAG is parsed."""
    with pytest.raises(TypeError, match="mispelled"):
        task.partial(task_id="a", mispelled=1)


def test_what_every_task_takes_is_known_to_type_checkers() -> None:
    """A name that is missing here is one that a type checker refuses, and Airflow takes."""
    hints = get_type_hints(TaskArguments)
    task, sensor = (
        set(inspect.signature(inspect.unwrap(each.__init__)).parameters) - {"self", "kwargs"}
        for each in (BaseOperator, BaseSensorOperator)
    )
    assert task <= hints.keys()
    own = [task for task in TASKS if issubclass(task, BaseSensorOperator)]
    for each in own:
        assert sensor <= signature_of(each).keys() | (SensorArguments.__annotations__.keys() - hints.keys())


@each_page
def test_a_page_has_what_one_looks_up(page: Path, task: Any) -> None:
    headings = re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)
    assert headings[-5:] == ["Arguments", "XComs", "Cost", "Errors", "Assets and lineage"]


def rows_of_errors(page: Path) -> list[tuple[type[Exception], str]]:
    """Return the errors in the table of a page, and what it says that the task does."""
    (table,) = re.findall(r"^\| error \| the task \|.*?(?=\n\n)", page.read_text(), re.DOTALL | re.MULTILINE)
    rows = [row.split(" | ") for row in table.splitlines()[2:]]
    named = [(name, row[1].strip(" |")) for row in rows for name in re.findall(r"`(\w+Error)`", row[0])]
    return [(getattr(exceptions, name), does) for name, does in named]


@pytest.mark.parametrize(("error", "does"), rows_of_errors(DOCS / "howto" / "sync.md"))
def test_the_page_of_the_blocking_call_says_how_it_ends(error: type[Exception], does: str) -> None:
    ends_at_once = isinstance(task_failure(made(error)), AirflowFailException)
    assert does == ("fails at once" if ends_at_once else "fails and retries")


SENSORS = {
    "request-sensor": SegmindRequestSensor(task_id="wait", request_id="one"),
    "credits-sensor": SegmindCreditsSensor(task_id="enough", min_credits=1),
}


@pytest.mark.parametrize(
    ("sensor", "error", "does"),
    [(sensor, *row) for page, sensor in SENSORS.items() for row in rows_of_errors(DOCS / "howto" / f"{page}.md")],
)
def test_the_page_of_a_sensor_says_how_it_ends(sensor: Any, error: type[Exception], does: str) -> None:
    with pytest.raises(error) as failed:
        sensor.fail(made(error))
    ends_at_once = isinstance(failed.value, AirflowFailException)
    expected = "fails at once" if ends_at_once else "fails and retries"
    assert does == ("waits until `timeout`" if error in PASSING_TROUBLE else expected)


def made(error: type[Exception]) -> Any:
    arguments = ("name", "wrong") if error is InvalidParameterError else ("wrong",)
    return error(*arguments)


WRONG = {
    "a misspelled name": ('prompt="x", duraton=5', "duraton"),
    "a misspelled name of a shared argument": ('prompt="x", output_pth="s3://clips/"', "output_pth"),
    "a misspelled name of Airflow's": ('prompt="x", retires=3', "retires"),
    "a number as a text": ('prompt="x", timeout="long"', "timeout"),
    "a text as a number": ("prompt=3", "prompt"),
    "another word": ('prompt="x", if_output_exists="skp"', "if_output_exists"),
    "a wrong argument of Airflow's": ('prompt="x", retries="three"', "retries"),
    "what belongs to another operator": ('prompt="x", parameters={}', "parameters"),
    "nothing": ("", "prompt"),
}
RIGHT = """
    from datetime import timedelta
    from pathlib import Path

    from airflow.providers.common.compat.sdk import ObjectStoragePath, Param, task

    from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
    from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
    from airflow_provider_segmind.operators.sync import SegmindSyncInferenceOperator
    from airflow_provider_segmind.sensors.credits import SegmindCreditsSensor
    from airflow_provider_segmind.sensors.request import SegmindRequestSensor


    @task
    def find() -> str:
        return "s3://images/mug.jpg"


    found = find()
    clip = KlingImageToVideoOperator(
        task_id="clip", prompt="{{ params.prompt }}", start_image_url=found, duration="{{ params.duration }}",
        output_path=Path("/clips"), retries=3, retry_delay=timedelta(minutes=1), pool="segmind",
        on_failure_callback=print, params={"prompt": Param("x", type="string")}, expected_duration="{{ 3 }}",
    )
    stored = ObjectStoragePath("s3://images/mug.jpg", conn_id="aws_default")
    KlingImageToVideoOperator(task_id="b", prompt="x", start_image_url=stored, end_image_url=clip.output)
    SegmindInferenceOperator(task_id="c", model=find(), parameters="{{ params.parameters }}", upload=["image"])
    SegmindInferenceOperator(task_id="d", model="x", parameters={"image": found}, deferrable=None)
    SegmindSyncInferenceOperator(task_id="e", model="x", parameters={}, execution_timeout=timedelta(minutes=1))
    SegmindRequestSensor(
        task_id="f", request_id=clip.output, mode="reschedule", soft_fail=True, max_wait=timedelta(minutes=1)
    )
    SegmindCreditsSensor(task_id="g", min_credits=found, poke_interval=timedelta(minutes=1), silent_fail=True)
"""


@pytest.mark.long
@pytest.mark.timeout(900)  # without its cache, mypy reads all of Airflow first
def test_mypy_sees_what_is_wrong_in_a_dag(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    right = tmp_path / "right.py"
    right.write_text(textwrap.dedent(RIGHT))
    wrong = {}
    for number, (arguments, at_fault) in enumerate(WRONG.values()):
        wrong[path := tmp_path / f"wrong_{number}.py"] = at_fault
        path.write_text(
            "from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator\n\n"
            f'KlingImageToVideoOperator(task_id="a", start_image_url="https://example.com/a.png", {arguments})\n'
        )
    files = [str(each) for each in (right, ROOT / "example_dags", *wrong)]
    command = [sys.executable, "-m", "mypy", "--strict", "--no-pretty", *files]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    for path, at_fault in wrong.items():
        (error,) = (line for line in errors if path.name in line)
        assert f'"{at_fault}"' in error
    assert len(errors) == len(wrong), done.stdout + done.stderr
