"""Rendering the arguments of tasks: templates are what a DAG's author wrote, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class UntrustedValuesUnrendered:
    """
    Leaves alone what ``expand_kwargs`` maps over, if another task made it. A base class of this provider's tasks.

    Airflow renders the templates in such values, unlike those of ``expand()`` and of plain XComs. They are names
    of files, rows of a table or answers of a server: a file named ``{{ conn.prod_db.password }}`` would have the
    password written wherever its name goes. What the DAG's file says is rendered as always.
    """

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], context: Any, jinja_env: Any, seen_oids: set[int]
    ) -> None:
        # Airflow 2.11 to 3.4 calls this on the task that a mapped one becomes for one map index.
        written = _names_written_in_the_dag(context, parent)
        if written is not None:
            template_fields = [name for name in template_fields if name in written]
        super()._do_render_template_fields(  # type: ignore[misc]
            parent, template_fields, context, jinja_env, seen_oids
        )


def _names_written_in_the_dag(context: Any, task: Any) -> Mapping[str, Any] | None:
    """Return the arguments of a task that its DAG's file gives, by name; None if it gives all of them."""
    mapped: Any = context["dag"].task_dict.get(getattr(task, "task_id", None)) if "dag" in context else None
    expand_input: Any = getattr(mapped, "expand_input", None)
    if getattr(expand_input, "EXPAND_INPUT_TYPE", "") != "list-of-dicts":
        return None
    mappings = expand_input.value
    if isinstance(mappings, (list, tuple)) and isinstance(mappings[context["ti"].map_index], Mapping):
        return None
    written: Mapping[str, Any] = mapped.partial_kwargs
    return written
