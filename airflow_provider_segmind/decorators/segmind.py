"""``@task.segmind``: a function whose return value is what a model is run with."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from airflow_provider_segmind.api import kling
from airflow_provider_segmind.api.checks import check_model
from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.arguments import flag, is_literal, with_paths_as_text, with_plain_collections
from airflow_provider_segmind.compat import (
    Asset,
    BaseOperator,
    DecoratedOperator,
    context_merge,
    determine_kwargs,
    task_decorator_factory,
)
from airflow_provider_segmind.exceptions import InvalidParameterError
from airflow_provider_segmind.media.mapped_outputs import check_partial
from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
from airflow_provider_segmind.operators.options import CHECKS
from airflow_provider_segmind.rendering import names_of_mapped_values

if TYPE_CHECKING:
    from airflow_provider_segmind.api.answers import RequestReport
    from airflow_provider_segmind.compat import Context, TaskDecorator

NAME: Final = "@task.segmind"
RETURNED: Final = "returned"
"""Where the parameters are while the task is deferred. Frozen name: Airflow's database has it."""

MOST_KEPT = 32 * 1024
"""Bytes of parameters as JSON that are kept in Airflow's database: with an event, MySQL has room for 64 KiB."""

_OF_THE_DECORATOR = ("on_failure_fail_dagrun",)
"""Arguments that Airflow's decorator takes for itself."""


_returned_in_this_process: Final[dict[tuple[Any, ...], str]] = {}
"""
What functions returned, for ``airflow dags test``: on Airflow 2.11 to 3.3 it drops what a task
keeps with its deferral, and resumes the task in the same process. A worker's process ends with the deferral.
"""


class _NotReturnedYet:
    """Stands for the parameters until the function has returned them."""

    def resolve(self, *_: Any) -> Any:
        """Mark this as something that is known when the task runs, like the output of another task."""
        raise InvalidParameterError("parameters", "are not known before the decorated function has returned them")


NOT_RETURNED_YET = _NotReturnedYet()


class SegmindDecoratedOperator(DecoratedOperator, SegmindInferenceOperator):
    """
    What a function becomes under ``@task.segmind``: see :func:`segmind_task`.

    The function runs at the start of each attempt, before anything is submitted. What it returned is kept with the
    deferral, so that a task that is resumed does not run it again.

    :param python_callable: The function.
    :param op_args: Its positional arguments.
    :param op_kwargs: Its other arguments.
    :param render_returned: Whether to render templates in what it returns.
    :param kwargs: The arguments of SegmindInferenceOperator, without ``parameters``.
    """

    custom_operator_name = NAME
    template_fields: Sequence[str] = (
        *DecoratedOperator.template_fields,
        *(name for name in SegmindInferenceOperator.template_fields if name != "parameters"),
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {**DecoratedOperator.template_fields_renderers}

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        render_returned: bool = False,
        **kwargs: Any,
    ) -> None:
        self.render_returned = flag("render_returned", render_returned)
        self._instance: tuple[Any, ...] = ()
        super().__init__(
            python_callable=python_callable,
            op_args=op_args,
            op_kwargs=op_kwargs,
            parameters=NOT_RETURNED_YET,
            **kwargs,
        )

    def execute(self, context: Context) -> Any:
        """Run the function, and the model with what it returns."""
        self._instance = _instance(context)
        self._take(self._call_function(context))
        self._wait_in_the_worker_if_too_large()
        # DecoratedOperator.execute would ask for `xcom_push` after the payment. On Airflow 3.0 no task has it.
        self.inlets.extend(each for each in (*self.op_args, *self.op_kwargs.values()) if isinstance(each, Asset))
        return SegmindInferenceOperator.execute(self, context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume the task with what the function returned before. The function does not run again."""
        self._instance = _instance(context)
        kept = dict(next_kwargs or {})
        in_this_process = _returned_in_this_process.get(self._instance)
        self._take(_read_returned(kept.pop(RETURNED, in_this_process)))
        return super().resume_execution(next_method, kept, context)

    def defer(
        self, *, trigger: Any, method_name: str, kwargs: dict[str, Any] | None = None, timeout: Any = None
    ) -> Any:
        """Free the worker, and have Airflow keep what the function returned."""
        # As a text of ASCII: whatever is in it, Airflow must be able to store it, now that the task may have paid.
        returned = json.dumps(dict(self.model_parameters()))
        _returned_in_this_process[self._instance] = returned
        kept = {**(kwargs or {}), RETURNED: returned}
        super().defer(trigger=trigger, method_name=method_name, kwargs=kept, timeout=timeout)

    def model_parameters(self) -> Mapping[str, Any]:
        """
        Return what the function returned, as it goes to Segmind.

        :raises InvalidParameterError: If it is wrong.
        """
        if not isinstance(self.parameters, Mapping):
            raise InvalidParameterError("parameters", f"{self._function} {_problem(self.parameters)}")
        if self._is_kling:
            return _kling_parameters(self.parameters, self._function)
        return super().model_parameters()

    def output_of(self, result: RequestReport) -> Any:
        """Return the task's return value."""
        if not self._is_kling:
            return super().output_of(result)
        from airflow_provider_segmind.api.output import video_url  # parsing a DAG reads no result

        return video_url(result)

    @property
    def output_kinds(self) -> tuple[str, ...]:  # type: ignore[override]
        """Beginnings of the media types that the model's outputs have."""
        return ("video/",) if self._is_kling else SegmindInferenceOperator.output_kinds

    @property
    def _is_kling(self) -> bool:
        return bool(self.model == kling.MODEL)

    @property
    def _function(self) -> str:
        return f"the function {getattr(self.python_callable, '__name__', 'of the task')!r}"

    def _call_function(self, context: Context) -> Any:
        context_merge(context, self.op_kwargs)
        arguments = determine_kwargs(self.python_callable, self.op_args, context)
        try:
            returned = self.python_callable(*self.op_args, **arguments)
            if self.render_returned and isinstance(returned, Mapping):
                texts = ("prompt", *kling.IMAGES) if self._is_kling else ()
                written = with_plain_collections(with_paths_as_text(returned))
                return self.render_parameters(written, context, texts)
        except Exception:
            self._report_what_is_paid(context)
            raise
        return returned

    def _report_what_is_paid(self, context: Context) -> None:
        """Name the request of an earlier attempt: the function's own error knows nothing of it."""
        request_id = self._begin(context).undelivered_id()
        if request_id is not None:
            self.log.error(
                "%s failed, so request %s of an earlier attempt is not delivered now. The next attempt in which "
                "the function returns continues with it",
                self._function,
                request_id,
            )

    def _take(self, returned: Any) -> None:
        self.parameters = returned
        if self._is_kling:
            self.upload = kling.IMAGES

    def _wait_in_the_worker_if_too_large(self) -> None:
        """Do not defer if what the function returned could not be kept: it must not run again."""
        try:
            size = len(json.dumps(dict(self.model_parameters())))
        except InvalidParameterError:
            return  # the run says so, with the request if there is one
        if self.deferrable and size > MOST_KEPT:
            self.log.info("The parameters have %d bytes, too many to be kept in Airflow's database", size)
            self.deferrable = False

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], context: Any, jinja_env: Any, seen_oids: set[int]
    ) -> None:
        """Render what the DAG's file says, and nothing of what another task made to be mapped over."""
        given = self.op_kwargs
        others = names_of_mapped_values(context, self) if parent is self else set()
        if others:
            self.op_kwargs = {name: value for name, value in given.items() if name not in others}
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)
        if others:
            self.op_kwargs = {name: given[name] if name in others else self.op_kwargs[name] for name in given}

    def _names_of_parameters(self) -> Sequence[str] | None:
        return kling.IMAGES if self._is_kling else None


def segmind_task(python_callable: Callable[..., Any] | None = None, **arguments: Any) -> TaskDecorator:
    """
    Make a task of a function that returns the parameters of a model: ``@task.segmind(model="…")``.

    The task does what :class:`~airflow_provider_segmind.operators.inference.SegmindInferenceOperator` does, with
    the same arguments, and has the same return value, XComs, links and asset events. For
    ``kling-o1-image-to-video``, the function returns the arguments that describe the clip to
    :class:`~airflow_provider_segmind.operators.kling.KlingImageToVideoOperator`: ``prompt``, ``start_image_url``,
    and perhaps ``end_image_url`` and ``duration``. Their files are uploaded.

    The function runs once in each attempt, before anything is submitted: not again when a deferred task is
    resumed. If it raises, or returns no dict of parameters, nothing is submitted or charged. A retry continues
    with the request that an earlier attempt has paid for, whatever the function returns then.

    :param python_callable: The function.
    :param render_returned: Whether to render templates in what the function returns. A template can read every
        connection and Variable: only for values that the DAG's author wrote (docs/untrusted-values.md).
    :raises TypeError: If an argument has a name that no task of this kind takes.
    :raises InvalidParameterError: If one is wrong, as far as it is known when the DAG is parsed.
    """
    # With a function that says `-> dict`, Airflow would otherwise take the task's output for several XComs.
    arguments.setdefault("multiple_outputs", False)
    _check_arguments(arguments)
    if python_callable is not None:
        return _decorate(python_callable, arguments)
    return lambda function: _decorate(function, arguments)  # type: ignore[return-value]


def _read_returned(kept: object) -> Any:
    """Return what a function returned, as a deferral has kept it."""
    try:
        return json.loads(kept) if isinstance(kept, str) else NOT_RETURNED_YET
    except ValueError:
        return NOT_RETURNED_YET


def _instance(context: Context) -> tuple[Any, ...]:
    """Return what tells this task instance from all others. On Airflow 3.0 a retry resumes with the same event."""
    ti = context["ti"]
    return ti.dag_id, ti.run_id, ti.task_id, ti.map_index


def _decorate(function: Callable[..., Any], arguments: dict[str, Any]) -> TaskDecorator:
    called = getattr(function, "__name__", repr(function))
    if problem := _problem_of_function(function):
        raise InvalidParameterError("python_callable", f"the function {called!r} {problem}")
    decorator: Any = task_decorator_factory(
        python_callable=function, decorated_operator_class=SegmindDecoratedOperator, **arguments
    )
    decorator.__class__ = _checking(type(decorator))  # Airflow's factory cannot be given a class
    return decorator  # type: ignore[no-any-return]


def _checking(base: Any) -> Any:
    """Return Airflow's class of decorated functions, with a check of what it would notice when the task runs."""

    class SegmindTaskDecorator(base):  # type: ignore[misc]
        def override(self, **arguments: Any) -> Any:
            _check_arguments(arguments)
            return super().override(**arguments)

        def expand(self, **mapped: Any) -> Any:
            check_partial(self.kwargs)
            return super().expand(**mapped)

        def expand_kwargs(self, mapped: Any, **options: Any) -> Any:
            check_partial(self.kwargs)
            return super().expand_kwargs(mapped, **options)

    return SegmindTaskDecorator


def _problem_of_function(function: Callable[..., Any]) -> str | None:
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "must return a dict of the model's parameters, but is async. Write it without async"
    if inspect.isgeneratorfunction(function):
        return "must return a dict of the model's parameters, but yields. Write return in place of yield"
    return None


def _problem(returned: object) -> str:
    if returned is NOT_RETURNED_YET:
        return "has not returned the model's parameters in this attempt"
    kind = "None" if returned is None else type(returned).__name__
    hint = ". Does it lack a return?" if returned is None else ""
    return f"must return a dict of the model's parameters, not {kind}{hint}"


def _kling_parameters(returned: Mapping[Any, Any], function: str) -> Mapping[str, Any]:
    unknown = [name for name in returned if name not in kling.CHECKS]
    if unknown:
        raise InvalidParameterError(
            f"parameters[{one_line(str(unknown[0]))!r}]",
            f"is not known: {function} must return the arguments of KlingImageToVideoOperator that describe the "
            f"clip, which are {', '.join(kling.CHECKS)}",
        )
    return kling.check_parameters({"duration": kling.DURATIONS[0], **returned})


def _check_arguments(arguments: Mapping[str, Any]) -> None:
    """Check the names of arguments, and what is known of their values."""
    if "parameters" in arguments:
        raise TypeError(f"{NAME} takes no 'parameters': the decorated function returns them")
    unknown = [name for name in arguments if name not in _names_of_arguments()]
    if unknown:
        raise TypeError(f"{NAME} got an unexpected argument {unknown[0]!r}")
    _check_literals(arguments)


def _check_literals(arguments: Mapping[str, Any]) -> None:
    """Check what is known already: of a mapped task, Airflow makes no operator when the DAG is parsed."""
    flag("render_returned", arguments.get("render_returned", False))
    if is_literal(model := arguments.get("model")) and model is not None:
        check_model(model)
    templated = SegmindDecoratedOperator.template_fields
    for name, check in CHECKS.items():
        value = arguments.get(name)
        if value is not None and (name not in templated or is_literal(value)):
            check(name, value)


def _names_of_arguments() -> set[str]:
    """Return the names that ``@task.segmind(…)`` takes: its own, and those of the operator and of every task."""
    own = inspect.signature(segmind_task).parameters
    return {*own, *inspect.signature(BaseOperator).parameters, *_OF_THE_DECORATOR} - {"python_callable", "kwargs"}


def _signature() -> inspect.Signature:
    """Return the arguments of the operator that the decorator takes, too, and its own."""
    inherited = inspect.signature(SegmindInferenceOperator).parameters.values()
    own = inspect.signature(SegmindDecoratedOperator.__init__).parameters
    first = inspect.Parameter(
        "python_callable",
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=None,
        annotation="Callable[..., Any] | None",
    )
    rest = [each for each in inherited if each.kind is each.VAR_KEYWORD]
    named = [each for each in inherited if each.kind is each.KEYWORD_ONLY and each.name != "parameters"]
    return inspect.Signature([first, *named, own["render_returned"], *rest], return_annotation="TaskDecorator")


segmind_task.__signature__ = _signature()  # type: ignore[attr-defined]
