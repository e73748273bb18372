"""Rendering the arguments of tasks: templates are what a DAG's author wrote, and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from jinja2.nativetypes import NativeEnvironment

from airflow_provider_segmind.arguments import with_paths_as_text


class UntrustedValuesUnrendered:
    """
    Renders what a DAG's file says, and nothing else. A base class of this provider's tasks.

    It leaves alone what ``expand()`` and ``expand_kwargs()`` map over, if another task made it. Airflow renders
    the templates in values of ``expand_kwargs()``, and in those of ``expand()`` that an operator has copied,
    unlike those in plain XComs. They are names of files, rows of a table or answers of a server: a file named
    ``{{ conn.prod_db.password }}`` would have the password written wherever its name goes.

    A ``pathlib.Path`` is text from then on: Airflow 2.11 would take one for an XCom.

    In a DAG with ``render_template_as_native_obj=True``, Airflow makes the number 2026 of the prompt ``2026``. The
    arguments in ``text_fields`` stay texts.
    """

    text_fields: ClassVar[Sequence[str]] = ()
    is_half_rendered = False
    """Whether some arguments still are templates, because one of them has raised."""

    _rendering_began = False

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], context: Any, jinja_env: Any, seen_oids: set[int]
    ) -> None:
        if parent is self:
            # `airflow dags test` of Airflow 2.11 renders a task again after a deferral: by then, its values.
            if self._rendering_began:
                return
            self._rendering_began = self.is_half_rendered = True
            for name in template_fields:
                value = getattr(self, name)
                text = with_paths_as_text(value)
                if text is not value:
                    setattr(self, name, text)
        # Airflow 2.11 to 3.4 calls this on the task that a mapped one becomes for one map index.
        written = _names_written_in_the_dag(context, parent)
        if written is not None:
            template_fields = [name for name in template_fields if name in written]
        if isinstance(jinja_env, NativeEnvironment):
            fields = {name: getattr(parent, name) for name in template_fields if name in self.text_fields}
            # Airflow marks with `seen_oids` what is not a template: the values of expand().
            fields = {name: text for name, text in fields.items() if id(text) not in seen_oids}
            texts = {name: text for name, text in fields.items() if isinstance(text, str)}
            for name, text in texts.items():
                setattr(parent, name, _text(jinja_env, text, context))
            template_fields = [name for name in template_fields if name not in texts]
        super()._do_render_template_fields(  # type: ignore[misc]
            parent, template_fields, context, jinja_env, seen_oids
        )
        if parent is self:
            self.is_half_rendered = False

    def render_parameters(self, parameters: Mapping[Any, Any], context: Any, texts: Container[str]) -> Any:
        """
        Return a model's parameters with the templates in them rendered, as those of an argument would be.

        :param texts: Names of parameters that are texts, also where Airflow makes numbers of templates.
        """
        jinja_env = self.get_template_env()  # type: ignore[attr-defined]
        is_native = isinstance(jinja_env, NativeEnvironment)
        return {
            name: _text(jinja_env, value, context)
            if is_native and name in texts and isinstance(value, str)
            else self.render_template(value, context, jinja_env)  # type: ignore[attr-defined]
            for name, value in parameters.items()
        }


def names_of_mapped_values(context: Any, task: Any) -> set[str]:
    """
    Return the names of the arguments of a decorated function whose values another task made, by mapping.

    Airflow marks the values of ``expand()`` as rendered, and not those of ``expand_kwargs()``. What is written in
    the DAG's file is not among them, nor is what ``partial()`` was given.
    """
    mapped: Any = context["dag"].task_dict.get(task.task_id) if "dag" in context else None
    mappings = getattr(getattr(mapped, "op_kwargs_expand_input", None), "value", None)
    if mappings is None:  # not mapped
        return set()
    if isinstance(mappings, Mapping):
        return {name for name, each in mappings.items() if hasattr(each, "resolve")}
    if isinstance(mappings, (list, tuple)) and isinstance(mappings[context["ti"].map_index], Mapping):
        return set()
    return set(task.op_kwargs) - set(mapped.partial_kwargs.get("op_kwargs", ()))


def _names_written_in_the_dag(context: Any, task: Any) -> Container[str] | None:
    """Return the names of the arguments of a task that its DAG's file gives; None if it gives all of them."""
    mapped: Any = context["dag"].task_dict.get(getattr(task, "task_id", None)) if "dag" in context else None
    mappings = getattr(getattr(mapped, "expand_input", None), "value", None)
    if mappings is None:  # not mapped
        return None
    if isinstance(mappings, Mapping):  # by expand(); what another task makes has a `resolve`
        return {*mapped.partial_kwargs, *(name for name, each in mappings.items() if not hasattr(each, "resolve"))}
    if isinstance(mappings, (list, tuple)) and isinstance(mappings[context["ti"].map_index], Mapping):
        return None
    written: Container[str] = mapped.partial_kwargs
    return written


def _text(jinja_env: NativeEnvironment, written: str, context: Any) -> str:
    template = jinja_env.from_string(written)
    values = copy.copy(context)  # as Airflow does: a dict made of it would look everything up
    values.update({name: value for name, value in template.globals.items() if name not in context})
    return "".join(map(str, template.root_render_func(template.new_context(values, shared=True))))
