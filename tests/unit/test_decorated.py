"""What a function under ``@task.segmind`` is asked, when it runs, and what becomes of what it returns."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_segmind.compat import (
    DAG,
    AirflowException,
    AirflowFailException,
    Asset,
    BaseOperator,
    XComArg,
    task,
)
from airflow_provider_segmind.decorators.segmind import MOST_KEPT, SegmindDecoratedOperator, segmind_task
from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.exceptions import InvalidParameterError, RequestFailedError
from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
from tests.unit.test_paying_tasks import Task, event_of, submits

MODEL = "mock-text"
KLING = "kling-o1-image-to-video"
IMAGE = "https://example.com/a.png"


class Decorated(Task):
    """A decorated task from attempt to attempt. Its function notes that it ran, and returns what it is told to."""

    def __init__(self, *returned: Any, **arguments: Any) -> None:
        super().__init__(**arguments)
        del self.arguments["parameters"]
        self.returned = list(returned)
        self.calls = 0

    def new_operator(self, **changed: Any) -> Any:
        def describe() -> Any:
            self.calls += 1
            answer = self.returned[min(self.calls, len(self.returned)) - 1]
            if isinstance(answer, Exception):
                raise answer
            return answer

        made: Any = segmind_task(describe, **{**self.arguments, **changed})  # type: ignore[arg-type]
        self.operator = made.override(task_id="run")().operator
        return self.operator

    def resume(self, deferral: Any, event: Any, **changed: Any) -> Any:
        operator = self.new_operator(deferrable=True, **changed)
        kept = {**deferral.kwargs, "event": event}
        return operator.resume_execution(deferral.method_name, kept, self.context)


@pytest.fixture(autouse=True)
def _store_that_survives_a_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Airflow 3.3, whatever is installed."""
    monkeypatch.setattr("airflow_provider_segmind.durability.backends.does_clear_forget", lambda: False)


def sent(emulator: RunningEmulator) -> list[dict[str, Any]]:
    return [charge["parameters"] for charge in emulator.ledger()["charges"]]


def endless() -> list[Any]:
    """Return a list that is an item of itself."""
    items: list[Any] = []
    items.append(items)
    return items


def nothing() -> dict[str, Any]:
    return {}


def described(prompt: str, style: str = "") -> dict[str, Any]:
    return {"prompt": f"{prompt} {style}"}


def operator_of(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    made: Any = segmind_task(function, **options)
    return made(*arguments).operator


# When the DAG is parsed.


def test_it_takes_what_the_operator_takes() -> None:
    taken = inspect.signature(segmind_task).parameters
    inherited = inspect.signature(SegmindInferenceOperator).parameters
    own = {"python_callable", "render_returned"}
    assert taken.keys() == {*inherited, *own} - {"parameters"}
    assert all(taken[name] == inherited[name] for name in taken.keys() - own)


def test_the_arguments_reach_the_operator() -> None:
    options: dict[str, Any] = {"timeout": 7.0, "output_path": "s3://clips/", "retries": 5, "pool": "segmind"}
    operator = operator_of(nothing, model=MODEL, task_id="x", **options)
    assert {name: getattr(operator, name) for name in options} == options
    assert operator.operator_name == "@task.segmind"
    assert operator.operator_extra_links == SegmindInferenceOperator.operator_extra_links


@pytest.mark.parametrize("name", ["mispelled", "prompt", "parameter"])
def test_an_unknown_argument_fails_when_the_dag_is_parsed(name: str) -> None:
    with pytest.raises(TypeError, match=name):
        segmind_task(model=MODEL, **{name: 1})


def test_the_parameters_are_what_the_function_returns() -> None:
    with pytest.raises(TypeError, match="the decorated function returns them"):
        segmind_task(model=MODEL, parameters={})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", "no slug"),
        ("timeout", 0),
        ("timeout", "{{ params.later }}"),
        ("deferrable", "False"),
        ("render_returned", "False"),
        ("render_returned", 1),
        ("output_path", "clips/"),
        ("if_output_exists", "skp"),
    ],
)
def test_a_wrong_literal_fails_when_the_dag_is_parsed_also_of_a_mapped_task(name: str, value: Any) -> None:
    with pytest.raises(InvalidParameterError, match=rf"^Invalid parameter: {name}"):
        segmind_task(**{"model": MODEL, name: value})


def test_what_the_operator_takes_as_a_template_the_decorator_takes_too() -> None:
    for name in SegmindDecoratedOperator.template_fields:
        if name not in ("op_args", "op_kwargs"):
            operator = operator_of(nothing, task_id="x", **{"model": MODEL, name: "{{ params.later }}"})
            assert getattr(operator, name) == "{{ params.later }}"


async def is_async() -> dict[str, Any]:
    return {}


def yields() -> Any:
    yield {}


@pytest.mark.parametrize(("function", "word"), [(is_async, "async"), (yields, "yields")])
def test_a_function_that_returns_no_dict_fails_when_the_dag_is_parsed(function: Any, word: str) -> None:
    with pytest.raises(InvalidParameterError, match=rf"'{function.__name__}' must return a dict.*{word}"):
        segmind_task(function, model=MODEL)


@pytest.mark.parametrize(
    "expand",
    [
        lambda made: made.expand(prompt=["a", "b"]),
        lambda made: made.expand_kwargs([{"prompt": "a"}, {"prompt": "b"}]),
        lambda made: made.partial(prompt="a").expand(style=["a", "b"]),
        lambda made: made.override(retries=2).expand(prompt=["a", "b"]),
    ],
    ids=["expand", "expand_kwargs", "partial", "override"],
)
@pytest.mark.parametrize("path", ["s3://clips/a.mp4", Path("/clips/a.mp4")], ids=str)
def test_a_mapped_function_with_one_output_fails_when_the_dag_is_parsed(expand: Any, path: Any) -> None:
    made = segmind_task(described, model=MODEL, output_path=path)
    with DAG("mapped", schedule=None), pytest.raises(InvalidParameterError, match="output_path: is the same for"):
        expand(made)
    with DAG("overridden", schedule=None), pytest.raises(InvalidParameterError, match="output_path: is the same"):
        expand(segmind_task(described, model=MODEL).override(output_path=path))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"output_path": None},
        {"output_path": "s3://clips/"},
        {"output_path": "/clips/"},
        {"output_path": "s3://clips/{{ ti.map_index }}.mp4"},
        {"output_path": "{{ params.clips }}/a.mp4"},  # a run may show that it is a folder, or differ in each
        {"output_path": "s3://clips/", "name_output_after": "image"},
    ],
    ids=str,
)
def test_a_mapped_function_may_have_an_output_for_each(arguments: dict[str, Any]) -> None:
    with DAG("mapped", schedule=None) as dag:
        made: Any = segmind_task(described, model=MODEL, **arguments)
        made.expand(prompt=["a", "b"])
        made.override(task_id="other").expand_kwargs([{"prompt": "a"}, {"prompt": "b"}])
    assert sorted(dag.task_dict) == ["described", "other"]


def test_a_function_that_is_not_mapped_may_have_one_output() -> None:
    made: Any = segmind_task(described, model=MODEL, output_path="s3://clips/a.mp4")
    assert made("a").operator.output_path == "s3://clips/a.mp4"


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize(
    ("arguments", "error", "problem"),
    [
        ({"mispelled": 1}, TypeError, "mispelled"),
        ({"parameters": {}}, TypeError, "the decorated function returns them"),
        ({"timeout": 0}, InvalidParameterError, "timeout"),
        ({"model": "no slug"}, InvalidParameterError, "model"),
    ],
    ids=str,
)
def test_what_is_overridden_is_checked_when_the_dag_is_parsed(
    arguments: dict[str, Any], error: type[Exception], problem: str, mapped: bool
) -> None:
    def make() -> None:
        made: Any = segmind_task(described, model=MODEL).override(**arguments)  # type: ignore[attr-defined]
        made.expand(prompt=["a"]) if mapped else made("a")

    with DAG("overridden", schedule=None), pytest.raises(error, match=problem):
        make()


def test_a_name_for_the_output_may_be_any_parameter() -> None:
    named: dict[str, Any] = {"output_path": "s3://clips/", "name_output_after": "image", "upload": ["image"]}
    assert operator_of(nothing, model=MODEL, task_id="x", **named).name_output_after == "image"
    with pytest.raises(InvalidParameterError, match="start_image_url"):
        operator_of(nothing, model=KLING, task_id="x", **named)


def test_an_annotation_makes_no_several_xcoms_of_one_output() -> None:
    assert operator_of(nothing, model=MODEL).multiple_outputs is False


def test_arguments_of_the_function_connect_tasks() -> None:
    with DAG("connected", schedule=None):
        first = BaseOperator(task_id="first")

        @task.segmind(model=MODEL)
        def describe(prompt: Any) -> dict[str, Any]:
            return {"prompt": prompt}

        made = describe(first.output)
    assert made.operator.upstream_task_ids == {"first"}


def test_a_function_may_be_whatever_a_task_may_be() -> None:
    sdk: Any = pytest.importorskip("airflow.sdk", reason="Airflow 2.11 has these names elsewhere")
    with DAG("all", schedule=None) as dag:
        options: dict[str, Any] = {"model": MODEL, "output_path": "/clips/a.mp4"}
        first = sdk.setup(segmind_task(described, **options))("a")
        last = sdk.teardown(segmind_task(described, **options).override(task_id="last"))("a")  # type: ignore[attr-defined]
        first >> last

        @sdk.task_group
        def group(prompt: str) -> None:
            operator_of(described, prompt, model=MODEL, task_id="inner", trigger_rule="all_done")

        group.expand(prompt=["a", "b"])
        several = operator_of(described, "a", model=MODEL, task_id="several", multiple_outputs=True)
    assert sorted(dag.task_dict) == ["described", "group.inner", "last", "several"]
    assert (first.operator.is_setup, last.operator.is_teardown, several.multiple_outputs) == (True, True, True)


# When it runs.


def test_what_the_function_returns_is_sent_once(emulator: RunningEmulator) -> None:
    decorated = Decorated({"prompt": "a fox"})
    assert decorated.attempt()
    assert (decorated.calls, sent(emulator)) == (1, [{"prompt": "a fox"}])


def test_kling_takes_its_own_arguments_and_returns_the_url(emulator: RunningEmulator) -> None:
    decorated = Decorated({"prompt": "zoom", "start_image_url": IMAGE, "end_image_url": None}, model=KLING)
    assert decorated.attempt().endswith(".mp4")
    assert sent(emulator) == [{"prompt": "zoom", "start_image_url": IMAGE, "duration": 5}]
    assert decorated.operator.output_kinds == KlingImageToVideoOperator.output_kinds


def test_images_of_kling_are_uploaded(emulator: RunningEmulator) -> None:
    image = Path(__file__).parents[2] / "example_dags" / "images" / "mug.jpg"
    Decorated({"prompt": "zoom", "start_image_url": image}, model=KLING).attempt()
    Decorated(
        {"prompt": "zoom", "start_image_url": f"file://{image}", "end_image_url": str(image)},
        model="{{ 'x' }}",
    ).attempt(model=KLING)
    assert emulator.requests()["endpoints"]["upload"] == 2
    assert all("/assets/" in url for each in sent(emulator) for name, url in each.items() if "url" in name)


@pytest.mark.parametrize(
    ("returned", "problem"),
    [
        (None, r"'describe' must return a dict .* not None\. Does it lack a return\?"),
        ([{"prompt": "x"}], r"'describe' must return a dict .* not list"),
        ("a prompt", r"not str"),
        ({"prompt": object}, r"parameters\['prompt'\]"),
        ({1: "x"}, r"names must be strings"),
        ((each for each in ({"prompt": "x"},)), r"not generator"),
        (dict, r"not type"),
        ({"prompt": "x", "seed": float("nan")}, r"parameters\['seed'\]: cannot be sent as JSON"),
        ({"prompt": endless()}, r"parameters.* nested"),
        ({"image": "/data/a.png"}, r"parameters\['image'\].*Add 'image' to upload"),
    ],
)
def test_what_is_no_dict_of_parameters_costs_nothing(
    emulator: RunningEmulator, returned: Any, problem: str
) -> None:
    decorated = Decorated(returned)
    with pytest.raises(InvalidParameterError, match=problem) as caught:
        decorated.attempt()
    assert isinstance(caught.value, AirflowFailException)
    assert emulator.requests()["total"] == 0


@pytest.mark.parametrize(
    ("returned", "problem"),
    [
        ({"prompt": "x", "start_image_url": IMAGE, "seed": 1}, r"parameters\['seed'\]: is not known.*duration"),
        ({"prompt": "x"}, "start_image_url"),
        ({"prompt": "x", "start_image_url": IMAGE, "duration": 7}, "duration: must be 5 or 10"),
        (None, "not None"),
    ],
)
def test_what_kling_does_not_take_costs_nothing(emulator: RunningEmulator, returned: Any, problem: str) -> None:
    with pytest.raises(InvalidParameterError, match=problem):
        Decorated(returned, model=KLING).attempt()
    assert emulator.requests()["total"] == 0


@pytest.mark.parametrize("error", [RuntimeError("the table is gone"), AirflowFailException("no row")])
def test_a_function_that_raises_costs_nothing_and_may_be_retried(
    emulator: RunningEmulator, error: Exception
) -> None:
    decorated = Decorated(error, {"prompt": "a fox"})
    with pytest.raises(type(error), match=str(error)):
        decorated.attempt()
    assert emulator.requests()["total"] == 0
    assert decorated.attempt()
    assert sent(emulator) == [{"prompt": "a fox"}]


# From attempt to attempt.


def test_a_task_that_is_resumed_does_not_run_its_function_again(emulator: RunningEmulator) -> None:
    decorated = Decorated({"prompt": "first"}, {"prompt": "second"}, expected_duration=60)
    deferral = decorated.deferral()
    assert deferral.kwargs == {"returned": '{"prompt": "first"}'}, "a frozen name, see docs/upgrades.md"
    assert decorated.resume(deferral, event_of(deferral))
    assert (decorated.calls, sent(emulator)) == (1, [{"prompt": "first"}])


class Style(enum.StrEnum):
    """Words of a DAG's author."""

    PLAIN = "plain"


def test_whatever_is_in_it_can_be_kept_by_airflow(emulator: RunningEmulator, tmp_path: Path) -> None:
    """Airflow's serializers and databases refuse some of this, which would be after the payment."""
    returned = {"prompt": "a\0b\ud800\u2028", "style": Style.PLAIN, "sizes": (1, 2), "1": {"2": None}}
    decorated = Decorated(returned, expected_duration=60)
    deferral = decorated.deferral()
    assert deferral.kwargs["returned"].isascii()
    assert decorated.resume(deferral, event_of(deferral))
    assert decorated.operator.model_parameters() == {**returned, "style": "plain", "sizes": [1, 2]}


@pytest.mark.parametrize("kept", [None, 7, "{", {"prompt": "second"}])
def test_what_was_not_kept_by_this_operator_is_not_sent(emulator: RunningEmulator, kept: Any) -> None:
    emulator.faults({"on": "submit", "status": 429, "reset_in": 0.1, "count": 1})
    decorated = Decorated({"prompt": "first"})
    deferral = decorated.deferral()
    deferral.kwargs["returned"] = kept
    with pytest.raises(InvalidParameterError, match="has not returned the model's parameters in this attempt"):
        decorated.resume(deferral, event_of(deferral))
    assert emulator.ledger()["submits"] == 0


def test_nor_under_airflow_dags_test_which_drops_what_is_kept(emulator: RunningEmulator) -> None:
    decorated = Decorated({"prompt": "first"}, {"prompt": "second"}, expected_duration=60)
    deferral = decorated.deferral()
    deferral.kwargs.clear()
    assert decorated.resume(deferral, event_of(deferral))
    assert (decorated.calls, sent(emulator)) == (1, [{"prompt": "first"}])


def test_what_the_output_is_named_after_survives_a_deferral(emulator: RunningEmulator, tmp_path: Path) -> None:
    decorated = Decorated(
        {"prompt": "zoom", "start_image_url": "https://example.com/mug.jpg"},
        {"prompt": "zoom", "start_image_url": "https://example.com/other.jpg"},
        model=KLING,
        expected_duration=60,
        output_path=f"{tmp_path}/",
        name_output_after="start_image_url",
    )
    deferral = decorated.deferral()
    decorated.resume(deferral, event_of(deferral))
    assert [each.name for each in tmp_path.glob("*.mp4")] == ["mug.jpg.mp4"]


def test_a_submit_that_waited_for_its_turn_sends_what_the_function_returned_before(
    emulator: RunningEmulator,
) -> None:
    emulator.faults({"on": "submit", "status": 429, "reset_in": 0.1, "count": 1})
    decorated = Decorated({"prompt": "first"}, {"prompt": "second"})
    deferral = decorated.deferral()
    assert deferral.method_name == "execute_after_rate_limit"
    assert decorated.resume_to_the_end(deferral)
    assert (decorated.calls, sent(emulator)) == (1, [{"prompt": "first"}])


def test_a_submit_that_got_lost_is_replaced_by_the_same(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_segmind.durability.submission.HISTORY_LAG", 0.5)
    monkeypatch.setattr("airflow_provider_segmind.durability.submission.latest_usual_duration", lambda *_: 0.0)
    monkeypatch.setattr("airflow_provider_segmind.api.history_search.FIRST_PAUSE", 0.1)
    emulator.faults({"on": "submit", "drop": "before", "count": 1})
    decorated = Decorated({"prompt": "first"}, {"prompt": "second"})
    deferral = decorated.deferral()
    assert deferral.method_name == "execute_after_search"
    assert decorated.resume_to_the_end(deferral)
    assert (decorated.calls, sent(emulator)) == (1, [{"prompt": "first"}])


def test_a_retry_continues_with_what_is_paid_for_whatever_the_function_returns(emulator: RunningEmulator) -> None:
    decorated = Decorated({"prompt": "first"}, {"prompt": "second"}, expected_duration=60)
    decorated.deferral()
    request_id = decorated.xcoms["request_id"]
    assert decorated.attempt(expected_duration=0.3)
    assert decorated.xcoms["request_id"] == request_id
    assert (decorated.calls, sent(emulator)) == (2, [{"prompt": "first"}])


def test_a_request_that_failed_is_replaced_by_what_the_function_returns_by_then(emulator: RunningEmulator) -> None:
    emulator.faults({"on": "submit", "outcome": "failed", "count": 1})
    decorated = Decorated({"prompt": "first"}, {"prompt": "second"})
    with pytest.raises(RequestFailedError):
        decorated.attempt()
    assert decorated.attempt()
    assert sent(emulator) == [{"prompt": "first"}, {"prompt": "second"}]
    assert [charge["charged"] for charge in emulator.ledger()["charges"]] == [False, True]


@pytest.mark.parametrize(("choice", "prompts"), [(None, ["first"]), ("resubmit", ["first", "second"])])
def test_a_clear_goes_by_on_changed_parameters(
    emulator: RunningEmulator, choice: str | None, prompts: list[str]
) -> None:
    decorated = Decorated({"prompt": "first"}, {"prompt": "second"}, expected_duration=60)
    decorated.deferral()
    decorated.clear()
    assert decorated.attempt(expected_duration=0.3, on_changed_parameters=choice)
    assert submits(emulator) == len(prompts)


def test_a_function_that_fails_in_a_retry_loses_no_request(
    emulator: RunningEmulator, said: Callable[[], str]
) -> None:
    decorated = Decorated({"prompt": "first"}, RuntimeError("gone"), {"prompt": "third"}, expected_duration=60)
    decorated.deferral()
    request_id = decorated.xcoms["request_id"]
    with pytest.raises(RuntimeError, match="gone"):
        decorated.attempt()
    assert f"request {request_id} of an earlier attempt is not delivered now" in said()
    assert decorated.attempt(expected_duration=0.3)
    assert (submits(emulator), sent(emulator)) == (1, [{"prompt": "first"}])


def test_what_is_no_dict_in_a_retry_names_the_request_that_is_paid_for(emulator: RunningEmulator) -> None:
    decorated = Decorated({"prompt": "first"}, None, expected_duration=60)
    decorated.deferral()
    request_id = decorated.xcoms["request_id"]
    with pytest.raises(InvalidParameterError, match=request_id):
        decorated.attempt()


def test_parameters_too_large_for_airflows_database_are_waited_for_in_the_worker(
    emulator: RunningEmulator, said: Callable[[], str]
) -> None:
    decorated = Decorated({"prompt": "a" * MOST_KEPT}, expected_duration=60)
    assert decorated.attempt(deferrable=True, timeout=20)
    assert (decorated.calls, submits(emulator)) == (1, 1)
    assert "too many to be kept in Airflow's database" in said()


def test_a_wait_that_airflow_ends_leads_to_no_other_charge(emulator: RunningEmulator) -> None:
    decorated = Decorated({"prompt": "first"}, expected_duration=60)
    decorated.deferral()
    with pytest.raises(AirflowException, match=f"request {decorated.xcoms['request_id']} was interrupted"):
        decorated.airflow_ends_the_wait()
    assert decorated.operator._images() == [], "what OpenLineage asks for, where nothing is known"
    assert decorated.calls == 1


# Templates.


def render(operator: Any, **context: Any) -> Any:
    operator.render_template_fields(context)
    return operator


@pytest.mark.parametrize("native", [False, True])
def test_what_a_function_returns_is_text(emulator: RunningEmulator, native: bool) -> None:
    with DAG("text", schedule=None, render_template_as_native_obj=native):
        decorated = Decorated({"prompt": "{{ conn.prod_db.password }}"})
        decorated.attempt()
    assert sent(emulator) == [{"prompt": "{{ conn.prod_db.password }}"}]


@pytest.mark.parametrize(("native", "number"), [(False, "2026"), (True, 2026)])
def test_it_is_rendered_if_the_dags_author_asks_for_it(
    emulator: RunningEmulator, native: bool, number: Any
) -> None:
    written = {"prompt": "{{ word }}", "nested": [{"year": "{{ year }}"}], "plain": 7}
    with DAG("rendered", schedule=None, render_template_as_native_obj=native):
        decorated = Decorated(written, render_returned=True)
        decorated.context.update(word="a fox", year=2026)
        decorated.attempt()
    assert sent(emulator) == [{"prompt": "a fox", "nested": [{"year": number}], "plain": 7}]


def test_a_prompt_of_kling_stays_a_text_where_templates_become_numbers(emulator: RunningEmulator) -> None:
    written = {"prompt": "{{ year }}", "start_image_url": IMAGE, "duration": "{{ seconds }}"}
    with DAG("rendered_clip", schedule=None, render_template_as_native_obj=True):
        decorated = Decorated(written, model=KLING, render_returned=True)
        decorated.context.update(year=2026, seconds=10)
        decorated.attempt()
    assert sent(emulator) == [{"prompt": "2026", "start_image_url": IMAGE, "duration": 10}]


def test_the_arguments_of_a_function_are_rendered_as_those_of_any_decorated_function() -> None:
    def describe(prompt: str, style: str) -> Mapping[str, Any]:
        return {"prompt": prompt, "style": style}

    with DAG("arguments", schedule=None) as dag:
        made: Any = segmind_task(describe, model="{{ slug }}")
        operator: Any = made("{{ word }}", style="{{ word }}").operator
    operator.render_template_fields({"word": "a fox", "slug": MODEL, "dag": dag})
    assert (operator.op_args, operator.op_kwargs, operator.model) == (("a fox",), {"style": "a fox"}, MODEL)


def test_an_asset_among_the_arguments_is_an_inlet(emulator: RunningEmulator) -> None:
    def describe(picture: Asset) -> dict[str, Any]:
        return {"prompt": f"a clip of {picture.uri}"}

    picture = Asset("s3://products/mug.jpg")
    operator = operator_of(describe, picture, model=MODEL, deferrable=False, expected_duration=0.3)
    assert operator.execute(Task().context)
    assert operator.inlets == [picture]


def test_a_mapped_function_is_a_mapped_task() -> None:
    with DAG("mapped", schedule=None) as dag:
        made: Any = segmind_task(lambda prompt: {"prompt": prompt}, model=MODEL, task_id="clip")
        assert isinstance(made.expand(prompt=["a", "b"]), XComArg)
    assert dag.task_dict["clip"].operator_name == "@task.segmind"
