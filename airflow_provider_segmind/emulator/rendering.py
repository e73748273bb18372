"""Video from still images. Needs PyAV and numpy, the extra `[emulator]`."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, cast

import av
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

FRAMES_PER_SECOND = 12
LONG_SIDE, SHORT_SIDE = 480, 270

_MOST_PIXELS = 50_000_000
_ZOOM = 0.15
_ENCODERS: tuple[tuple[str, dict[str, str]], ...] = (
    ("libx264", {"preset": "veryfast", "crf": "26", "maxrate": "400k", "bufsize": "400k", "threads": "1"}),
    ("libopenh264", {"b": "350k"}),
    ("mpeg4", {"b": "350k", "maxrate": "400k", "bufsize": "400k"}),
)

Picture = np.ndarray[Any, np.dtype[np.uint8]]


def mp4(start: bytes | None, end: bytes | None, seconds: int, tint: int, scratch: Path) -> bytes | None:
    """A clip of `seconds` as the bytes of an MP4 file; None if it cannot be encoded.

    It cross-fades from the start to the end image, or zooms slowly into the only readable one. Without any, it
    moves a gradient whose colours follow `tint`. `scratch` is a file name that may be used meanwhile.
    """
    opened = [_first_frame(image) for image in (start, end) if image is not None]
    readable = [frame for frame in opened if frame is not None]
    portrait = bool(readable) and readable[0].height > readable[0].width
    width, height = (SHORT_SIDE, LONG_SIDE) if portrait else (LONG_SIDE, SHORT_SIDE)
    pictures = [_cover(frame, width, height) for frame in readable]
    if not pictures:
        pictures = [_gradient(width, height, tint), _gradient(width, height, tint // 7 + 1)]
    if len(pictures) == 1:
        pictures.append(_zoom(pictures[0], _ZOOM))
        frames = [_zoom(pictures[0], _ZOOM * each) for each in _progress(seconds)]
    else:
        frames = [_blend(pictures[0], pictures[1], each) for each in _progress(seconds)]
    for codec, options in _ENCODERS:
        try:
            _encode(frames, codec, options, scratch)
            return scratch.read_bytes()
        except (av.FFmpegError, ValueError, OSError):
            continue
        finally:
            scratch.unlink(missing_ok=True)
    return None


def _progress(seconds: int) -> list[float]:
    count = seconds * FRAMES_PER_SECOND
    steps = [index / max(count - 1, 1) for index in range(count)]
    return [step * step * (3 - 2 * step) for step in steps]


def _first_frame(image: bytes) -> av.VideoFrame | None:
    try:
        with av.open(io.BytesIO(image), "r") as container:
            stream = container.streams.video[0]
            if stream.codec_context.width * stream.codec_context.height > _MOST_PIXELS:
                return None
            return next(container.decode(stream))
    except (av.FFmpegError, ValueError, IndexError, StopIteration, OSError):
        return None


def _cover(frame: av.VideoFrame, width: int, height: int) -> Picture:
    scale = max(width / frame.width, height / frame.height)
    wide, high = max(width, round(frame.width * scale)), max(height, round(frame.height * scale))
    picture: Picture = frame.reformat(width=wide, height=high, format="rgb24").to_ndarray().astype(np.uint8)
    left, top = (wide - width) // 2, (high - height) // 2
    return picture[top : top + height, left : left + width]


def _gradient(width: int, height: int, tint: int) -> Picture:
    across = np.linspace(0.0, 1.0, width)[None, :, None]
    down = np.linspace(0.0, 1.0, height)[:, None, None]
    first = np.array([tint & 255, tint >> 8 & 255, tint >> 16 & 255], dtype=float)
    mixed = first * (1 - across) + (255 - first) * across * 0.6 + first[::-1] * down * 0.4
    return np.clip(mixed, 0, 255).astype(np.uint8)


def _zoom(picture: Picture, amount: float) -> Picture:
    height, width = picture.shape[:2]
    margin_x, margin_y = width * amount / 2, height * amount / 2
    columns = np.linspace(margin_x, width - 1 - margin_x, width).astype(int)
    rows = np.linspace(margin_y, height - 1 - margin_y, height).astype(int)
    zoomed: Picture = picture[rows][:, columns]
    return zoomed


def _blend(first: Picture, second: Picture, share: float) -> Picture:
    mixed = first.astype(np.float32) * (1 - share) + second.astype(np.float32) * share
    return mixed.astype(np.uint8)


def _encode(frames: list[Picture], codec: str, options: dict[str, str], path: Path) -> None:
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = cast("av.VideoStream", container.add_stream(codec, rate=FRAMES_PER_SECOND, options=options))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
