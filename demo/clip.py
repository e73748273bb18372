"""The clips: looked at, and shown in one picture."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from harness import HarnessError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_WIDTH, _HEIGHT, _GAP = 320, 180, 6
_WHITE = 255


def can_decode() -> bool:
    """Tell whether PyAV and numpy are installed."""
    try:
        import av  # noqa: F401
        import numpy  # noqa: F401
    except ImportError:
        return False
    return True


def describe(path: Path) -> str:
    """
    Say what a clip consists of, having decoded every frame if PyAV is installed.

    :raises HarnessError: If it is not a playable MP4.
    """
    if not path.is_file():
        raise HarnessError(f"{path} is not there")
    size = f"{path.stat().st_size / 1000:.0f} kB"
    with path.open("rb") as file:
        if file.read(12)[4:8] != b"ftyp":
            raise HarnessError(f"{path} is not an MP4")
    if not can_decode():
        return f"{size}, an MP4 by its header (with PyAV installed, the demo decodes it)"
    count, first, seconds = 0, None, 0.0
    for frame in _frames(path):
        count, first, seconds = count + 1, first or frame, float(frame.time or 0)
    if first is None:
        raise HarnessError(f"{path} has no frames")
    seconds += seconds / max(count - 1, 1)  # the last one is shown as long as the others
    return f"{size}, {first.width}x{first.height}, {seconds:.1f} s, all {count} frames decoded"


def draw_contact_sheet(clips: Sequence[Path], picture: Path) -> None:
    """Draw a row for each clip: its first frame, the one in the middle, and the last. Needs PyAV and numpy."""
    import av
    import numpy as np

    rows = []
    for clip in clips:
        count = sum(1 for _ in _frames(clip))
        chosen = {0, count // 2, count - 1}
        boxes = [_in_a_box(frame) for index, frame in enumerate(_frames(clip)) if index in chosen]
        rows.append(np.concatenate(boxes, axis=1))
    sheet = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.concatenate(rows, axis=0)), format="rgb24")
    encoder: Any = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt = sheet.width, sheet.height, "rgb24"
    encoder.time_base = Fraction(1)
    picture.write_bytes(b"".join(bytes(packet) for packet in [*encoder.encode(sheet), *encoder.encode(None)]))


def _frames(path: Path) -> Iterator[Any]:
    """Yield the frames of a clip; all of them together may be large."""
    import av

    try:
        with av.open(str(path)) as container:
            yield from container.decode(container.streams.video[0])
    except (av.FFmpegError, IndexError) as error:
        raise HarnessError(f"{path} cannot be played: {error}") from error


def _in_a_box(frame: Any) -> Any:
    """Return a frame in a white box of one size, whatever its own."""
    import numpy as np

    scale = min(_WIDTH / frame.width, _HEIGHT / frame.height)
    wide, high = max(round(frame.width * scale), 1), max(round(frame.height * scale), 1)
    small = frame.reformat(width=wide, height=high, format="rgb24").to_ndarray()
    box = np.full((_HEIGHT + _GAP, _WIDTH + _GAP, 3), _WHITE, dtype=np.uint8)
    top, left = (_HEIGHT + _GAP - high) // 2, (_WIDTH + _GAP - wide) // 2
    box[top : top + high, left : left + wide] = small
    return box
