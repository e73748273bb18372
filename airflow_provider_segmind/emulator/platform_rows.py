"""The rows of the platform's two lists: what a request looks like in the history and among the generations."""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.emulator.clock import utc_iso
from airflow_provider_segmind.emulator.jobs import COMPLETED, FAILED, Job, canonical
from airflow_provider_segmind.emulator.results import output_urls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_segmind.emulator.serving import Call

_MEDIA = re.compile(r"(https?|data|s3|gs):", re.IGNORECASE)
_NOT_YET_RECORDED = dict.fromkeys(("status", "credits_deduction", "latency_ms", "prompt", "parameters"))


def listed_jobs(call: Call) -> Iterator[Job]:
    """The jobs whose rows the caller's lists may hold."""
    everyones = call.state.world.history_owner == "team"
    return (job for job in call.state.jobs if (everyones or is_callers(call, job)) and not _is_gone(call, job))


def is_callers(call: Call, job: Job) -> bool:
    """Whether the account that asks is the one that submitted the job."""
    return call.state.account_of(call.api_key) == call.state.account_of(job.api_key)


def history_rows(call: Call, job: Job) -> list[dict[str, Any]]:
    """The rows of a job in the history, one for each output; none before it is recorded and once it is gone."""
    now, world = call.state.clock.now(), call.state.world
    if now < _recorded_at(call, job) or _is_gone(call, job):
        return []
    state = job.state(now - world.history_lag)
    status = state if state in (COMPLETED, FAILED) else "PENDING"
    is_over = status != "PENDING"
    urls = _urls(call, job) if status == COMPLETED else [None]
    sent = _inputs(call, job)
    created_at = job.accepted_at if world.history_created == "accepted" else _recorded_at(call, job)
    return [
        {
            "request_id": _listed_id(call, job),
            "model_name": job.model.slug,
            "model_status": status,
            "credits_deduction": job.cost if status == COMPLETED else 0.0,
            "request_body": repr(sent) if world.history_bodies == "literal" else json.dumps(sent),
            "generation_url": url,
            "latency_ms": _latency_ms(job) if is_over else None,
            "model_created": utc_iso(created_at),
            "model_updated": utc_iso(max(created_at, job.finishes_at if is_over else job.accepted_at)),
            "error": job.error if status == FAILED else None,
        }
        for url in urls
    ]


def generation_rows(call: Call, job: Job) -> list[dict[str, Any]]:
    """The rows of a job in the list of generations, one for each output; none for a job without one."""
    now, world = call.state.clock.now(), call.state.world
    if job.state(now - world.generations_lag) != COMPLETED or _is_gone(call, job):
        return []
    account = call.state.account_of(job.api_key)
    recorded = now >= job.finishes_at + world.history_lag
    inputs = _inputs(call, job)
    record = {
        "status": COMPLETED,
        "credits_deduction": job.cost,
        "latency_ms": _latency_ms(job),
        "prompt": inputs.get("prompt"),
        "parameters": inputs,
    }
    return [
        {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, url)),
            "request_id": _listed_id(call, job),
            "created_at": utc_iso(job.finishes_at),
            "updated_at": utc_iso(job.finishes_at),
            "model_name": job.model.slug,
            "generation_url": url,
            "user_id": str(uuid.uuid5(uuid.NAMESPACE_OID, account)),
            "user_email": f"teammate-{account[-4:]}@example.com" if account else "me@example.com",
            **(record if recorded else _NOT_YET_RECORDED),
        }
        for url in _urls(call, job)
        if url is not None
    ]


def _recorded_at(call: Call, job: Job) -> float:
    """Epoch seconds at which the history has the job."""
    world = call.state.world
    return world.history_lag + (job.accepted_at if world.history_rows == "at_once" else job.finishes_at)


def _is_gone(call: Call, job: Job) -> bool:
    return call.state.world.history_after_expiry == "missing" and _is_expired(call, job)


def _is_expired(call: Call, job: Job) -> bool:
    return call.state.clock.now() >= job.accepted_at + call.state.settings.retention


def _urls(call: Call, job: Job) -> list[str | None]:
    if call.state.world.history_after_expiry != "complete" and _is_expired(call, job):
        return [None]
    return [*output_urls(job, call.base)] or [None]


def _listed_id(call: Call, job: Job) -> str:
    return canonical(job.request_id) if call.state.world.ids == "mixed" else job.request_id


def _latency_ms(job: Job) -> int:
    return round((job.finishes_at - job.accepted_at) * 1000)


def _inputs(call: Call, job: Job) -> dict[str, Any]:
    """The inputs of a job as a row shows them."""
    form = call.state.world.history_media
    if form == "as_sent":
        return dict(job.sent)
    shown = {}
    for name, value in job.sent.items():
        if not _is_media(value):
            shown[name] = value
        elif form == "rewritten":
            shown[name] = f"{call.base}/inputs/{uuid.uuid5(uuid.NAMESPACE_URL, f'{job.request_id}/{name}')}"
    return shown


def _is_media(value: object) -> bool:
    if isinstance(value, list):
        return any(map(_is_media, value))
    return isinstance(value, str) and _MEDIA.match(value) is not None
