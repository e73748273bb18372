"""Airflow's metrics of requests. docs/metrics.md lists them, and shows how to ask for what was spent."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol

from airflow_provider_segmind.api.checks import check_model
from airflow_provider_segmind.compat import Stats
from airflow_provider_segmind.exceptions import InvalidParameterError, SegmindError

if TYPE_CHECKING:
    from airflow_provider_segmind.compat import Context
    from airflow_provider_segmind.lineage.delivered import Delivered

COUNTED_KEY = "segmind_counted"
"""The key in a task's record of the last request whose cost it counted."""

UNKNOWN_MODEL = "unknown"
LONGEST_MODEL = 80
"""Characters of a slug in a metric. Airflow drops a name of over 250, which for InfluxDB has the tags in it."""

_WORD = re.compile(r"(?<!^)(?=[A-Z])")

log = logging.getLogger(__name__)


class CountedRequest(Protocol):
    """Where a task writes down the last request whose cost it has counted."""

    def read_counted(self) -> object:
        """Return its id; None if there is none."""

    def write_counted(self, request_id: str) -> None:
        """Write its id down."""


class CountedInTaskState:
    """Airflow's task state store, from 3.3 on. Below, nothing is written down."""

    def __init__(self, context: Context) -> None:
        self._store: Any = context.get("task_state_store")

    def read_counted(self) -> object:
        """Return the id."""
        return self._store.get(COUNTED_KEY) if self._store is not None else None

    def write_counted(self, request_id: str) -> None:
        """Write the id down."""
        if self._store is not None:
            self._store.set(COUNTED_KEY, request_id)


def count_once(delivered: Delivered, counted: CountedRequest) -> None:
    """
    Count what a request cost and took, unless this task has counted that request before.

    The task writes down the id before it counts: if it dies in between, the request is missing from the metrics,
    where the other order would count it twice. A task without a record, which Airflow resumes twice, counts twice.
    """
    request_id = delivered.result.request_id
    try:
        if counted.read_counted() == request_id:
            return
        counted.write_counted(request_id)
    except Exception:
        log.exception("Request %s is missing from the metrics: the task's record did not answer", request_id)
        return
    count(delivered)


def count(delivered: Delivered) -> None:
    """
    Send what a request cost and took to Airflow's metrics. Each call counts, also of the same request.

    Counters: ``segmind.cost`` in USD, and ``segmind.output_bytes`` if it has stored files. Timings:
    ``segmind.queue_time`` and ``segmind.inference_time``. A figure that cannot be one is left out.
    """
    cost = delivered.figure("cost")
    if cost is not None:
        _send("incr", "segmind.cost", cost, delivered.model)
    for name in ("queue_time", "inference_time"):
        seconds = delivered.figure(name)
        if seconds is not None:  # versions of Airflow differ in the unit of a number, and agree on a timedelta
            _send("timing", f"segmind.{name}", timedelta(seconds=seconds), delivered.model)
    if delivered.stored:
        count_bytes(delivered.model, sum(each.size for each in delivered.stored))


def count_bytes(model: str | None, size: int) -> None:
    """Count bytes that were stored: ``segmind.output_bytes``."""
    _send("incr", "segmind.output_bytes", size, model)


def count_failure(model: str | None, error: SegmindError) -> None:
    """Count an attempt that an error ended: ``segmind.failed``, with the error's name as the reason."""
    _send("incr", "segmind.failed", 1, model, reason=_reason(error))


def count_by_name(name: str, model: str | None) -> None:
    """
    Count one more of an event under a name that has the model in it.

    Plain StatsD drops tags, so that the name alone can keep models apart.
    """
    _send_one("incr", _name_with(name, model), 1, {"model": _slug(model)})


def _send(kind: Literal["incr", "timing"], name: str, value: object, model: str | None, **tags: str) -> None:
    """Send a metric under its own name and under one that has the model, and its other tags, in it."""
    all_tags = {"model": _slug(model), **tags}
    _send_one(kind, name, value, all_tags)
    _send_one(kind, _name_with(name, model, *tags.values()), value, all_tags)


def _send_one(kind: Literal["incr", "timing"], name: str, value: object, tags: dict[str, str]) -> None:
    try:
        getattr(Stats, kind)(name, value, tags=tags)
    except Exception:  # the task has been paid for: no metric is worth its failure
        log.exception("Airflow could not send the metric %s", name)


def _name_with(name: str, *parts: str | None) -> str:
    """Return a name with a model and more at its end. A dot separates the parts of a name in StatsD."""
    model, *more = parts
    return ".".join([name, _slug(model).replace(".", "_"), *map(str, more)])


def _slug(model: str | None) -> str:
    """Return a model as a tag or a name may have it. One from a template may be any text."""
    try:
        return check_model(model)[:LONGEST_MODEL]
    except InvalidParameterError:
        return UNKNOWN_MODEL


def _reason(error: SegmindError) -> str:
    """Return the name of an error as a metric writes it: ``rate_limited`` for RateLimitedError."""
    return _WORD.sub("_", type(error).__name__.removesuffix("Error")).lower()
