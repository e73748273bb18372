"""Two small pictures of one landscape, by day and by night, drawn here so that nothing need be fetched."""

from __future__ import annotations

import math
import struct
import zlib
from typing import NamedTuple

WIDTH, HEIGHT = 480, 270

Colour = tuple[int, int, int]


class Scene(NamedTuple):
    """What differs between day and night."""

    zenith: Colour
    horizon: Colour
    disc: Colour
    disc_at: tuple[int, int]
    far_hills: Colour
    near_hills: Colour
    stars: bool


DAY = Scene((64, 140, 220), (200, 228, 245), (255, 214, 64), (120, 70), (110, 165, 90), (60, 120, 60), stars=False)
NIGHT = Scene((8, 10, 36), (40, 44, 92), (232, 232, 214), (350, 60), (28, 40, 62), (14, 22, 38), stars=True)


def png(scene: Scene) -> bytes:
    """Return the picture of a scene as the bytes of a PNG file."""
    rows = b"".join(
        b"\0" + bytes(part for x in range(WIDTH) for part in _colour(scene, x, y)) for y in range(HEIGHT)
    )
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def _colour(scene: Scene, x: int, y: int) -> Colour:
    if y > 205 + 18 * math.sin(x / 48):
        return scene.near_hills
    if y > 175 + 25 * math.sin(x / 70 + 2):
        return scene.far_hills
    if math.dist((x, y), scene.disc_at) < 34:
        return scene.disc
    if scene.stars and x * 7919 % 4001 * (y + 31) % 997 == 1:
        return scene.disc
    share = y / HEIGHT
    red, green, blue = (
        round(top * (1 - share) + bottom * share) for top, bottom in zip(scene.zenith, scene.horizon, strict=True)
    )
    return red, green, blue
