"""How long a request may usually take, by what is known of its model and its parameters."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_segmind.api.usual_duration import latest_usual_duration, variant_of

KLING = "kling-o1-image-to-video"


def test_a_clip_of_kling_has_ended_after_five_minutes_and_a_long_one_after_seven() -> None:
    assert 290 < latest_usual_duration(KLING) < 320
    assert latest_usual_duration(KLING, {"duration": 5}) == latest_usual_duration(KLING)
    assert 390 < latest_usual_duration(KLING, {"duration": 10}) < 420
    assert latest_usual_duration(KLING, {"duration": "10"}) == latest_usual_duration(KLING, {"duration": 10})


def test_of_an_unknown_model_the_slowest_is_assumed() -> None:
    assert latest_usual_duration("some-model") > 2 * 779
    assert latest_usual_duration(None) == latest_usual_duration("some-model", {"duration": 10})


def test_what_the_user_expects_counts_with_a_margin() -> None:
    assert 8 < latest_usual_duration("some-model", {}, expected_duration=4) < 9
    assert latest_usual_duration(KLING, {"duration": 10}, expected_duration=4) < 9


@pytest.mark.parametrize(
    ("value", "variant"),
    [
        *((5, "duration=5"), ("5", "duration=5"), (5.0, "duration=5"), (2.5, "duration=2.5")),
        *((None, None), (True, None), (0, None), (-5, None), (1e9, None), ("five", None), ([5], None)),
        ("5" * 1000, None),
    ],
)
def test_only_a_plausible_length_makes_a_variant(value: Any, variant: str | None) -> None:
    assert variant_of({"duration": value, "prompt": "a fox"}) == variant
    assert latest_usual_duration(KLING, {"duration": value}) > 290


def test_without_parameters_there_is_no_variant() -> None:
    assert variant_of(None) is variant_of({}) is None
