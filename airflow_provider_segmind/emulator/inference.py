"""The gateway: running models through v1 and v2, and looking at requests."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.emulator import errors, results
from airflow_provider_segmind.emulator.answers import Answer, json_answer
from airflow_provider_segmind.emulator.jobs import COMPLETED, FAILED, Fate, Job, Outcome
from airflow_provider_segmind.emulator.media import image_bytes
from airflow_provider_segmind.emulator.models import Modality, Model, workflow
from airflow_provider_segmind.emulator.parameters import Refusal, complete, unreadable_input

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_segmind.emulator.serving import Call

_SYNC_CHECK_SECONDS = 0.25
_CLIENT_LEFT = 499


async def submit(call: Call) -> Answer:
    """`POST /v2/{slug}`: accept a job."""
    return _submit_answer(call, await _accept(call, _find_model(call)))


async def submit_workflow(call: Call) -> Answer:
    """`POST /workflows/v2/{slug}`: accept a run of any PixelFlow."""
    return _submit_answer(call, await _accept(call, workflow(call.slug)))


async def run_sync(call: Call) -> Answer:
    """`POST /v1/{slug}`: accept a job and hold the connection until it ends."""
    job = await _accept(call, _find_model(call))
    if isinstance(job, Answer):
        return job
    while (remaining := job.finishes_at - call.state.clock.now()) > 0:
        await asyncio.sleep(min(remaining, _SYNC_CHECK_SECONDS))
        if call.client_left:
            return Answer(_CLIENT_LEFT, request_id=job.request_id)
    if job.state(call.state.clock.now()) == FAILED:
        return json_answer({"error": job.error}, 422, request_id=job.request_id)
    return await _raw_output(call, job)


async def status(call: Call) -> Answer:
    """`GET /v2/requests/{id}/status`."""
    return _describe(call, "status", results.status_body)


async def result(call: Call) -> Answer:
    """`GET /v2/requests/{id}`."""
    answer = _describe(call, "result", results.result_body)
    job = call.state.jobs.get(call.request_id or "")
    if answer.status != 200 or job is None or job.state(call.state.clock.now()) == COMPLETED:
        return answer
    world = call.state.world
    if world.running_body == "error":
        return errors.error(world.running_status, "Request is still being processed")
    return replace(answer, status=world.running_status)


async def legacy_result(call: Call) -> Answer:
    """The older poll URL."""
    return _describe(call, "legacy_poll", results.result_body)


async def credits_left(call: Call) -> Answer:
    """`GET /v1/get-user-credits`."""
    return json_answer({"credits": call.state.ledger.balance(call.state.clock.now())})


def _describe(call: Call, endpoint: str, body: Callable[[Job, str, float], dict[str, Any]]) -> Answer:
    now = call.state.clock.now()
    job = call.state.jobs.get(call.request_id or "")
    if job is None or job.expired(now, call.state.settings.retention):
        return errors.not_found(endpoint)
    document = body(job, call.base, now)
    if call.state.world.optional_keys == "absent":
        document = results.without_optional_keys(document)
    return json_answer(document, 422 if job.state(now) == FAILED else 200)


def _submit_answer(call: Call, job: Job | Answer) -> Answer:
    if isinstance(job, Answer):
        return job
    return json_answer(results.submit_body(job, call.base), request_id=job.request_id)


def _find_model(call: Call) -> Model | Answer:
    model = call.state.models.get(call.slug)
    if model is None:
        return errors.error(404, f"Model not found: {call.slug}")
    if model.retired:
        return errors.error(410, f"Model {model.slug} has been retired")
    return model


async def _accept(call: Call, model: Model | Answer) -> Job | Answer:
    if isinstance(model, Answer):
        return model
    sent = await json_object(call)
    if isinstance(sent, Answer):
        return sent
    parameters = complete(model, sent)
    if isinstance(parameters, Refusal):
        return errors.error(parameters.status, parameters.message)
    available, need = call.state.ledger.available(call.state.clock.now()), model.cost(parameters)
    if need > available:
        status = call.state.world.no_credits_status if call.endpoint == "submit" else 406
        return errors.insufficient_credits(available, need, status)
    fate = call.fate or Fate()
    trouble = unreadable_input(model, parameters)
    if trouble and call.fate is None:
        fate = Fate(Outcome.FAILED, trouble)
    return call.state.accept(model, sent, parameters, call.api_key, fate)


async def json_object(call: Call) -> dict[str, Any] | Answer:
    """The JSON object that a POST carries, or the refusal."""
    if call.request.content_type != "application/json":
        return errors.error(406, "Content-Type must be application/json")
    try:
        document = json.loads(await call.request.read())
    except (ValueError, RecursionError):
        return errors.error(400, "Request body is not valid JSON")
    if not isinstance(document, dict):
        return errors.error(400, "Request body must be a JSON object")
    return document


async def _raw_output(call: Call, job: Job) -> Answer:
    headers = {
        "x-request-id": job.request_id,
        "x-cost": f"{job.cost:g}",
        "x-remaining-credits": f"{job.balance:g}",
        "x-generation-time": f"{job.inference_seconds:.3f}",
        "x-seed-value": str(job.seed),
    }
    if job.model.modality is Modality.VIDEO:
        path = await call.state.videos.file(job)
        return Answer(200, b"", "video/mp4", headers, path, job.request_id)
    if job.model.modality is Modality.IMAGE:
        return Answer(200, image_bytes(job.seed), "image/png", headers, None, job.request_id)
    if job.model.modality is Modality.CHAT:
        return json_answer(results.chat_completion(job), 200, headers, job.request_id)
    body = results.result_body(job, call.base, call.state.clock.now())
    return json_answer({"status": COMPLETED, "output": body.get("output")}, 200, headers, job.request_id)
