"""The storage API and the public files: uploaded assets and the outputs of jobs."""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_segmind.emulator import errors
from airflow_provider_segmind.emulator.answers import Answer, json_answer
from airflow_provider_segmind.emulator.inference import json_object
from airflow_provider_segmind.emulator.jobs import COMPLETED
from airflow_provider_segmind.emulator.media import image_bytes
from airflow_provider_segmind.emulator.models import Modality

if TYPE_CHECKING:
    from airflow_provider_segmind.emulator.serving import Call

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", re.DOTALL)
_OUTPUT = re.compile(r"([0-9a-f]{32}|[0-9a-f-]{36})(?:-(\d))?\.(mp4|png)")
_EXTENSIONS = {"image/webp": ".webp", "image/jpeg": ".jpg", "image/heic": ".heic"}


async def upload(call: Call) -> Answer:
    """`POST /upload-asset`: keep each data URL under a new public URL."""
    document = await json_object(call)
    if isinstance(document, Answer):
        return document
    data_urls = document.get("data_urls")
    if not isinstance(data_urls, list) or not data_urls:
        return errors.error(400, "Missing required field: data_urls")
    decoded = []
    for data_url in data_urls:
        match = _DATA_URL.fullmatch(data_url) if isinstance(data_url, str) else None
        if match is None:
            return errors.error(400, "data_urls must hold base64 data URLs")
        try:
            decoded.append((match[1], base64.b64decode(match[2], validate=True)))
        except binascii.Error:
            return errors.error(400, "data_urls must hold base64 data URLs")
    urls = []
    for content_type, content in decoded:
        extension = _EXTENSIONS.get(content_type) or mimetypes.guess_extension(content_type) or ".bin"
        path = call.state.assets / f"{uuid.uuid4()}{extension}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        urls.append(f"{call.base}/assets/{path.name}")
    return json_answer({call.state.world.upload_key: urls, "message": "Files uploaded successfully"})


async def asset(call: Call) -> Answer:
    """`GET /assets/{name}`: an uploaded file."""
    name = call.request.match_info["name"]
    path = call.state.assets / name
    if Path(name).name != name or not path.is_file():
        return errors.not_found("media")
    content_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return Answer(content_type=content_type, file=path)


async def output(call: Call) -> Answer:
    """`GET /outputs/{name}`: a file that a completed job produced, rendered when first asked for."""
    match = _OUTPUT.fullmatch(call.request.match_info["name"])
    job = call.state.jobs.get(match[1]) if match else None
    if match is None or job is None or job.state(call.state.clock.now()) != COMPLETED:
        return errors.not_found("media")
    if match[3] == "mp4" and job.model.modality is Modality.VIDEO:
        return Answer(content_type="video/mp4", file=await call.state.videos.file(job))
    if match[3] == "png" and job.model.modality in (Modality.IMAGE, Modality.WORKFLOW) and match[2] is not None:
        index = int(match[2])
        if index < int(job.parameters.get("samples", 1)):
            return Answer(content_type="image/png", body=image_bytes(job.seed + index))
    return errors.not_found("media")
