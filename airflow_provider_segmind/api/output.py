"""Where the output of a model is in its result."""

from __future__ import annotations

from typing import Any

from airflow_provider_segmind.api.answers import RequestReport
from airflow_provider_segmind.exceptions import UnusableOutputError


def model_output(result: RequestReport) -> Any:
    """
    Return what the model made: a URL, a list of URLs, text, or whatever the model's ``output`` is.

    The address of the ``video`` where there is one, as for Kling; else ``output``, which Segmind promises for
    every model; where that is empty, the addresses of the ``images``, and the whole body at last.
    """
    video = _url(result.body.get("video"))
    if video is not None:
        return video
    output = result.body.get("output")
    if output not in (None, "", [], {}):
        return output
    return _urls(result.body.get("images")) or result.body


def video_url(result: RequestReport) -> str:
    """
    Return the address of the video: ``video.url``, else the first one in ``output``.

    :raises UnusableOutputError: If there is none.
    """
    found = _url(result.body.get("video")) or next(iter(_urls(result.body.get("output"))), None)
    if found is None:
        keys = sorted(result.body)
        raise UnusableOutputError(f"there is no video URL among the keys {keys}", request_id=result.request_id)
    return found


def output_urls(result: RequestReport) -> list[str]:
    """
    Return the addresses of all files that the model made.

    :raises UnusableOutputError: If there are none.
    """
    video = _url(result.body.get("video"))
    found = [video] if video else _urls(result.body.get("output")) or _urls(result.body.get("images"))
    if not found:
        raise UnusableOutputError("there is no file to store in it", request_id=result.request_id)
    return found


def _urls(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [url for url in map(_url, values) if url]


def _url(value: object) -> str | None:
    if isinstance(value, dict):
        return _url(value.get("url")) or _url(value.get("video")) or _url(value.get("video_url"))
    return value if isinstance(value, str) and value.startswith(("https://", "http://")) else None
