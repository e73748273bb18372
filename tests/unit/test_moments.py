"""Points in time in whatever form a host writes them: an aware UTC datetime, or none at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_segmind.api.moments import read_moment

MOMENT = datetime(2026, 11, 23, 12, 0, 40, tzinfo=UTC)
NO_MOMENTS = [
    "",
    " ",
    "soon",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00Z",
    "1970-01-01T00:00:00Z",
    "2100-01-01T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-11-23T12:00:40-24:00",
    "2026-11-23",
    "2026-W01-1",
    "2026-W48-1T12:00:40",
    "2026-001",
    "2026",
    "12:00:40",
    "P1D",
    "PT40S",
    "2026-01-01/2026-01-02",
    "2026-01-01T00:00:00/2026-01-02T00:00:00",
    "2026-01-01T00:00:00/P1D",
    "R5/2026-01-01T00:00:00/P1D",
    "now",
    "0",
    "-1795435240",
    "1e400",
    "-1e400",
    "1.795435240e9",
    "nan",
    "NaN",
    "inf",
    "Infinity",
    "1_795_435_240",
    "\u0661\u0667\u0669\u0665\u0664\u0663\u0665\u0662\u0664\u0660",
    "9" * 30,
    "9" * 5000,
    "x" * 100_000,
    "2026-11-23T12:00:40Z" + "0" * 100_000,
    "2026-11-23T12:00:40Z\0",
    "Mon, 23 Nov 2026 99:00:40 GMT",
    "Mon, 99 Nov 2026 12:00:40 GMT",
    "Mon, 23 Nov 0001 12:00:40 +1400",
    "Mon, 23 Nov 2026 12:00:40 +99999999999999",
    None,
    True,
    False,
    0,
    -1,
    10**400,
    -(10**400),
    float("nan"),
    float("inf"),
    float("-inf"),
    1e300,
    [],
    ["2026-11-23T12:00:40Z"],
    {"$date": "2026-11-23T12:00:40Z"},
    b"2026-11-23T12:00:40Z",
    timedelta(1),
]


@pytest.mark.parametrize("value", NO_MOMENTS, ids=lambda value: repr(value)[:40] if value != 10**400 else "huge")
def test_what_is_no_moment_is_none(value: Any) -> None:
    assert read_moment(value) is None


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-23T12:00:40Z",
        "2026-11-23t12:00:40z",
        "2026-11-23T12:00:40",
        "2026-11-23 12:00:40 UTC",
        "2026-11-23 12:00:40+00:00",
        "2026-11-23T17:30:40+05:30",
        "2026-11-23T13:00:40+0100",
        "2026-11-23T12:00:40.000Z",
        "2026-11-23T12:00:40.000000000Z",
        "Mon, 23 Nov 2026 12:00:40 GMT",
        "23 Nov 2026 13:00:40 +0100",
        "1795435240",
        "1795435240.0",
        "1795435240000",
        "1795435240000000",
        1795435240,
        1795435240.0,
        1795435240000,
    ],
)
def test_every_plausible_form_is_read(value: Any) -> None:
    assert read_moment(value) == MOMENT
    assert read_moment(value).tzinfo is UTC  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["2026-11-23T12:00:40Z", "2026-11-23T12:00:40+00:00", "2026-11-23T12:00:40"])
def test_a_moment_can_be_reckoned_with(text: str) -> None:
    moment = read_moment(text)
    assert moment is not None
    assert moment - timedelta(seconds=40) == MOMENT - timedelta(seconds=40)
