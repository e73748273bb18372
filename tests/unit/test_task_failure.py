"""What a task raises can be printed by everything that prints a chain of causes."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator

import pytest

from airflow_provider_segmind import exceptions
from airflow_provider_segmind.compat import AirflowFailException
from airflow_provider_segmind.delivery import raise_task_failure
from airflow_provider_segmind.exceptions import InvalidParameterError, SegmindError


def kinds() -> list[type[SegmindError]]:
    found = [
        each for each in vars(exceptions).values() if isinstance(each, type) and issubclass(each, SegmindError)
    ]
    return sorted(set(found), key=lambda each: each.__name__)


def made(kind: type[SegmindError]) -> SegmindError:
    return kind("prompt", "is empty") if kind is InvalidParameterError else kind("why", request_id="r1")


def raised(kind: type[SegmindError], remembered: bool) -> BaseException:
    """Raise as an operator does: from within the handling of the error, and of what caused it."""
    try:
        try:
            try:
                raise OSError("the cause")
            except OSError as cause:
                raise made(kind) from cause
        except SegmindError as error:
            raise_task_failure(error, remembered=remembered)
    except (SegmindError, AirflowFailException) as failure:
        return failure


def chain(failure: BaseException) -> Iterator[BaseException]:
    while True:
        yield failure
        following = failure.__cause__ or (None if failure.__suppress_context__ else failure.__context__)
        if following is None:
            return
        failure = following


@pytest.mark.parametrize("remembered", [True, False])
@pytest.mark.parametrize("kind", kinds())
def test_no_error_is_its_own_cause(kind: type[SegmindError], remembered: bool) -> None:
    seen: set[int] = set()
    for each in chain(raised(kind, remembered)):
        assert id(each) not in seen
        seen.add(id(each))
    assert len(seen) in (2, 3)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", kinds())
def test_structlog_and_rich_can_print_it(kind: type[SegmindError]) -> None:
    rich = pytest.importorskip("rich.traceback", reason="Airflow 3 has it; the tests run there too")
    tracebacks = pytest.importorskip("structlog.tracebacks", reason="Airflow 3 has it; the tests run there too")
    failure = raised(kind, remembered=True)
    information = type(failure), failure, failure.__traceback__
    stacks = tracebacks.ExceptionDictTransformer()(information)
    assert "the cause" in str(stacks)
    console = __import__("rich.console").console.Console(file=io.StringIO())
    console.print(rich.Traceback.from_exception(*information))
    assert "the cause" in console.file.getvalue()
    assert sys.exc_info() == (None, None, None)
