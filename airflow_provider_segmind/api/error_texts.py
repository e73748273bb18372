"""What an answer says went wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow_provider_segmind.api.text import one_line

_NAMES = ("error", "error_message", "detail", "message")


def error_text(document: Mapping[str, Any]) -> str:
    """
    Return the explanation in an answer, on one line; empty if there is none.

    It is the first that is there of ``error``, ``error_message``, ``detail`` and ``message``, each of which may be
    an object with one of these in it. A code in ``error`` is followed by its ``error_description``.
    """
    words = next(filter(None, (_words(document.get(name)) for name in _NAMES)), "")
    description = _words(document.get("error_description"))
    return one_line(": ".join(dict.fromkeys(filter(None, (words, description)))))


def _words(part: object) -> str:
    if isinstance(part, str):
        return one_line(part)
    if isinstance(part, Mapping):
        inner = next((part[name] for name in _NAMES if isinstance(part.get(name), str) and part[name]), None)
        if inner is not None:
            return one_line(inner)
    if not part or isinstance(part, bool):
        return ""
    try:
        return one_line(json.dumps(part))
    except (TypeError, ValueError, RecursionError):
        return ""
