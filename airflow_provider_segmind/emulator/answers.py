"""What an endpoint has to say, before it is known how (or whether) it is delivered."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response to be: either `body` or the bytes of `file`. `request_id` names the job it is about."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None
    request_id: str | None = None


def json_answer(
    document: Any,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    request_id: str | None = None,
) -> Answer:
    """A JSON document as an answer."""
    return Answer(status, json.dumps(document).encode(), JSON, headers or {}, request_id=request_id)


def html_answer(status: int, title: str) -> Answer:
    """A page such as a proxy in front of an API shows."""
    page = f"<!doctype html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
    return Answer(status, page.encode(), "text/html")
