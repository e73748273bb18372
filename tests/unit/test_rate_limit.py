"""The reset of a rate limit, in every plausible form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_segmind.api.rate_limit import RESET_HEADER, reset_moment

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
RESET = NOW + timedelta(seconds=40)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T12:00:40Z",
        "2026-11-23T12:00:40.000000",
        "2026-11-23 12:00:40",
        "2026-11-23T13:00:40+01:00",
        "Mon, 23 Nov 2026 12:00:40 GMT",
        "1795435240",
        "1795435240.0",
        "1795435240000",
        "  1795435240  ",
    ],
)
def test_the_reset_header_in_every_plausible_form(text: str) -> None:
    assert reset_moment({RESET_HEADER: text}, NOW) == RESET


@pytest.mark.parametrize("text", ["40", "40.0", "Mon, 23 Nov 2026 12:00:40 GMT"])
def test_retry_after_is_honoured(text: str) -> None:
    assert reset_moment({"retry-after": text}, NOW) == RESET


def test_the_documented_header_goes_first() -> None:
    assert reset_moment({RESET_HEADER: "2026-11-23T12:00:40Z", "retry-after": "5"}, NOW) == RESET


def test_a_reset_in_the_past_is_now() -> None:
    assert reset_moment({RESET_HEADER: "2026-11-23T11:59:00Z"}, NOW) == NOW


@pytest.mark.parametrize("text", ["", "soon", "nan", "inf", "12:00:40x", "9" * 400, "P1D"])
def test_what_cannot_be_meant_is_no_reset(text: str) -> None:
    assert reset_moment({RESET_HEADER: text}, NOW) is None


@given(st.text(max_size=30))
def test_no_header_can_break_it(text: str) -> None:
    for header in (RESET_HEADER, "retry-after"):
        moment = reset_moment({header: text}, NOW)
        assert moment is None or NOW <= moment <= NOW + timedelta(hours=1)
