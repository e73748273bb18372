"""Mapped tasks of which each would replace the file of the others: seen before one of them pays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, TemplateError, meta

from airflow_provider_segmind.api.locations import check_output_path
from airflow_provider_segmind.arguments import is_literal
from airflow_provider_segmind.exceptions import InvalidParameterError

if TYPE_CHECKING:
    from airflow_provider_segmind.compat import Context

_OF_THE_RUN = frozenset(
    {
        *("params", "var", "conn", "conf", "dag", "dag_run", "run_id", "test_mode"),
        *("ds", "ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz", "logical_date", "execution_date"),
        *("data_interval_start", "data_interval_end"),
    }
)
"""Names in a template that have the same value in each instance of a mapped task."""

_PROBLEM = (
    "is the same for each instance of the mapped task: each is paid, and would replace the file of the others. "
    "End it with a slash: each file is then named after its request or, with an operator's name_output_after, "
    "after a parameter that is mapped. Or put {{ ti.map_index }} into it"
)


def check_partial(arguments: Mapping[str, Any]) -> None:
    """
    Check the arguments of ``partial()``, as far as they are known when the DAG is parsed.

    :raises InvalidParameterError: If all instances would write to the same file.
    """
    path = arguments.get("output_path")
    if path in (None, "", "None") or not is_literal(path):
        return
    is_folder = check_output_path("output_path", path).endswith("/")
    if not is_folder or _has_one_name(arguments, is_literal):
        raise InvalidParameterError("output_path", _PROBLEM)


def check_instance(context: Context, *, is_folder: bool) -> None:
    """
    Check a task that runs: as above, but also templates that are the same in each instance.

    :param is_folder: Whether ``output_path`` turned out to be a folder.
    :raises InvalidParameterError: If this is one of several instances that would write to the same file.
    """
    arguments = _arguments_in_the_dag(context)
    if not _is_same_for_all(arguments.get("output_path")):
        return
    if not is_folder or _has_one_name(arguments, _is_same_for_all):
        raise InvalidParameterError("output_path", _PROBLEM)


def _has_one_name(arguments: Mapping[str, Any], is_same: Any) -> bool:
    """Whether the files in a folder would all be named after the same value."""
    name = arguments.get("name_output_after")
    if name in (None, "", "None") or not isinstance(name, str) or not is_literal(name):
        return False
    parameters = arguments.get("parameters")
    given = {**(parameters if isinstance(parameters, Mapping) else {}), **arguments}
    return name in given and bool(is_same(given[name]))


def _arguments_in_the_dag(context: Context) -> Mapping[str, Any]:
    """Return the arguments that the instances of a mapped task share, unrendered; none if it is not mapped."""
    ti = context["ti"]
    if "dag" not in context or getattr(ti, "map_index", -1) < 0:
        return {}
    task: Any = context["dag"].task_dict.get(ti.task_id)
    shared = getattr(task, "partial_kwargs", None)  # in a mapped group of tasks, the task itself is not mapped
    return vars(task) if shared is None and task is not None else shared or {}


def _is_same_for_all(value: Any) -> bool:
    if value in (None, "", "None"):
        return False
    if is_literal(value):
        return True
    if not isinstance(value, str):
        return False
    try:
        names = meta.find_undeclared_variables(Environment().parse(value))  # noqa: S701 - nothing is rendered
    except TemplateError:
        return False
    return bool(names) and names <= _OF_THE_RUN and "random" not in value
