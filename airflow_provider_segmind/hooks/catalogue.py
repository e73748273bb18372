"""
Segmind's public catalogue, as a worker asks for it: rarely, for a short time, and without ever failing a task.

The catalogue needs no key, so that asking for it takes no turn in the key's budget.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.call import Service
from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.exceptions import SegmindError

if TYPE_CHECKING:
    from airflow_provider_segmind.api.answers import Model
    from airflow_provider_segmind.hooks.segmind import SegmindHook

LIFETIME = 3 * 3600.0
"""Seconds for which a process goes by what the catalogue said, or by its silence."""

LONGEST_CALL = 5.0
"""Seconds for the whole answer: a task waits for it before its submit."""

MOST_PLATFORMS = 10
"""Addresses whose catalogues are remembered."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Catalogue:
    models: Mapping[str, Model]
    asked_at: float


_catalogues: dict[str, _Catalogue] = {}
"""By the address of the platform."""


def find_model(hook: SegmindHook, slug: str) -> Model | None:
    """
    Return a model as the public catalogue has it; None if it does not, or cannot be read now.

    A process asks at most once in three hours, whatever comes of it. That takes five seconds at most.
    """
    transport = hook.get_conn()
    platform = transport.connection.urls[Service.PLATFORM]
    known = _catalogues.get(platform)
    if known is None or not 0 <= time.monotonic() - known.asked_at < LIFETIME:
        known = _Catalogue(_ask(hook, min(LONGEST_CALL, transport.connection.timeout)), time.monotonic())
        if len(_catalogues) >= MOST_PLATFORMS:
            _catalogues.clear()
        _catalogues[platform] = known
    return known.models.get(slug)


def _ask(hook: SegmindHook, seconds: float) -> Mapping[str, Model]:
    """Return the models of the catalogue by their slugs; none if it cannot be read now."""
    try:
        return {model.slug: model for model in hook.send(replace(calls.models(), timeout=seconds))}
    except SegmindError as error:
        log.info(
            "Segmind's catalogue cannot be read, so that parameters are not compared with it: %s", error.facts
        )
    except Exception as error:  # noqa: BLE001 - the catalogue is a hint: no trouble with it ends a task
        log.info("Segmind's catalogue cannot be read: %s", one_line(f"{type(error).__name__}: {error}"))
    return {}
