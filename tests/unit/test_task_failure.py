"""What a task raises can be printed by everything that prints a chain of causes."""

from __future__ import annotations

import copy
import io
import pickle
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.traceback import Traceback

from airflow_provider_segmind import exceptions
from airflow_provider_segmind.compat import AirflowFailException
from airflow_provider_segmind.delivery import Memory, raise_task_failure, task_failure
from airflow_provider_segmind.exceptions import (
    RUNBOOK,
    InsufficientCreditsError,
    InvalidParameterError,
    OutputNotStoredError,
    RequestFailedError,
    RequestTimeoutError,
    SegmindError,
    ServerError,
    SubmitUnresolvedError,
    UnreachableError,
)


def kinds() -> list[type[SegmindError]]:
    found = [
        each for each in vars(exceptions).values() if isinstance(each, type) and issubclass(each, SegmindError)
    ]
    return sorted(set(found), key=lambda each: each.__name__)


def made(kind: type[SegmindError]) -> SegmindError:
    return kind("prompt", "is empty") if kind is InvalidParameterError else kind("why", request_id="r1")


def raised(kind: type[SegmindError], memory: Memory) -> BaseException:
    """Raise as an operator does: from within the handling of the error, and of what caused it."""
    try:
        try:
            try:
                raise OSError("the cause")
            except OSError as cause:
                raise made(kind) from cause
        except SegmindError as error:
            raise_task_failure(error, memory=memory)
    except (SegmindError, AirflowFailException) as failure:
        return failure


def chain(failure: BaseException) -> Iterator[BaseException]:
    while True:
        yield failure
        following = failure.__cause__ or (None if failure.__suppress_context__ else failure.__context__)
        if following is None:
            return
        failure = following


@pytest.mark.parametrize("memory", list(Memory))
@pytest.mark.parametrize("kind", kinds())
def test_no_error_is_its_own_cause(kind: type[SegmindError], memory: Memory) -> None:
    seen: set[int] = set()
    for each in chain(raised(kind, memory)):
        assert id(each) not in seen
        seen.add(id(each))
    assert len(seen) == 2


@pytest.mark.parametrize("memory", list(Memory))
@pytest.mark.parametrize("kind", kinds())
def test_the_class_that_is_raised_is_the_class_that_a_user_catches(
    kind: type[SegmindError], memory: Memory
) -> None:
    failure: Any = raised(kind, memory)
    assert isinstance(failure, kind)
    assert type(failure).__name__ == kind.__name__
    assert str(failure).startswith(made(kind).text)
    link = f" See {RUNBOOK}#{kind.__name__.lower()}"
    assert str(failure).endswith(link)
    assert str(failure).count("https://github.com") == 1
    assert (failure.request_id, failure.detail) == (made(kind).request_id, made(kind).detail)
    assert isinstance(failure, AirflowFailException) is not (failure.can_retry or type(failure) is kind)


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda failure: pickle.loads(pickle.dumps(failure))],  # noqa: S301 - our own
    ids=["copy", "deepcopy", "pickle"],
)
@pytest.mark.parametrize("kind", kinds())
def test_it_stays_the_same_when_it_is_copied(kind: type[SegmindError], copied: Callable[[Any], Any]) -> None:
    failure: Any = raised(kind, Memory.NONE)
    other = copied(failure)
    assert type(other) is type(failure)
    assert (str(other), vars(other), other.args) == (str(failure), vars(failure), failure.args)


def test_airflow_can_write_it_down_and_read_it() -> None:
    """It writes down the path of a class, and imports that."""
    failure: Any = raised(InsufficientCreditsError, Memory.NONE)
    path, arguments, _ = failure.serialize()
    module, _, name = path.rpartition(".")
    read = getattr(import_module(module), name)(*arguments)
    assert isinstance(read, AirflowFailException)
    assert str(read) == str(failure)


def test_what_has_been_raised_may_be_raised_again() -> None:
    failure: Any = raised(InsufficientCreditsError, Memory.NONE)
    assert task_failure(failure) is failure


@pytest.mark.parametrize("named", [ServerError, "airflow_provider_segmind.exceptions.ServerError"])
def test_a_retry_policy_can_name_an_error(named: Any) -> None:
    policies = pytest.importorskip("airflow.sdk.definitions.retry_policy", reason="Airflow 3.3 has them")
    rule = policies.RetryRule(exception=named, retry_delay=timedelta(minutes=5), match_subclasses=False)
    policy = policies.ExceptionRetryPolicy(rules=[rule])
    decided = policy.evaluate(raised(ServerError, Memory.CLEARS), try_number=1, max_tries=3)
    assert decided.retry_delay == timedelta(minutes=5)


@pytest.mark.parametrize(
    ("kind", "delay"),
    [(RequestFailedError, 900), (ServerError, 300), (UnreachableError, 300), (RequestTimeoutError, 1)],
)
def test_the_policy_of_the_recipes_decides_by_the_error(kind: type[SegmindError], delay: float) -> None:
    policies = pytest.importorskip("airflow.sdk.definitions.retry_policy", reason="Airflow 3.3 has them")
    page = (Path(__file__).parents[2] / "docs" / "howto" / "recipes.md").read_text()
    (recipe,) = [each for each in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "RetryRule" in each]
    read: dict[str, Any] = {}
    exec(recipe, read)  # noqa: S102 - it is our own
    policy = read["dag"].task_dict["make_clip"].retry_policy
    decided = policy.evaluate(raised(kind, Memory.CLEARS), try_number=1, max_tries=5)
    assert (decided.action, decided.retry_delay) == (policies.RetryAction.RETRY, timedelta(seconds=delay))
    unresolved = policy.evaluate(raised(SubmitUnresolvedError, Memory.CLEARS), try_number=1, max_tries=5)
    assert unresolved.action is policies.RetryAction.FAIL


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", kinds())
def test_structlog_can_print_it(kind: type[SegmindError]) -> None:
    """Up to 25.4.0, which `make dated-3.0` has, it follows a cycle of causes for ever."""
    tracebacks = pytest.importorskip("structlog.tracebacks", reason="Airflow 3 has it; the tests run there too")
    failure = raised(kind, Memory.CLEARS)
    stacks = tracebacks.ExceptionDictTransformer()((type(failure), failure, failure.__traceback__))
    assert "the cause" in str(stacks)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", kinds())
def test_rich_can_print_it(kind: type[SegmindError]) -> None:
    """Version 13.9.4, which Airflow 2.11 and `make test-lowest` have, follows a cycle of causes for ever."""
    failure = raised(kind, Memory.CLEARS)
    console = Console(file=io.StringIO())
    console.print(Traceback.from_exception(type(failure), failure, failure.__traceback__))
    assert "the cause" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [kind for kind in kinds() if kind.can_retry])
def test_what_may_be_paid_is_not_paid_again_where_nothing_is_remembered(kind: type[SegmindError]) -> None:
    """Airflow cannot look the connection up, say: the trouble passes, and the retry would submit."""
    failure = task_failure(made(kind), may_be_paid=True)
    assert isinstance(failure, AirflowFailException) is (kind is not RequestFailedError)
    assert "r1" in str(failure)
    assert task_failure(made(kind), may_be_paid=True, memory=Memory.CLEARS).__class__ is kind
    assert task_failure(made(kind)).__class__ is kind


GIVE_UP = (
    "set the task's abandon_request, or the Airflow variable segmind_abandon_request, to {} and clear the task"
)
SAME_FOLDER = "as long as output_path names the same folder"
FREE = "continues with what was submitted and pays nothing more"


@pytest.mark.parametrize(
    ("memory", "said", "unsaid"),
    [
        (Memory.CLEARS, [f"A retry, or the cleared task, {FREE}. To give", GIVE_UP.format("r1")], [SAME_FOLDER]),
        (Memory.OUTPUT, [f"A retry, or the cleared task, {FREE}, {SAME_FOLDER}", GIVE_UP.format("r1")], []),
        (
            Memory.RETRIES,
            [
                f"A retry {FREE}. So does the cleared task if you keep its state",
                "clear the task without its state.",
            ],
            ["abandon_request"],
        ),
        (Memory.NONE, ["Clearing the task would pay for a new one."], ["abandon_request", FREE]),
    ],
)
def test_a_timeout_says_what_a_clear_costs_and_how_to_give_the_request_up(
    memory: Memory, said: list[str], unsaid: list[str]
) -> None:
    text = str(task_failure(RequestTimeoutError("late", request_id="r1"), memory=memory, may_be_paid=True))
    assert all(each in text for each in said), text
    assert not any(each in text for each in unsaid), text


@pytest.mark.parametrize("memory", list(Memory))
def test_an_unresolved_submit_says_what_to_look_for_and_what_then(memory: Memory) -> None:
    error = SubmitUnresolvedError(
        "the submit to m at 2026-11-26T02:48:15.000001Z", submit="2026-11-26T02:48:15.000001Z"
    )
    text = str(task_failure(error, memory=memory, may_be_paid=True))
    assert "this model, this time and the task's parameters: in https://platform.segmind.com (Generations)" in text
    assert ("If it is there, clear the task." in text) is (memory is not Memory.NONE)
    assert ("segmind_adopt_request; if it is not, clear" in text.replace(")", "")) is (memory is Memory.NONE)
    names = memory in (Memory.CLEARS, Memory.OUTPUT)
    assert (GIVE_UP.format("2026-11-26T02:48:15.000001Z") in text) is names


@pytest.mark.parametrize("memory", [memory for memory in Memory if memory is not Memory.NONE])
def test_only_a_person_can_tell_requests_apart_so_that_a_retry_is_no_use(memory: Memory) -> None:
    several = SubmitUnresolvedError("several", submit="then", is_ambiguous=True)
    assert isinstance(task_failure(several, memory=memory, may_be_paid=True), AirflowFailException)
    unreadable = SubmitUnresolvedError("the history is down", submit="then")
    assert not isinstance(task_failure(unreadable, memory=memory, may_be_paid=True), AirflowFailException)


@pytest.mark.parametrize("memory", list(Memory))
def test_clearing_costs_nothing_exactly_where_the_record_is_still_there(memory: Memory) -> None:
    text = str(task_failure(OutputNotStoredError("full", request_id="r1"), memory=memory, may_be_paid=True))
    assert ("A retry, or the cleared task, continues" in text) is (memory in (Memory.CLEARS, Memory.OUTPUT))
    assert (SAME_FOLDER in text) is (memory is Memory.OUTPUT)
    assert ("keep_task_state" in text) is (memory is Memory.RETRIES)
    assert ("Clearing the task would pay for a new one" in text) is (memory is Memory.NONE)


@pytest.mark.parametrize("kind", [exceptions.AuthenticationError, exceptions.UntrustedCertificateError])
def test_an_error_about_a_running_request_says_what_a_clear_costs(kind: type[SegmindError]) -> None:
    assert "continues with it and pays nothing more." in str(
        task_failure(kind("why", request_id="r1"), memory=Memory.CLEARS)
    )
    assert "would pay for a new one." in str(task_failure(kind("why", request_id="r1")))
    assert "cleared" not in str(task_failure(kind("why"), memory=Memory.CLEARS))


def test_a_failure_after_paying_names_the_request_that_may_still_run() -> None:
    text = str(task_failure(UnreachableError("no route"), memory=Memory.NONE, may_be_paid=True))
    assert "The request may still be running" in text
    known = UnreachableError("no route", request_id="r1")
    assert "Request r1 may still be running" in str(task_failure(known, memory=Memory.NONE, may_be_paid=True))
