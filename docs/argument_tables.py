"""The table of arguments on each page about an operator or a sensor, from its signature and its docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from airflow_provider_segmind.compat import BaseOperator

PACKAGE = "airflow_provider_segmind"
PAGES = {
    "howto/kling.md": (f"{PACKAGE}.operators.kling", "KlingImageToVideoOperator"),
    "howto/inference.md": (f"{PACKAGE}.operators.inference", "SegmindInferenceOperator"),
    "howto/pixelflow.md": (f"{PACKAGE}.operators.pixelflow", "SegmindPixelFlowOperator"),
    "howto/sync.md": (f"{PACKAGE}.operators.sync", "SegmindSyncInferenceOperator"),
    "howto/request-sensor.md": (f"{PACKAGE}.sensors.request", "SegmindRequestSensor"),
    "howto/credits-sensor.md": (f"{PACKAGE}.sensors.credits", "SegmindCreditsSensor"),
}
DECORATORS = {
    "howto/decorator.md": (
        (f"{PACKAGE}.decorators.segmind", "segmind_task"),
        (f"{PACKAGE}.operators.inference", "SegmindInferenceOperator"),
    )
}
"""Each page about a decorator, and the operator whose arguments it takes, too."""
BEGINNING = "<!-- tests/unit/test_reference.py writes this table. -->\n\n"
END = "<!-- end of the table -->"
_HEADER = "| argument | type | default | templated | |\n|---|---|---|---|---|\n"
_DESCRIPTION = re.compile(r"^:param (\w+): (.*?)(?=^:|\Z)", re.MULTILINE | re.DOTALL)
_OF_ANOTHER_TASK = re.compile(r" \| XComArg\b")
_ROLE = re.compile(r":\w+:`~?([\w.]+)`")
_PAGE = re.compile(r"\(docs/([\w-]+)\.md(#[\w-]+)?\)")


def with_table(page: str, task: Any, operator: Any = None) -> str:
    """
    Return a page with the table that it has to have.

    :param operator: The one whose arguments a decorator takes, too.
    """
    before, _, rest = page.partition(BEGINNING)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"the page has no {BEGINNING.strip()} with an {END} after it")
    return f"{before}{BEGINNING}{table(task, operator)}\n{END}{after}"


def table(task: Any, operator: Any = None) -> str:
    """Return the table of all arguments of an operator, a sensor or a decorator, without those of every task."""
    written = {**(descriptions(operator) if operator else {}), **descriptions(task)}
    rows = (
        (f"`{each.name}`", _type(each), _default(each), _templated(each, operator or task), written[each.name])
        for each in arguments(task)
    )
    return _HEADER + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def arguments(task: Any) -> list[inspect.Parameter]:
    """Return the arguments that the signature of a class names."""
    parameters = inspect.signature(task).parameters.values()
    return [each for each in parameters if each.kind is each.KEYWORD_ONLY]


def descriptions(task: Any) -> dict[str, str]:
    """Return what the docstring of a class says about each argument, as one line of Markdown."""
    text = inspect.cleandoc(task.__doc__)
    return {name: _markdown(" ".join(lines.split())) for name, lines in _DESCRIPTION.findall(text)}


def tasks() -> Iterator[tuple[Path, Any]]:
    """Yield each page, and the class that it is about."""
    for page, named in PAGES.items():
        yield _path(page), _found(named)


def decorators() -> Iterator[tuple[Path, Any, Any]]:
    """Yield each page about a decorator, the decorator, and the operator whose arguments it takes, too."""
    for page, (decorator, operator) in DECORATORS.items():
        yield _path(page), _found(decorator), _found(operator)


def _path(page: str) -> Path:
    return Path(__file__).with_name(page.partition("/")[0]) / page.partition("/")[2]


def _found(named: tuple[str, str]) -> Any:
    module, name = named
    return getattr(import_module(module), name)


def _type(argument: inspect.Parameter) -> str:
    # The output of another task is what "templated" stands for.
    return _code(_OF_ANOTHER_TASK.sub("", str(argument.annotation)))


def _default(argument: inspect.Parameter) -> str:
    return "required" if argument.default is argument.empty else _code(repr(argument.default))


def _templated(argument: inspect.Parameter, task: type[BaseOperator]) -> str:
    return "yes" if argument.name in task.template_fields else "no"


def _code(text: str) -> str:
    return f"`{_in_cell(text)}`".replace("'", '"')


def _markdown(text: str) -> str:
    text = _ROLE.sub(lambda role: f"`{role[1].rpartition('.')[2]}`", text.replace("``", "`"))
    return _in_cell(_PAGE.sub(_link, text))


def _link(page: re.Match[str]) -> str:
    name, anchor = page[1], page[2] or ""
    return f"([{name.replace('-', ' ')}](../{name}.md{anchor}))"


def _in_cell(text: str) -> str:
    return text.replace("|", r"\|")
