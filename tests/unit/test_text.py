"""Text from outside, on one line."""

from __future__ import annotations

import pytest

from airflow_provider_segmind.api.text import one_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("as it is", "as it is"),
        ("  two\r\nlines\tand\u2028more ", "two lines and more"),
        ("\x1b[31mred\x1b[0m", "\ufffd[31mred\ufffd[0m"),
        (
            "bell \x07, C1 \x9b, bidi \u202e, half \ud800, NUL \0",
            "bell \ufffd, C1 \ufffd, bidi \ufffd, half \ufffd, NUL \ufffd",
        ),
    ],
)
def test_it_is_one_line_that_shows_what_it_says(text: str, line: str) -> None:
    assert one_line(text) == line


@pytest.mark.parametrize("text", ["x" * 501, "x" * 10_000_000, " " * 10_000_000 + "x", "\n" * 4001])
def test_it_is_short(text: str) -> None:
    assert len(one_line(text)) <= 500
    assert one_line(text).endswith("…")
