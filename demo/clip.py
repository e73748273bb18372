"""The clip: fetched, and looked at."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import requests

from demo.airflow_home import LOOPBACK
from demo.failure import DemoError

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS_PER_READ = 30.0
_SECONDS = 120.0
_CHUNK = 1 << 16


def download(url: str, path: Path) -> None:
    """
    Fetch the clip; its URL is public.

    :raises DemoError: If that fails or takes too long.
    """
    deadline = time.monotonic() + _SECONDS
    session = requests.Session()
    session.trust_env = f"//{LOOPBACK}:" not in url
    try:
        with session.get(url, stream=True, timeout=_SECONDS_PER_READ) as response, path.open("wb") as file:
            response.raise_for_status()
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                if time.monotonic() > deadline:
                    raise DemoError(f"downloading {url} took longer than {_SECONDS:.0f} s")
    except requests.RequestException as error:
        raise DemoError(f"the clip could not be downloaded: {error}") from error


def described(path: Path) -> str:
    """
    Say what a clip consists of, having decoded every frame if PyAV is installed.

    :raises DemoError: If it is no playable MP4.
    """
    size = f"{path.stat().st_size / 1000:.0f} kB"
    with path.open("rb") as file:
        if file.read(12)[4:8] != b"ftyp":
            raise DemoError(f"{path} is no MP4")
    try:
        import av
    except ImportError:
        return f"{size}, an MP4 by its header (with PyAV installed, the demo decodes it)"
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            frames = sum(1 for _ in container.decode(stream))
            seconds = frames / (stream.average_rate or 1)
            if not frames:
                raise DemoError(f"{path} has no frames")
            return f"{size}, {stream.width}x{stream.height}, {float(seconds):.1f} s, all {frames} frames decoded"
    except (av.FFmpegError, IndexError) as error:
        raise DemoError(f"{path} cannot be played: {error}") from error
