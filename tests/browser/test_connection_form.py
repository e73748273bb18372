"""The form of a connection: filled in, saved, tested and used, all in the browser."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version

import pytest
from packaging.version import Version
from playwright.sync_api import Page, expect
from watched import TIME_LIMIT, Watched

pytestmark = TIME_LIMIT

CONN_ID = "segmind_of_the_form"


@pytest.fixture(scope="module")
def key(airflow: Watched) -> Iterator[str]:
    """The API key of the emulator. The connection that a test makes is deleted."""
    yield str(airflow.cluster.segmind.connection()["password"])  # type: ignore[union-attr]
    airflow.cluster.api.delete(f"/connections/{CONN_ID}")


def test_a_connection_is_filled_in_and_saved(airflow: Watched, key: str, page: Page) -> None:
    page.goto(f"{airflow.cluster.url}/connections", wait_until="commit")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.locator("[name=connection_id]").fill(CONN_ID)
    form.get_by_role("combobox").first.fill("Segmind")
    page.get_by_role("option", name="Segmind", exact=True).click()
    form.locator("[name=host]").fill(airflow.cluster.segmind.url)  # type: ignore[union-attr]
    form.locator("[name=password]").fill(key)
    form.get_by_role("button", name="Save").click()
    expect(page.get_by_role("row", name=CONN_ID)).to_be_visible()
    saved = airflow.cluster.api.get(f"/connections/{CONN_ID}")
    assert (saved["conn_type"], saved["host"]) == ("segmind", airflow.cluster.segmind.url)  # type: ignore[union-attr]
    page.reload()
    expect(page.get_by_role("row", name=CONN_ID)).to_be_visible()
    assert key not in page.content()


@pytest.mark.skipif(
    Version(version("apache-airflow")).release[:2] == (3, 3),
    reason="its page sends port 0 for a connection without a port, which its API takes for another port",
)
def test_it_is_tested_with_a_button(airflow: Watched, key: str, page: Page) -> None:
    page.goto(f"{airflow.cluster.url}/connections", wait_until="commit")
    with page.expect_response("**/connections/test") as answered:
        page.get_by_role("row", name=CONN_ID).get_by_role("button", name="Test Connection").click()
    answer = answered.value
    assert answer.json().get("status") is True, f"{answer.text()} to {answer.request.post_data}"


def test_its_account_is_shown(airflow: Watched, key: str, page: Page) -> None:
    page.goto(airflow.account, wait_until="commit")
    account = page.get_by_role("region", name="Segmind", exact=True)
    suggested = account.locator(f"datalist option[value={CONN_ID}]")
    expect(suggested).to_be_attached()
    account.get_by_label("Connection").fill(CONN_ID)
    account.get_by_role("button", name="Show").click()
    expect(account.get_by_text(airflow.nobodys).first).to_be_visible()
