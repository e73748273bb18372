"""How a task does its work, as its arguments say: checked literals when a DAG is parsed, then values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from airflow_provider_segmind.arguments import (
    byte_count,
    existing_choice,
    flag,
    is_literal,
    names,
    names_given_up,
    one_of,
    optional_amount,
    optional_one_of,
    optional_output_path,
    optional_seconds,
    optional_text,
    seconds,
)
from airflow_provider_segmind.compat import BaseOperator
from airflow_provider_segmind.exceptions import InvalidParameterError

check_mode = one_of("warn", "error", "off")
"""Checks the argument ``check_parameters``."""

CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "deferrable": flag,
    "wait_for_completion": flag,
    "timeout": seconds,
    "poll_interval": optional_seconds,
    "expected_duration": optional_seconds,
    "expected_cost": optional_amount,
    "max_cost": optional_amount,
    "max_cost_per_run": optional_amount,
    "durable": flag,
    "check_parameters": check_mode,
    "on_unresolved_submit": one_of("fail", "resubmit"),
    "on_changed_parameters": optional_one_of("continue", "resubmit"),
    "abandon_request": names_given_up,
    "upload": names,
    "input_conn_id": optional_text,
    "output_path": optional_output_path,
    "output_conn_id": optional_text,
    "name_output_after": optional_text,
    "if_output_exists": existing_choice,
    "max_output_bytes": byte_count,
    "push_result": flag,
}


@dataclass(frozen=True)
class Options:
    """What the arguments of these names turned out to be. See SegmindInferenceOperator for what they mean."""

    deferrable: bool
    wait_for_completion: bool
    timeout: float
    poll_interval: float | None
    expected_duration: float | None
    expected_cost: float | None
    max_cost: float | None
    max_cost_per_run: float | None
    durable: bool
    check_parameters: str
    on_unresolved_submit: str
    on_changed_parameters: str | None
    abandon_request: tuple[str, ...]
    upload: tuple[str, ...]
    input_conn_id: str | None
    output_path: str | None
    output_conn_id: str | None
    name_output_after: str | None
    if_output_exists: str
    max_output_bytes: int
    push_result: bool

    def __post_init__(self) -> None:
        """Check what has to fit together."""
        if self.output_path is not None and not self.wait_for_completion:
            raise InvalidParameterError(
                "output_path",
                "needs wait_for_completion=True. Give it to the SegmindRequestSensor that waits",
            )
        if self.name_output_after is not None and not (self.output_path or "").endswith("/"):
            raise InvalidParameterError(
                "name_output_after", "needs an output_path that is a folder: text with a slash at its end"
            )

        if self.max_cost is not None and not self.durable:
            raise InvalidParameterError("max_cost", "needs durable=True, to know what earlier attempts have spent")

        if self.if_output_exists != "replace" and not self.is_output_name_known:
            raise InvalidParameterError(
                "if_output_exists",
                "needs an output whose name is known before the request: an output_path that is a file, or "
                "name_output_after",
            )

    @property
    def is_output_name_known(self) -> bool:
        """Whether the output is called by something else than its request."""
        if self.output_path is None:
            return False
        return not self.output_path.endswith("/") or self.name_output_after is not None

    @classmethod
    def of(cls, operator: object) -> Self:
        """
        Return those of an operator whose templates have been rendered.

        :raises InvalidParameterError: If one is wrong.
        """
        return cls(**{name: check(name, getattr(operator, name)) for name, check in CHECKS.items()})


def check_literals(operator: BaseOperator) -> None:
    """
    Check what is known when the DAG is parsed: all but templates, in arguments that may be some.

    :raises InvalidParameterError: If one is wrong.
    """
    templates = {name for name in operator.template_fields if not is_literal(getattr(operator, name))}
    for name, check in CHECKS.items():
        if name not in templates:
            check(name, getattr(operator, name))
    if templates.isdisjoint(CHECKS):
        Options.of(operator)
