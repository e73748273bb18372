"""
Segmind's public catalogue, as a worker asks for it: rarely, for a short time, and without ever failing a task.

The catalogue needs no key, so that asking for it takes no turn in the key's budget. It is large, and each task
starts a process. So the processes of one user on one machine share the answer in a file.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.call import Call, Response, Service
from airflow_provider_segmind.api.readers import read_models
from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.exceptions import SegmindError
from airflow_provider_segmind.hooks import shared_files
from airflow_provider_segmind.hooks.saving import save

if TYPE_CHECKING:
    from airflow_provider_segmind.api.answers import Model
    from airflow_provider_segmind.hooks.segmind import SegmindHook

LIFETIME = 3 * 3600.0
"""Seconds for which a process, and the machine, go by what the catalogue said."""

LIFETIME_OF_SILENCE = 600.0
"""Seconds for which the processes of a machine do not ask again after a catalogue that could not be read."""

LONGEST_CALL = 5.0
"""Seconds for the whole answer: a task waits for it before its submit."""

MOST_PLATFORMS = 10
"""Addresses whose catalogues are remembered."""

log = logging.getLogger(__name__)


class _Catalogue(NamedTuple):
    models: Mapping[str, Model]
    asked_at: float


_catalogues: dict[str, _Catalogue] = {}
"""By the address of the platform."""


def find_model(hook: SegmindHook, slug: str) -> Model | None:
    """
    Return a model as the public catalogue has it; None if it does not, or cannot be read now.

    A process asks at most once in three hours, whatever comes of it, and only if no other process of the machine
    has asked. That takes five seconds at most.
    """
    transport = hook.get_conn()
    platform = transport.connection.urls[Service.PLATFORM]
    known = _catalogues.get(platform)
    if known is None or not 0 <= time.monotonic() - known.asked_at < LIFETIME:
        seconds = min(LONGEST_CALL, transport.connection.timeout)
        known = _Catalogue(_read_catalogue(hook, platform, seconds), time.monotonic())
        if len(_catalogues) >= MOST_PLATFORMS:
            _catalogues.clear()
        _catalogues[platform] = known
    return known.models.get(slug)


def _read_catalogue(hook: SegmindHook, platform: str, seconds: float) -> Mapping[str, Model]:
    """Return the models of the catalogue by their slugs; none if it cannot be read now."""
    file = _shared_file(platform)
    shared = _read_shared(file) if file is not None else None
    if shared is not None:
        with suppress(SegmindError):  # the file is damaged
            models = _read_models(shared)
            if models or not shared:
                return models
    body = _ask(hook, seconds)
    if file is not None:
        _write_shared(file, body)
    return _read_models(body)


def _read_models(body: bytes) -> Mapping[str, Model]:
    """Read what the host wrote, also if it comes from the file; no models from nothing."""
    models = read_models(calls.models(), Response(200, body=body)) if body else ()
    return {model.slug: model for model in models}


def _ask(hook: SegmindHook, seconds: float) -> bytes:
    """Return the catalogue as it came; nothing if it cannot be read now."""

    def check(call: Call[Any], response: Response) -> bytes:
        return response.body if read_models(call, response) else b""

    asking: Call[Any] = calls.models()
    try:
        return bytes(hook.send(replace(asking, reader=check, timeout=seconds)))
    except SegmindError as error:
        log.info(
            "Segmind's catalogue cannot be read, so that parameters are not compared with it: %s", error.facts
        )
    except Exception as error:  # noqa: BLE001 - the catalogue is a hint: no trouble with it ends a task
        log.info("Segmind's catalogue cannot be read: %s", one_line(f"{type(error).__name__}: {error}"))
    return b""


def _shared_file(platform: str) -> Path | None:
    """Return the file that the processes of this user on this machine share; None if they cannot."""
    try:
        folder = shared_files.open_shared_folder()
    except OSError:  # which the rate limit has its own warning for
        return None
    return folder / f"catalogue-{hashlib.blake2b(platform.encode(), digest_size=16).hexdigest()}.json"


def _read_shared(file: Path) -> bytes | None:
    """Return what another process has got; nothing if it could not read the catalogue; None if none has asked."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as content:
            found = os.fstat(descriptor)
            lifetime = LIFETIME if found.st_size else LIFETIME_OF_SILENCE
            if not stat.S_ISREG(found.st_mode) or not 0 <= time.time() - found.st_mtime < lifetime:
                return None
            return content.read(calls.CATALOGUE_LIMIT)
    except OSError:
        return None


def _write_shared(file: Path, body: bytes) -> None:
    """Share the catalogue. Another process sees all of it, or what was there before."""
    with suppress(OSError):
        save([body], file, 0o600)
        shared_files.delete_old_files(file.parent)
