"""What the links on a task's page may lead to. tests/e2e/test_links.py has them from a real Airflow."""

from __future__ import annotations

import pytest

from airflow_provider_segmind import links
from airflow_provider_segmind.decorators.segmind import SegmindDecoratedOperator
from airflow_provider_segmind.get_provider_info import get_provider_info
from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
from airflow_provider_segmind.operators.pixelflow import SegmindPixelFlowOperator
from airflow_provider_segmind.operators.sync import SegmindSyncInferenceOperator
from airflow_provider_segmind.sensors.request import SegmindRequestSensor

OPENABLE = (
    "https://images.segmind.com/outputs/a.mp4",
    "https://bucket.s3.amazonaws.com/a.mp4?X-Amz-Signature=abc%2F",
    "https://media.internal:8443/a.mp4",
    "http://127.0.0.1:8088/outputs/a.mp4",
    "http://[::1]:8088/outputs/a.mp4",
    "http://localhost/a.mp4",
)
REFUSED = (
    *(
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "\tjavascript:alert(1)",
        "data:text/html,<script>",
        "file:///a",
    ),
    *("http://images.segmind.com/a.mp4", "http://127.0.0.1.evil.test/a", "http://localhost.evil.test/a"),
    *(
        "https://user:secret@evil.test/a",
        "https://images.segmind.com@evil.test/a",
        "https://images.segmind.com\\@evil",
    ),
    *(
        "https://",
        "https:///a.mp4",
        "//evil.test/a",
        "/relative",
        "",
        " ",
        "https://a.test/\r\nx",
        "https://a.test/…",
    ),
    *("https://a.test/" + "a" * 10_000, None, 7, [], {}, ["https://a.test/a.mp4"], b"https://a.test/a.mp4"),
)


@pytest.mark.parametrize("url", OPENABLE)
def test_an_address_that_a_browser_may_open(url: str) -> None:
    assert links.openable(url) == url


@pytest.mark.parametrize("url", REFUSED, ids=lambda url: repr(url)[:40])
def test_whatever_else_is_in_an_xcom_is_no_link(url: object) -> None:
    assert links.openable(url) == ""


@pytest.mark.parametrize(
    "model", [None, "", 7, "../evil", "a/b", "a?b", "https://evil.test", "<b>", "{{ model }}"]
)
def test_what_is_no_model_has_no_page(model: object) -> None:
    assert links.model_page(model) == ""


def test_a_model_has_a_page() -> None:
    assert links.model_page("flux-1.1-pro") == "https://www.segmind.com/models/flux-1.1-pro"


@pytest.mark.parametrize(
    "operator",
    [
        *(KlingImageToVideoOperator, SegmindInferenceOperator, SegmindSyncInferenceOperator, SegmindRequestSensor),
        SegmindDecoratedOperator,
    ],
)
def test_every_link_of_an_operator_is_registered(operator: type) -> None:
    """Airflow 2.11 drops all links of an operator if one is not."""
    registered = get_provider_info()["extra-links"]
    given = {f"{type(link).__module__}.{type(link).__qualname__}" for link in operator.operator_extra_links}
    assert given <= set(registered)
    assert {link.name for link in operator.operator_extra_links} == {"Segmind output", "Segmind model"}


def test_a_workflow_has_no_link_to_the_page_of_a_model() -> None:
    assert [link.name for link in SegmindPixelFlowOperator.operator_extra_links] == ["Segmind output"]
