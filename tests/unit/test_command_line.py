"""The arguments of the command line, and the pages that show them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from airflow_provider_segmind.__main__ import read_arguments

DOCS = Path(__file__).parents[2] / "docs"
_COMMAND = re.compile(
    r"(?:python -m airflow_provider_segmind|airflow segmind) ([a-z].*?)(?: +#.*|`.*)?$", re.MULTILINE
)
SHOWN = sorted(
    {
        command
        for page in (DOCS / "runbook.md", DOCS / "howto" / "command-line.md")
        for command in _COMMAND.findall(page.read_text())
    }
)


@pytest.mark.parametrize("command", SHOWN)
def test_the_pages_show_commands_that_there_are(command: str) -> None:
    assert read_arguments(shlex.split(command.replace("SLUG", "some-model"))).function.startswith("show_")


def test_the_pages_show_the_one_that_is_needed_most() -> None:
    assert [each for each in SHOWN if "--download" in each]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("submit",),
        ("model",),
        ("model", "no slug"),
        ("request", "none"),
        ("requests", "--days", "0"),
        ("requests", "--limit", "101"),
        ("requests", "--limit", "ten"),
        ("requests", "--status", "DONE"),
        ("credits", "--download", "x"),
    ],
    ids=str,
)
def test_wrong_usage(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        read_arguments(arguments)
    assert end.value.code == 2
    assert "usage: " in capsys.readouterr().err
