"""The runbook has what messages link to: a section for each error and outage, with the error's own message."""

from __future__ import annotations

import inspect
import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_segmind import exceptions
from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.exceptions import (
    BROKEN_DEFERRAL,
    INTERRUPTED,
    RUNBOOK,
    InvalidParameterError,
    OutputError,
    RefusedError,
    SegmindError,
    runbook,
)
from airflow_provider_segmind.hooks.segmind import SegmindHook
from airflow_provider_segmind.lineage.metrics import _reason
from tests.unit.test_docs import anchors

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "runbook.md"
TEXT = PAGE.read_text()
KINDS = [each for each in vars(exceptions).values() if inspect.isclass(each) and issubclass(each, SegmindError)]
FAMILIES = (SegmindError, RefusedError, OutputError)
OUTAGES = (
    *("the-triggerer-is-down", "segmind-is-down", "the-key-is-revoked", "there-are-no-credits"),
    *("the-storage-is-down", "redis-is-down", "the-task-was-interrupted"),
)


def section(heading: str) -> str:
    """Return what is below a heading of the third level."""
    (found,) = re.findall(rf"^### {heading}\n(.*?)(?=^##|\Z)", TEXT, re.DOTALL | re.MULTILINE)
    return str(found)


def test_the_link_leads_to_the_documentation_that_the_package_names() -> None:
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    assert urls["Documentation"].replace("index.md", PAGE.name) == RUNBOOK


@pytest.mark.parametrize("kind", KINDS)
def test_each_error_has_a_section_and_links_to_it(kind: type[SegmindError]) -> None:
    error = kind("name", "problem") if kind is InvalidParameterError else kind("words", request_id="r1")
    link = str(error).rpartition(" ")[2]
    assert link == f"{RUNBOOK}#{kind.__name__.lower()}"
    assert link.rpartition("#")[2] in anchors(PAGE)
    text = section(kind.__name__)
    if kind not in FAMILIES:
        assert kind.summary in text, "its message"
        assert link in text
        assert "*Do*" in text
        of_the_outage = re.search(rf"\(#({'|'.join(OUTAGES)})\)", text)
        assert "*Costs*" in text or "pays for a new request" in text or "| costs |" in text or of_the_outage


@pytest.mark.parametrize(
    "outage", [*(each.replace(" ", "-") for each in (BROKEN_DEFERRAL, INTERRUPTED)), *OUTAGES]
)
def test_each_outage_has_a_section_with_what_to_do_and_what_it_costs(outage: str) -> None:
    assert outage in anchors(PAGE)
    words = outage.replace("-", " ")
    text = section(next(each for each in re.findall(r"^### (.+)$", TEXT, re.MULTILINE) if each.lower() == words))
    assert "*Symptom*" in text
    assert "*Costs*" in text


def test_every_link_to_the_runbook_in_the_code_leads_to_a_section() -> None:
    sections = [runbook(each) for each in (BROKEN_DEFERRAL, INTERRUPTED)]
    assert all(each.rpartition("#")[2] in anchors(PAGE) for each in sections)


def test_a_message_has_its_link_once_and_at_its_end() -> None:
    for message in re.findall(r"```text\n(.*)\n```", TEXT):
        assert re.search(r"\. See https://\S+#\w+$", message), message
        assert message.count("See https://") == 1


def test_the_alerts_name_reasons_that_are_counted() -> None:
    table = TEXT.partition("## Metrics and alerts")[2]
    named = re.findall(r"`(?:reason=)?([a-z_]+)`", "".join(re.findall(r"^\| `segmind\.failed`.*?\|", table, re.M)))
    kinds = {_reason(kind("a", "b") if kind is InvalidParameterError else kind("a")) for kind in KINDS}
    assert len(named) > 8
    assert set(named) <= kinds, set(named) - kinds


def test_the_search_in_the_history_runs_as_it_stands(
    emulator: RunningEmulator, capsys: pytest.CaptureFixture[str]
) -> None:
    request_id = (
        SegmindHook()
        .submit("kling-o1-image-to-video", {"prompt": "zoom", "start_image_url": "https://x/a.png"})
        .request_id
    )
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    scope: dict[str, Any] = {}
    exec(code, scope)  # noqa: S102 - our own page
    printed = capsys.readouterr().out
    assert request_id in printed
    assert str(datetime.now(UTC).year) in printed
    assert "zoom" in printed
