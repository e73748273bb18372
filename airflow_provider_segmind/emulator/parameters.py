"""What the gateway says about a request's parameters before it accepts the job."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_segmind.emulator.models import Model, Parameter


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a submit is not accepted: 400 for a missing field, 406 for a rejected value."""

    status: int
    message: str


_FETCHABLE = ("http://", "https://", "data:")


def complete(model: Model, given: Mapping[str, Any]) -> dict[str, Any] | Refusal:
    """The parameters with defaults filled in and numbers sent as strings converted, or the refusal."""
    completed = {name: value for name, value in given.items() if value is not None}
    for parameter in model.parameters:
        if parameter.name not in completed:
            if parameter.required:
                return Refusal(400, f"Missing required field: {parameter.name}")
            if parameter.default is not None:
                completed[parameter.name] = parameter.default
            continue
        value = _convert(parameter, completed[parameter.name])
        if value is None:
            return Refusal(406, _rejection(parameter, completed[parameter.name]))
        completed[parameter.name] = value
    return completed


def unreadable_input(model: Model, parameters: Mapping[str, Any]) -> str | None:
    """The error of a job whose image URL no worker can open; such a submit is accepted and fails later."""
    for parameter in model.parameters:
        value = parameters.get(parameter.name)
        if parameter.uri and isinstance(value, str) and not value.lower().startswith(_FETCHABLE):
            return f"Failed to download {parameter.name}: unsupported URL {value[:200]!r}"
    return None


def _convert(parameter: Parameter, value: Any) -> Any:
    if parameter.type in {"integer", "number"}:
        return _convert_number(parameter, value)
    expected: type | tuple[type, ...] = {"string": str, "array": list, "object": dict}[parameter.type]
    if not isinstance(value, expected) or (parameter.choices and value not in parameter.choices):
        return None
    return value


def _convert_number(parameter: Parameter, value: Any) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(number):
        return None
    if parameter.type == "integer" and not number.is_integer():
        return None
    if parameter.choices and number not in parameter.choices:
        return None
    if parameter.minimum is not None and number < parameter.minimum:
        return None
    if parameter.maximum is not None and number > parameter.maximum:
        return None
    return int(number) if parameter.type == "integer" else number


def _rejection(parameter: Parameter, value: Any) -> str:
    message = f"Invalid value for parameter '{parameter.name}': {str(value)[:200]!r}"
    if parameter.choices:
        return f"{message}. Allowed values: {', '.join(map(str, parameter.choices))}"
    return f"{message}. Expected {parameter.type}"
