"""How wide and high an image is, from its first bytes. Nothing is decoded."""

from __future__ import annotations

import io

HEAD = 1024 * 1024
"""Bytes that are looked at: a JPEG may have some hundred kilobytes of other things before its size."""

LARGEST = 1_000_000
"""Pixels a side. What says more is not an image that anybody can use."""


def image_size(content: bytes) -> tuple[int, int] | None:
    """
    Return the width and the height of an image in pixels; None if its first bytes do not say.

    :param content: The image, or its beginning.
    """
    import imagesize  # only a task with an image to upload needs it

    try:
        width, height = imagesize.get(io.BytesIO(content[:HEAD]))
        size = int(width), int(height)
    except Exception:  # noqa: BLE001 - what it raises for malformed bytes is not documented
        return None
    return size if all(0 < side <= LARGEST for side in size) else None
