"""What is worth knowing of a delivered request, as one small document for XCom. docs/xcoms.md shows it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.api.output import output_urls
from airflow_provider_segmind.api.web_address import is_web_address
from airflow_provider_segmind.exceptions import UnusableOutputError
from airflow_provider_segmind.lineage.delivered import Delivered

if TYPE_CHECKING:
    from airflow_provider_segmind.media.stored import ExistingOutput, StoredOutput

SUMMARY_KEY = "summary"
"""The key of the XCom."""

SUMMARY_LIMIT = 16 * 1024
"""Bytes of a summary as JSON. A clip's has some 500: a thousand mapped tasks fill the database with half a MiB."""

FIGURES = ("cost", "remaining_credits", "queue_time", "inference_time", "total_time")

LONGEST_URL = 10_000
LONGEST_PATH = 4096
"""Bytes as JSON. With one of each, the first file has room in every summary."""

LONGEST_WORD = 256
CUT = "…"
"""The end of a text that was longer."""


def summary_of(delivered: Delivered, **of_the_file: Any) -> dict[str, Any]:
    """
    Return the id, the model, the figures (USD, seconds) and the files of a request: 16 KiB of JSON at most.

    A figure that Segmind does not state is None. A text that is too long is cut, and ends with ``…``. ``files``
    has as many as there is room for, at least one if there are any; ``file_count`` is the number of all.

    :param of_the_file: What is known of the one file of a request beside its URL.
    """
    files = [{**file, **of_the_file} for file in _files(delivered)]
    summary: dict[str, Any] = {
        "request_id": _cut(delivered.result.request_id, LONGEST_WORD),
        "model": None if delivered.model is None else _cut(delivered.model, LONGEST_WORD),
        **{name: delivered.figure(name) for name in FIGURES},
        "file_count": len(files),
        "files": [],
    }
    return {**summary, "files": _fitting(files, SUMMARY_LIMIT - _size(summary))}


def summary_of_kept(
    model: str | None, request_id: str | None, outputs: Sequence[ExistingOutput]
) -> dict[str, Any]:
    """
    Return the same of files that were there before, and cost nothing now.

    :param request_id: Of the request that made them, if that is known.
    """
    files = [_stored_file(each) for each in outputs]
    return {
        "request_id": request_id,
        "model": None if model is None else _cut(model, LONGEST_WORD),
        **dict.fromkeys(FIGURES),
        "cost": 0.0,
        "file_count": len(files),
        "files": _fitting(files, SUMMARY_LIMIT - 2 * LONGEST_WORD - 512),
    }


def _fitting(files: Sequence[dict[str, Any]], room: int) -> list[dict[str, Any]]:
    """Return the first of the files: as many as there is room for."""
    listed = []
    for file in files:
        room -= _size(file) + len(", ")
        if room < 0:
            break
        listed.append(file)
    return listed


def _stored_file(stored: StoredOutput | ExistingOutput) -> dict[str, Any]:
    known = {
        "output_path": _cut(stored.path, LONGEST_PATH),
        "bytes": stored.size,
        "sha256": stored.sha256,
        "content_type": stored.content_type and _cut(stored.content_type, LONGEST_WORD),
    }
    return {name: value for name, value in known.items() if value is not None}


def _files(delivered: Delivered) -> Iterator[dict[str, Any]]:
    """Return what is known of each file. They are stored in the order of their URLs."""
    for url, stored in zip_longest(_urls(delivered), delivered.stored):
        file: dict[str, Any] = {}
        if url is not None:
            file["url"] = _cut(url, LONGEST_URL)
        if stored is not None:
            file |= _stored_file(stored)
        yield file


def _urls(delivered: Delivered) -> list[str]:
    """Return the URLs of all files; of an answer without a body, that of the file which a task has made of it."""
    try:
        return output_urls(delivered.result)
    except UnusableOutputError:
        return [delivered.output] if is_web_address(delivered.output) else []


def _cut(text: str, most: int) -> str:
    """Return a text that takes no more bytes as JSON, where a letter beyond ASCII takes six or twelve."""
    if _size(text) <= most:
        return text
    kept = text[:most]
    while (size := _size(kept + CUT)) > most:
        kept = kept[: min(len(kept) * most // size, len(kept) - 1)]
    return kept + CUT


def _size(document: object) -> int:
    return len(json.dumps(document))
