"""The JSON bodies that describe a job."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.emulator.jobs import COMPLETED, FAILED, Job
from airflow_provider_segmind.emulator.media import IMAGE_SIZE, image_bytes, video_bytes_count
from airflow_provider_segmind.emulator.models import Modality

if TYPE_CHECKING:
    from collections.abc import Callable

_OPTIONAL = frozenset({"request_id", "status_url", "response_url", "seed", "prompt"})


def links(job: Job, base: str) -> dict[str, str]:
    """The v2 URLs of a job below `base` (scheme and host)."""
    url = f"{base}/v2/requests/{job.request_id}"
    return {"status_url": f"{url}/status", "response_url": url}


def submit_body(job: Job, base: str) -> dict[str, Any]:
    """The answer to a submit."""
    return {
        "request_id": job.request_id,
        "status": "QUEUED",
        "poll_url": f"{base}/v1/requests/{job.request_id}",
        **links(job, base),
    }


def metrics(job: Job) -> dict[str, Any]:
    """Timing of a finished job, and its billing unless it failed."""
    timings = {
        "inference_time": round(job.inference_seconds, 3),
        "queue_time": round(job.queue_seconds, 3),
        "total_time": round(job.finishes_at - job.accepted_at, 3),
    }
    return timings if job.fails else {"cost": job.cost, "remaining_credits": job.balance, **timings}


def status_body(job: Job, base: str, now: float) -> dict[str, Any]:
    """The answer of the status endpoint."""
    state = job.state(now)
    if state == FAILED:
        return {"status": FAILED, "error": job.error, "metrics": metrics(job)}
    return {
        "status": state,
        "request_id": job.request_id,
        **links(job, base),
        "metrics": metrics(job) if state == COMPLETED else {},
    }


def result_body(job: Job, base: str, now: float) -> dict[str, Any]:
    """The answer of the result endpoint: the status body until the job is COMPLETED."""
    if job.state(now) != COMPLETED:
        return status_body(job, base, now)
    return {
        "status": COMPLETED,
        "request_id": job.request_id,
        **_OUTPUTS[job.model.modality](job, base),
        "metrics": metrics(job),
        "error": None,
        "seed": job.seed,
        **({"prompt": job.parameters["prompt"]} if "prompt" in job.parameters else {}),
    }


def without_optional_keys(document: dict[str, Any]) -> dict[str, Any]:
    """An answer as captured from the live API: keys are missing, and the size of a file is text."""
    kept = {name: value for name, value in document.items() if name not in _OPTIONAL and value not in ({}, None)}
    if document["status"] == FAILED:
        kept["metrics"] = {name: value for name, value in document["metrics"].items() if name != "total_time"}
    if "video" in kept:
        kept["video"] = {**kept["video"], "file_size": str(kept["video"]["file_size"])}
    return kept


def output_urls(job: Job, base: str) -> list[str]:
    """Where the files of a completed job are."""
    if job.model.modality is Modality.VIDEO:
        return [f"{base}/outputs/{job.request_id}.mp4"]
    if job.model.modality is Modality.IMAGE:
        count = int(job.parameters.get("samples", 1))
        return [f"{base}/outputs/{job.request_id}-{index}.png" for index in range(count)]
    if job.model.modality is Modality.WORKFLOW:
        return [f"{base}/outputs/{job.request_id}-0.png"]
    return []


def chat_completion(job: Job) -> dict[str, Any]:
    """The native JSON of a chat provider, which the gateway passes through."""
    return {
        "id": f"chatcmpl-{job.request_id}",
        "object": "chat.completion",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": reply(job)}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 8, "completion_tokens": 8, "total_tokens": 16},
    }


def reply(job: Job) -> str:
    """The text that a language model answers."""
    return f"Emulated reply to: {job.parameters.get('prompt') or 'your messages'}"


def _video(job: Job, base: str) -> dict[str, Any]:
    (url,) = output_urls(job, base)
    return {
        "output": url,
        "video": {
            "url": url,
            "content_type": "video/mp4",
            "file_name": f"{job.request_id}.mp4",
            "file_size": video_bytes_count(job),
        },
    }


def _images(job: Job, base: str) -> dict[str, Any]:
    urls = output_urls(job, base)
    width, height = IMAGE_SIZE
    images = [
        {
            "url": url,
            "content_type": "image/png",
            "file_name": url.rpartition("/")[2],
            "file_size": len(image_bytes(job.seed + index)),
            "width": width,
            "height": height,
        }
        for index, url in enumerate(urls)
    ]
    return {"output": urls[0] if len(urls) == 1 else urls, "images": images}


def _text(job: Job, base: str) -> dict[str, Any]:
    return {"output": reply(job)}


def _chat(job: Job, base: str) -> dict[str, Any]:
    return {"output": json.dumps(chat_completion(job))}


def _mock(job: Job, base: str) -> dict[str, Any]:
    return {"output": "ok"}


def _workflow(job: Job, base: str) -> dict[str, Any]:
    (url,) = output_urls(job, base)
    outputs = {"output": f"Emulated run of {job.model.slug}", "image": url}
    return {"output": json.dumps([{"keyname": name, "value": value} for name, value in outputs.items()])}


_OUTPUTS: dict[Modality, Callable[[Job, str], dict[str, Any]]] = {
    Modality.VIDEO: _video,
    Modality.IMAGE: _images,
    Modality.TEXT: _text,
    Modality.CHAT: _chat,
    Modality.MOCK: _mock,
    Modality.WORKFLOW: _workflow,
}
