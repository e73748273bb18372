"""What kind of image a file is, by its content: an error page is often called ``.png``."""

from __future__ import annotations

from airflow_provider_segmind.media.content_type import HEAD, type_of_content

_TAKEN = frozenset(
    f"image/{kind}" for kind in ("png", "jpeg", "gif", "webp", "bmp", "tiff", "avif", "heic", "heif")
)
"""What models take as an image. SVG is a program more than an image, and JPEG XL is hardly known anywhere."""


def image_type(content: bytes) -> str | None:
    """
    Return the media type of an image, such as ``image/png``; None if this is none that a model takes.

    Only the first bytes are looked at: whether the rest can be decoded, Segmind says, and charges nothing for it.
    """
    found = type_of_content(content[:HEAD])
    return found if found in _TAKEN else None
