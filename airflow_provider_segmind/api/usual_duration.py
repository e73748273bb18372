"""What of a request's parameters decides how long it takes, and how long one of its kind may usually take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from airflow_provider_segmind.api import kling
from airflow_provider_segmind.api.expectation import GIVEN_SPREAD, KNOWN, Expectation
from airflow_provider_segmind.api.values import read_number

DRIVER = "duration"
"""The parameter that decides how long a request takes: the seconds of video, which Segmind's models call so."""

MOST_SECONDS = 3600
"""More seconds of video than any model makes. A larger number is a mistake, not another kind."""

CAUTION = 3.0
"""Spreads beyond the typical duration: one request in 740 takes longer, if durations are lognormal."""

LONGEST_CLIP_FACTOR: Mapping[tuple[str, float], float] = {(kling.MODEL, 10): 4 / 3}
"""
How much longer a kind takes than the mean on the page of its model. For Kling O1, 144.5 s is a mean over clips of
5 s and of 10 s. If both are as frequent, and the time grows with the length, one of 10 s takes 4/3 of it.
"""

OF_UNKNOWN_MODEL = 1650.0
"""Seconds: the same caution for the slowest model whose mean is known, kling-v2-pro-avatar with 779 s."""


def variant_of(parameters: Mapping[str, Any] | None) -> str | None:
    """
    Return what tells requests to one model apart by how long they take, such as ``duration=10``.

    None where no parameter says so. Only a plausible number counts, so that a variant is short.
    """
    seconds = _read_seconds(parameters)
    return None if seconds is None else f"{DRIVER}={seconds:g}"


def latest_usual_duration(
    model: str | None, parameters: Mapping[str, Any] | None = None, expected_duration: float | None = None
) -> float:
    """
    Return the seconds from its submission after which a request has ended, unless something is wrong.

    It is for decisions about money, such as when a submit counts as never accepted: so it depends on nothing that
    a process has seen, and is generous where nothing is known.

    :param parameters: As they are sent; the one that decides how long the request takes is read.
    :param expected_duration: Seconds that such a request usually takes, if the user said so.
    """
    if expected_duration is not None:
        return _latest(Expectation(expected_duration, GIVEN_SPREAD))
    if model is None or model not in KNOWN:
        return OF_UNKNOWN_MODEL
    factor = LONGEST_CLIP_FACTOR.get((model, _read_seconds(parameters) or 0), 1.0)
    return factor * _latest(KNOWN[model])


def _latest(expected: Expectation) -> float:
    return expected.typical * math.exp(CAUTION * expected.spread)


def _read_seconds(parameters: Mapping[str, Any] | None) -> float | None:
    seconds = read_number((parameters or {}).get(DRIVER), 0, MOST_SECONDS)
    return seconds or None
