"""
The parameters of Kling O1 image to video, as its page on Segmind lists them.

Each check takes what a user wrote, returns what Segmind wants, and raises InvalidParameterError otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_segmind.api.locations import check_location
from airflow_provider_segmind.api.values import read_number
from airflow_provider_segmind.exceptions import InvalidParameterError

MODEL: Final = "kling-o1-image-to-video"
DURATIONS: Final = (5, 10)
IMAGES: Final = ("start_image_url", "end_image_url")

LONGEST_PROMPT: Final = 2500
LEAST_SIDE: Final = 300
ASPECT_RATIOS: Final = (0.4, 2.5)
LARGEST_IMAGE: Final = 10 * 1024 * 1024
IMAGE_TYPES: Final = ("image/jpeg", "image/png", "image/webp")
"""What other hosts of this model take: characters, pixels, width by height, bytes. Segmind publishes no limits."""


@dataclass(frozen=True)
class Frame:
    """
    An image that is to be the first or the last frame.

    :param size: Its width and height in pixels; None if they are not known.
    """

    media_type: str
    bytes: int
    size: tuple[int, int] | None


def check_prompt(value: object) -> str:
    """Return the prompt if it is not blank."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidParameterError(
            "prompt", f"must describe the transformation between the frames, not {value!r}"
        )
    return value


def check_start_image_url(value: object) -> str:
    """Return where the first frame is."""
    return check_location("start_image_url", value)


def check_end_image_url(value: object) -> str | None:
    """Return where the last frame is, or None, which a template writes as ``None`` or nothing."""
    if value in (None, "", "None"):
        return None
    return check_location("end_image_url", value)


def check_duration(value: object) -> int:
    """
    Return the duration in seconds.

    The page's own sample sends ``"5"``, and a template or a calculation may write ``5.0``.
    """
    seconds = read_number(value, *DURATIONS)
    if seconds in DURATIONS:
        return int(seconds)
    raise InvalidParameterError("duration", f"must be 5 or 10 (seconds), not {value!r}")


CHECKS: Final[dict[str, Callable[[object], Any]]] = {
    "prompt": check_prompt,
    "start_image_url": check_start_image_url,
    "end_image_url": check_end_image_url,
    "duration": check_duration,
}


def check_parameters(given: dict[str, object]) -> dict[str, Any]:
    """Return the parameters to send: checked, and without those that were not given."""
    checked = {name: check(given.get(name)) for name, check in CHECKS.items()}
    return {name: value for name, value in checked.items() if value is not None}


def find_doubts(parameters: Mapping[str, Any], frames: Mapping[str, Frame]) -> list[str]:
    """
    Return what other hosts of this model (fal, Kling's own API) would refuse, each with its numbers.

    :param parameters: As ``check_parameters`` returns them.
    :param frames: What is known of the images, by the names of their parameters.
    """
    doubts = []
    prompt = parameters.get("prompt")
    if isinstance(prompt, str) and len(prompt) > LONGEST_PROMPT:
        doubts.append(
            f"prompt has {len(prompt):,} characters; other hosts of the model take {LONGEST_PROMPT:,} at most"
        )
    for name, frame in frames.items():
        doubts += [f"{name}: the image {doubt}" for doubt in _doubts_about(frame)]
    return doubts


def _doubts_about(frame: Frame) -> Iterator[str]:
    if frame.media_type not in IMAGE_TYPES:
        yield f"is {frame.media_type}; other hosts of the model take JPEG, PNG and WebP"
    if frame.bytes > LARGEST_IMAGE:
        megabytes, most = frame.bytes / 2**20, LARGEST_IMAGE / 2**20
        yield f"has {megabytes:.1f} MiB; other hosts of the model take {most:g} MiB at most"
    if frame.size is None:
        return
    width, height = frame.size
    if min(frame.size) < LEAST_SIDE:
        yield f"has {width} x {height} pixels; other hosts of the model want {LEAST_SIDE} a side at least"
    narrowest, widest = ASPECT_RATIOS
    if not narrowest <= width / height <= widest:
        yield (
            f"has {width} x {height} pixels, an aspect ratio of {width / height:.2f}; other hosts of the model "
            f"take {narrowest} to {widest}"
        )
