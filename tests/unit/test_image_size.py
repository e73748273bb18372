"""How wide and high an image is, whatever its bytes are."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from airflow_provider_segmind.media.image_size import image_size

IMAGES = Path(__file__).parents[2] / "example_dags" / "images"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 640, 360) + b"\x08\0\0\0\0"
GIF = b"GIF89a" + struct.pack("<HH", 640, 360) + b"\0" * 20
WEBP = b"RIFF\0\0\0\0WEBPVP8 " + b"\0" * 10 + struct.pack("<HH", 640, 360) + b"\0" * 8
JPEG = b"\xff\xd8\xff\xe0\0\x10" + b"\0" * 14 + b"\xff\xc0\0\x11\x08" + struct.pack(">HH", 360, 640) + b"\x03" * 12


@pytest.mark.parametrize("content", [PNG, GIF, WEBP, JPEG], ids=["png", "gif", "webp", "jpeg"])
def test_the_first_bytes_tell(content: bytes) -> None:
    assert image_size(content) == (640, 360)


def test_the_images_of_the_examples() -> None:
    sizes = {path.name: image_size(path.read_bytes()) for path in IMAGES.glob("*.jpg")}
    assert sizes
    assert all(size is not None and min(size) > 100 for size in sizes.values()), sizes


@pytest.mark.parametrize("content", [PNG, GIF, WEBP, JPEG], ids=["png", "gif", "webp", "jpeg"])
def test_whatever_the_bytes_are_there_is_a_size_or_none(content: bytes) -> None:
    choose = random.Random(1)  # noqa: S311 - examples
    for _ in range(500):
        changed = bytearray(content)
        for _ in range(3):
            changed[choose.randrange(len(changed))] = choose.randrange(256)
        size = image_size(bytes(changed[: choose.randrange(len(changed) + 1)]))
        assert size is None or all(0 < side <= 1_000_000 for side in size)


@pytest.mark.parametrize("content", [b"", b"text", b"http://127.0.0.1/a.png", b"\xff" * 3_000_000, b"<svg>"])
def test_what_is_no_image_has_no_size(content: bytes) -> None:
    assert image_size(content) is None
