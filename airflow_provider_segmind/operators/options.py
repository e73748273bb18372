"""How a task does its work, as its arguments say: checked literals when a DAG is parsed, then values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from airflow_provider_segmind.api.locations import checked_output_path
from airflow_provider_segmind.arguments import (
    byte_count,
    flag,
    is_literal,
    names,
    optional_seconds,
    optional_text,
    seconds,
)
from airflow_provider_segmind.exceptions import InvalidParameterError

ON_UNRESOLVED_SUBMIT = ("fail", "resubmit")


def optional_place(name: str, value: Any) -> str | None:
    """Return where an output goes, or None, which a template writes as ``None`` or nothing."""
    return None if value in (None, "", "None") else checked_output_path(name, value)


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
    "output_path": optional_place,
    "output_conn_id": optional_text,
    "name_output_after": optional_text,
    "max_output_bytes": byte_count,
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
    output_path: str | None
    output_conn_id: str | None
    name_output_after: str | None
    max_output_bytes: int

    def __post_init__(self) -> None:
        """Check what has to fit together."""
        if self.output_path is not None and not self.wait_for_completion:
            raise InvalidParameterError(
                "output_path", "needs wait_for_completion=True: only then is there an output"
            )
        if self.name_output_after is not None and not (self.output_path or "").endswith("/"):
            raise InvalidParameterError(
                "name_output_after", "needs an output_path that is a folder: text with a slash at its end"
            )

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
    if all(is_literal(getattr(operator, name)) for name in CHECKS):
        Options.of(operator)
