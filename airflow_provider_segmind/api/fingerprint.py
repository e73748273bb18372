"""Telling whether two requests are alike, though Segmind may write the inputs of one in its own way."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def fingerprint(model: str, parameters: Mapping[str, Any]) -> str:
    """
    Return the SHA-256 of a model and its parameters, as canonical JSON.

    The same for any order of the keys, for ``5``, ``5.0`` and ``"5"``, and with or without parameters that are
    null: the request history may return the inputs of a request in any of these ways.
    """
    document = json.dumps([model, _canonical(parameters)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(document.encode()).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _canonical(part) for name, part in value.items() if part is not None}
    if isinstance(value, (list, tuple)):
        return [_canonical(part) for part in value]
    if value is None or isinstance(value, bool):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return str(value)
    return str(number) if number == number and abs(number) < 1e15 else str(value)
