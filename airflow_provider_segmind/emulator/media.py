"""The files that jobs produce: small PNGs, and MP4s that are rendered when somebody first downloads them."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import json
import struct
import zlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp

try:
    from airflow_provider_segmind.emulator import rendering
except ImportError:  # the extra [emulator] is not installed
    rendering = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_segmind.emulator.jobs import Job

IMAGE_SIZE = (256, 256)
BYTES_PER_SECOND = 64 * 1024
PLACEHOLDER = Path(__file__).parent / "clips" / "placeholder.mp4"

_FETCH_SECONDS = 10.0
_LARGEST_IMAGE = 20_000_000
_PARALLEL_RENDERS = 2


def video_bytes_count(job: Job) -> int:
    """Size of a job's video in bytes, known before it is rendered: the file is padded to it."""
    return BYTES_PER_SECOND * int(job.parameters.get("duration", 5))


@lru_cache(maxsize=64)
def image_bytes(seed: int) -> bytes:
    """A PNG with a colour gradient that depends on `seed` alone."""
    width, height = IMAGE_SIZE
    red, green, blue = hashlib.sha256(str(seed).encode()).digest()[:3]
    row = bytearray(3 * width)
    row[0::3] = bytes((red + x) // 2 % 256 for x in range(width))
    row[2::3] = bytes([blue]) * width
    rows = bytearray()
    for y in range(height):
        row[1::3] = bytes([(green + y) // 2 % 256]) * width
        rows += b"\0" + row
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(rows))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(name, content) for name, content in chunks)


class Videos:
    """Renders videos in threads, each combination of inputs once."""

    def __init__(self, scratch: Callable[[], Path], *, fetch_images: bool = False) -> None:
        self._scratch = scratch
        self._fetch_images = fetch_images
        self._rendering: dict[str, asyncio.Task[Path]] = {}
        self._slots = asyncio.Semaphore(_PARALLEL_RENDERS)

    async def file(self, job: Job) -> Path:
        """The MP4 of a completed job."""
        inputs = [job.parameters.get(name) for name in ("start_image_url", "end_image_url", "duration")]
        key = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:32]
        task = self._rendering.get(key)
        if task is None:
            task = self._rendering[key] = asyncio.create_task(self._render(job, key))
        return await asyncio.shield(task)

    async def _render(self, job: Job, key: str) -> Path:
        start, end = await asyncio.gather(
            self._image(job.parameters.get("start_image_url")),
            self._image(job.parameters.get("end_image_url")),
        )
        path = self._scratch() / f"{key}.mp4"
        async with self._slots:
            await asyncio.to_thread(_write_video, path, start, end, job, int(key[:8], 16))
        return path

    async def _image(self, url: object) -> bytes | None:
        if not isinstance(url, str):
            return None
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        if parts.path.startswith("/assets/"):
            uploaded = self._scratch() / "assets" / Path(parts.path).name
            if uploaded.is_file():
                return await asyncio.to_thread(uploaded.read_bytes)
        if parts.scheme not in ("http", "https") or not (self._fetch_images or _is_loopback(parts.hostname)):
            return None
        try:
            return await _fetch(url, follow=self._fetch_images)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return None


async def _fetch(url: str, *, follow: bool) -> bytes | None:
    timeout = aiohttp.ClientTimeout(total=_FETCH_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(url, allow_redirects=follow) as response,
    ):
        if response.status != 200:
            return None
        content = bytearray()
        async for chunk in response.content.iter_chunked(65536):
            content += chunk
            if len(content) > _LARGEST_IMAGE:
                return None
        return bytes(content)


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _write_video(path: Path, start: bytes | None, end: bytes | None, job: Job, tint: int) -> None:
    size = video_bytes_count(job)
    duration = int(job.parameters.get("duration", 5))
    clip = None
    if rendering is not None:
        for first, last in ((start, end), (None, None)):
            clip = rendering.mp4(first, last, duration, tint, path.with_suffix(".partial.mp4"))
            if clip is not None and len(clip) <= size - 8:
                break
            clip = None
    if clip is None:
        clip = PLACEHOLDER.read_bytes()
    path.write_bytes(pad(clip, size))


def pad(clip: bytes, size: int) -> bytes:
    """An MP4 brought to exactly `size` bytes by a `free` box at its end, which players skip."""
    spare = size - len(clip)
    if spare < 8:
        raise ValueError("the clip does not fit")
    return clip + struct.pack(">I4s", spare, b"free") + bytes(spare - 8)


def _png_chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)
