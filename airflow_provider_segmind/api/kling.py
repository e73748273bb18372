"""
The parameters of Kling O1 image to video, as its page on Segmind lists them.

Each check takes what a user wrote, returns what Segmind wants, and raises InvalidParameterError otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from airflow_provider_segmind.api.locations import check_location
from airflow_provider_segmind.api.values import read_number
from airflow_provider_segmind.exceptions import InvalidParameterError

MODEL: Final = "kling-o1-image-to-video"
DURATIONS: Final = (5, 10)
IMAGES: Final = ("start_image_url", "end_image_url")


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
