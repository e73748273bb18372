"""
Looking at a request before it costs money: whether its parameters are those that its model has.

Only a request that is about to be submitted is looked at. One that is paid for is never held up.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.api import kling
from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.exceptions import InvalidParameterError

if TYPE_CHECKING:
    from airflow_provider_segmind.api.parameter_check import Finding
    from airflow_provider_segmind.hooks.segmind import SegmindHook
    from airflow_provider_segmind.media.inputs import Inputs

_CATALOGUE = "Segmind's catalogue"

log = logging.getLogger(__name__)


def compare_with_catalogue(mode: str, model: str, parameters: Mapping[str, Any], hook: SegmindHook) -> None:
    """
    Compare parameters with the model's entry in Segmind's catalogue.

    :param mode: ``"warn"`` logs a warning for each difference, ``"error"`` raises, ``"off"`` asks for nothing.
    :raises InvalidParameterError: In the mode ``"error"``, if there is a difference. A catalogue that cannot be
        read, or does not have the model, is none.
    """
    if mode == "off":
        return
    findings = _find_problems(model, parameters, hook)
    if mode == "error" and findings:
        first, *others = findings
        also = f". Also: {'; '.join(map(str, others))}" if others else ""
        problem = _sentence(f"{first.problem}{also}")
        raise InvalidParameterError(
            first.name,
            f'{problem} {_CATALOGUE} says so, and check_parameters is "error": nothing was submitted. Correct it, '
            'or set check_parameters to "warn"',
        )
    for finding in findings:
        log.warning("Parameter %s %s says so; submitting it all the same", _sentence(str(finding)), _CATALOGUE)


def warn_of_frames(mode: str, inputs: Inputs) -> None:
    """
    Warn of what other hosts of Kling O1 refuse: of its prompt, and of the images that are to be uploaded.

    Segmind publishes no such limits, so that it is never an error.

    :raises SegmindError: If an image cannot be read. The upload would end in the same way.
    """
    if mode == "off" or inputs.model != kling.MODEL:
        return
    for doubt in kling.find_doubts(inputs.parameters, _read_frames(inputs)):
        log.warning("Parameter %s. Segmind publishes no limit; submitting it all the same", doubt)


def _sentence(text: str) -> str:
    return text if text.endswith("?") else f"{text}."


def _find_problems(model: str, parameters: Mapping[str, Any], hook: SegmindHook) -> list[Finding]:
    """Return what is wrong with the parameters by the catalogue; nothing if they cannot be compared."""
    try:
        # What compares takes long to import. Only a submit needs it.
        from airflow_provider_segmind.api.catalogue import read_parameters
        from airflow_provider_segmind.api.parameter_check import find_problems
        from airflow_provider_segmind.hooks.catalogue import find_model

        found = find_model(hook, model)
        known = read_parameters(found) if found is not None else None
        return find_problems(parameters, known, model) if known is not None else []
    except Exception as error:  # noqa: BLE001 - a host's bytes, or a library's trouble with them, must not end a task
        log.info(
            "Parameters are not compared with %s: %s", _CATALOGUE, one_line(f"{type(error).__name__}: {error}")
        )
        return []


def _read_frames(inputs: Inputs) -> dict[str, kling.Frame]:
    """Return what is known of the images that are uploaded. Those at a URL are not fetched."""
    from airflow_provider_segmind.media.image_size import image_size

    frames = {}
    for name in kling.IMAGES:
        file = inputs.files.get(str(inputs.parameters.get(name)))
        if file is not None and file.content:  # else it has been uploaded, and looked at before
            frames[name] = kling.Frame(file.media_type, len(file.content), image_size(file.content))
    return frames
