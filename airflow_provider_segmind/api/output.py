"""Where the output of a model is in its result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.api.documents import Allowance, read_text
from airflow_provider_segmind.api.text import first_names
from airflow_provider_segmind.api.web_address import is_web_address
from airflow_provider_segmind.exceptions import UnusableOutputError

if TYPE_CHECKING:
    from airflow_provider_segmind.api.answers import RequestReport

MOST_OUTPUTS = 100
"""Files of one request that are stored. Models make four or so: a result with more is a mistake or an attack."""

_ADDRESSES = ("https://", "http://", "data:")
_NAME, _VALUE = "keyname", "value"
"""Of an output of a workflow, in the list of them that a result has as a JSON text: Segmind's documentation."""

_DEEPEST_URL = 4
"""Levels of objects around an address; those that were seen have two."""


def model_output(result: RequestReport) -> Any:
    """
    Return what the model made: a URL, a list of URLs, text, or whatever the model's ``output`` is.

    The address of the ``video`` where there is one, as for Kling; else ``output``, which Segmind promises for
    every model, and which is a dict for a workflow; where that is empty, the addresses of the ``images``, and the
    whole body at last.
    """
    video = _url(result.body.get("video"))
    if video is not None:
        return video
    outputs = workflow_outputs(result)
    if outputs is not None:
        return outputs
    output = result.body.get("output")
    if output not in (None, "", [], {}):
        return output
    return _urls(result.body.get("images")) or result.body


def workflow_outputs(result: RequestReport) -> dict[str, Any] | None:
    """
    Return the outputs of a run of a workflow by their names; None if the result has another form.

    Segmind writes them as a JSON text: ``[{"keyname": "image", "value": "https://…"}]``. An output without a name
    is called by its number, from 1. Of several with the same name, the second is called ``name_2``, and so on.
    """
    text = result.body.get("output")
    listed = text
    if isinstance(text, str):
        if not text.lstrip().startswith("[") or f'"{_NAME}"' not in text:
            return None
        try:
            listed = read_text(text, Allowance())
        except ValueError:
            return None
    if not isinstance(listed, list) or not listed or not all(map(_is_workflow_output, listed)):
        return None
    outputs: dict[str, Any] = {}
    for number, each in enumerate(listed, start=1):
        name = str(each[_NAME]) or str(number)
        same = sum(name == other or other.startswith(f"{name}_") for other in outputs)
        outputs[name if name not in outputs else f"{name}_{same + 1}"] = each.get(_VALUE)
    return outputs


def _is_workflow_output(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get(_NAME), str) and _VALUE in value


def video_url(result: RequestReport) -> str:
    """
    Return the address of the video: ``video.url``, else the first one in ``output``, ``video_url`` or ``videos``.

    :raises UnusableOutputError: If there is none.
    """
    body = result.body
    candidates = (
        body.get("video"),
        *_as_list(body.get("output")),
        body.get("video_url"),
        *_as_list(body.get("videos")),
    )
    found = next(filter(None, map(_url, candidates)), None)
    if found is None:
        keys = first_names(result.body)
        raise UnusableOutputError(
            f"the result has no video URL; its keys are {keys}", request_id=result.request_id
        )
    return found


def output_urls(result: RequestReport) -> list[str]:
    """
    Return the addresses of all files that the model made, each one once.

    They are in ``video``, ``output`` or ``images``. If there is none, whatever the result describes by an object
    with a ``url`` is a file, such as ``{"audio": {"url": …}}``: models differ in the names that they use. Of a
    workflow, each value that is an address, or a list of addresses, is a file.

    :raises UnusableOutputError: If there are none, or more than 100.
    """
    video = _url(result.body.get("video"))
    found = [video] if video else _urls(result.body.get("output")) or _urls(result.body.get("images"))
    outputs = None if found else workflow_outputs(result)
    for value in outputs.values() if outputs else ():
        found += _urls(value) or list(_files(value, _DEEPEST_URL))
    found = found or list(_files(result.body, _DEEPEST_URL))
    distinct = list(dict.fromkeys(found))
    if not distinct:
        raise UnusableOutputError("the result contains no file to store", request_id=result.request_id)
    if len(distinct) > MOST_OUTPUTS:
        raise UnusableOutputError(
            f"the result contains {len(distinct)} files; at most {MOST_OUTPUTS} are stored",
            request_id=result.request_id,
        )
    return distinct


def output_text(result: RequestReport) -> str | None:
    """Return the text that a model made; None if it made files, or nothing, or what is meant as an address."""
    body = result.body
    output = body.get("output")
    if not isinstance(output, str) or not output.strip() or output.strip().lower().startswith(_ADDRESSES):
        return None
    if workflow_outputs(result) is not None:
        return None
    has_files = _url(body.get("video")) or _urls(body.get("images")) or any(_files(body, _DEEPEST_URL))
    return None if has_files else output


def _urls(value: object) -> list[str]:
    return [url for url in map(_url, _as_list(value)) if url]


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _files(value: object, levels: int) -> Iterator[str]:
    """Yield the addresses of all objects with a ``url``, in order."""
    if isinstance(value, dict) and is_web_address(value.get("url")):
        yield value["url"]
        return
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts if levels else ():
        yield from _files(part, levels - 1)


def _url(value: object, levels: int = _DEEPEST_URL) -> str | None:
    if isinstance(value, dict):
        url = value.get("url")
        if (
            isinstance(url, str) and " " in url.strip()
        ):  # a name that its host has not encoded; elsewhere it is text
            url = url.replace(" ", "%20")
        inner = (url, value.get("video"), value.get("video_url"))
        return next(filter(None, (_url(part, levels - 1) for part in inner)), None) if levels else None
    return value if is_web_address(value) else None
