"""How a task does its work, as its arguments say: checked literals when a DAG is parsed, then values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from airflow_provider_segmind.arguments import (
    flag,
    is_literal,
    names,
    optional_seconds,
    optional_text,
    seconds,
)
from airflow_provider_segmind.exceptions import InvalidParameterError

ON_UNRESOLVED_SUBMIT = ("fail", "resubmit")


def _unresolved(name: str, value: Any) -> str:
    if value in ON_UNRESOLVED_SUBMIT:
        return str(value)
    raise InvalidParameterError(name, f"must be one of {ON_UNRESOLVED_SUBMIT}, not {value!r}")


CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "deferrable": flag,
    "wait_for_completion": flag,
    "timeout": seconds,
    "poll_interval": optional_seconds,
    "expected_duration": optional_seconds,
    "durable": flag,
    "on_unresolved_submit": _unresolved,
    "upload": names,
    "input_conn_id": optional_text,
}


@dataclass(frozen=True)
class Options:
    """What the arguments of these names turned out to be. See SegmindInferenceOperator for what they mean."""

    deferrable: bool
    wait_for_completion: bool
    timeout: float
    poll_interval: float | None
    expected_duration: float | None
    durable: bool
    on_unresolved_submit: str
    upload: tuple[str, ...]
    input_conn_id: str | None

    @classmethod
    def of(cls, operator: object) -> Self:
        """
        Return those of an operator whose templates have been rendered.

        :raises InvalidParameterError: If one is wrong.
        """
        return cls(**{name: check(name, getattr(operator, name)) for name, check in CHECKS.items()})


def check_literals(operator: object) -> None:
    """
    Check what is known when the DAG is parsed.

    :raises InvalidParameterError: If one is wrong.
    """
    for name, check in CHECKS.items():
        if is_literal(value := getattr(operator, name)):
            check(name, value)
