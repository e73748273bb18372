"""Kling's parameters, as its page lists them."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_segmind.api import kling
from airflow_provider_segmind.exceptions import InvalidParameterError

GIVEN: dict[str, Any] = {"prompt": "zoom", "start_image_url": "https://x.example/a.png"}


@pytest.mark.parametrize(("duration", "sent"), [(5, 5), (10, 10), ("5", 5), (" 10 ", 10), (10.0, 10), ("5.0", 5)])
def test_durations(duration: Any, sent: int) -> None:
    parameters = kling.check_parameters({**GIVEN, "end_image_url": None, "duration": duration})
    assert parameters == {**GIVEN, "duration": sent}
    assert isinstance(parameters["duration"], int)


def test_the_end_image_goes_along_if_given() -> None:
    url = "https://x.example/b.png?sig=a%20b"
    assert kling.check_parameters({**GIVEN, "end_image_url": url, "duration": 5})["end_image_url"] == url
    assert "end_image_url" not in kling.check_parameters({**GIVEN, "end_image_url": "", "duration": 5})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("duration", value) for value in (7, "7", None, True, 5.5, "", "five", [5], "5s")),
        *(("prompt", value) for value in ("", "   ", None, 5, ["zoom"])),
        *(
            ("start_image_url", value)
            for value in ("", None, "a.png", "data:image/png;base64,AA", "https://", "//b/a.png")
        ),
        *(("start_image_url", value) for value in ("s3://", "https://x y/a.png", "http://[::1", "None", 5)),
        *(("end_image_url", value) for value in ("b.png", 5)),
    ],
)
def test_a_wrong_value_is_named(name: str, value: Any) -> None:
    with pytest.raises(InvalidParameterError, match=f"^Invalid parameter: {name}: must"):
        kling.check_parameters({**GIVEN, "end_image_url": None, "duration": 5, name: value})
