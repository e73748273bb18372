"""The page "Segmind" in the navigation: what it shows of an account, to whom, and what it does not do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect
from watched import TIME_LIMIT, Watched

pytestmark = TIME_LIMIT

KLING = "kling-o1-image-to-video"
ACCOUNT = re.compile(r"/segmind-account/connections/")
FIGURE = re.compile(r"[\d,]+\.\d+ USD")

TOO_WIDE = """page => [...page.querySelectorAll(":scope, *")]
    .filter(each => !each.closest(".segmind-scrolls, .segmind-unseen") || each.matches(".segmind-scrolls"))
    .filter(each => each.getBoundingClientRect().right > page.getBoundingClientRect().right + 1)
    .map(each => each.outerHTML.slice(0, 200))"""
"""What sticks out of the page."""

Show = Callable[..., Locator]


@pytest.fixture
def show_account(airflow: Watched, page: Page) -> Show:
    """Open the page, and return it when it has looked at the tasks."""

    def shown() -> Locator:
        page.goto(airflow.account, wait_until="commit")
        return settled(page)

    return shown


def settled(page: Page) -> Locator:
    region = page.get_by_role("region", name="Segmind", exact=True)
    expect(region.get_by_role("heading", name="Requests", exact=True)).to_be_visible()
    expect(region.get_by_text("Looking at the tasks…")).to_have_count(0)
    return region


def rows(account: Locator) -> list[str]:
    return account.get_by_role("region", name="Table of requests").locator("tbody tr").all_inner_texts()


def usd(text: str) -> float:
    (figure,) = FIGURE.findall(text)
    return float(figure.removesuffix(" USD").replace(",", ""))


def fact(account: Locator, name: str) -> str:
    return account.locator("dt", has_text=re.compile(f"^{re.escape(name)}$")).locator("+ dd").inner_text()


def test_it_is_in_the_navigation_and_the_tab_stays_where_it_is(airflow: Watched, page: Page) -> None:
    """Both are one script to Airflow, which keeps one component under one name."""
    page.goto(airflow.tab(airflow.media, "clip"), wait_until="commit")
    tab = page.get_by_role("region", name="Segmind", exact=True)
    expect(tab.locator("video")).to_be_visible()
    page.locator("a[href$='/plugin/segmind-account']").click()
    settled(page)
    page.go_back()
    expect(tab.locator("video")).to_be_visible()


def test_the_table_agrees_with_the_ledger(airflow: Watched, show_account: Show) -> None:
    account = show_account()
    ledger = airflow.cluster.segmind.ledger()  # type: ignore[union-attr]
    shown = rows(account)
    assert len(shown) == ledger["submits"]
    for charge in ledger["charges"]:
        (row,) = [each for each in shown if charge["request_id"] in each]
        assert charge["model"] in row
        state = {"COMPLETED": "Completed", "FAILED": "Failed"}.get(charge["state"], "Pending")
        assert state in row
        if state == "Completed":
            assert usd(row) == pytest.approx(charge["amount"])
    completed = [each for each in ledger["charges"] if each["state"] == "COMPLETED"]
    total = sum(each["amount"] for each in completed)
    assert usd(fact(account, "Charged in this period")) == pytest.approx(total)
    assert usd(fact(account, "Balance")) == pytest.approx(ledger["balance"])


def test_the_newest_request_is_first(airflow: Watched, show_account: Show) -> None:
    shown = rows(show_account())
    charges = airflow.cluster.segmind.ledger()["charges"]  # type: ignore[union-attr]
    assert charges[-1]["request_id"] in shown[0]


def test_the_chart_agrees_with_the_ledger(airflow: Watched, show_account: Show) -> None:
    account = show_account()
    costs: dict[str, float] = {}
    for charge in airflow.cluster.segmind.ledger()["charges"]:  # type: ignore[union-attr]
        if charge["state"] == "COMPLETED":
            costs[charge["model"]] = costs.get(charge["model"], 0) + charge["amount"]
    bars = account.locator("svg rect title").all_text_contents()
    drawn: dict[str, float] = {}
    for bar in bars:
        model = bar.partition(", ")[2].partition(": ")[0]
        drawn[model] = drawn.get(model, 0) + usd(bar)
    assert drawn == pytest.approx(costs)
    table = account.get_by_role("region", name="Cost by day and model")
    account.get_by_text("Cost by day and model as a table").click()
    heads = table.locator("thead th").all_inner_texts()
    sums = table.locator("tfoot td").all_inner_texts()
    assert heads[1:-1] == sorted(costs, key=lambda model: -costs[model])
    assert [usd(each) for each in sums[:-1]] == pytest.approx([costs[model] for model in heads[1:-1]])
    assert usd(sums[-1]) == pytest.approx(sum(costs.values()))
    image = account.get_by_role("img", name=re.compile("Cost by day"))
    assert f"{usd(sums[-1]):.2f}"[:-1] in str(image.get_attribute("aria-label"))


def test_what_was_paid_and_not_delivered_is_listed(airflow: Watched, show_account: Show) -> None:
    account = show_account()
    lost = account.get_by_role("region", name="Paid, and not delivered").get_by_role("listitem").all_inner_texts()
    expected = {
        airflow.media.xcom("broken", "request_id"): "Not delivered: the task did not succeed: media.broken",
        airflow.media.xcom("forgotten", "request_id"): "Not collected: a task submitted it, and none has",
        airflow.nobodys: "In no task that you may read.",
    }
    assert len(lost) == len(expected)
    for request_id, words in expected.items():
        (line,) = [each for each in lost if request_id in each]
        assert words in line
    assert usd(fact(account, "Paid, and not delivered")) == pytest.approx(sum(map(usd, lost)))


def test_each_delivered_request_leads_to_its_task(airflow: Watched, show_account: Show, page: Page) -> None:
    account = show_account()
    for task_id, index in (("clip", -1), ("mapped", 1), ("overwritten", -1)):
        (row,) = account.locator("tbody tr", has_text=airflow.media.xcom(task_id, "request_id", index)).all()
        expect(row).to_contain_text("Delivered")
        link = row.get_by_role("link", name=f"media.{task_id}")
        page_of_task = airflow.tab(airflow.media, task_id, index).removesuffix("/plugin/segmind")
        assert link.get_attribute("href") == page_of_task
    row = account.locator("tbody tr", has_text=airflow.media.xcom("clip", "request_id"))
    assert row.get_by_role("link", name="Open").get_attribute("href") == airflow.media.xcom("clip")


def test_filters_hold_for_the_table_and_the_chart(show_account: Show) -> None:
    account = show_account()
    everything = len(rows(account))
    account.get_by_label("Model", exact=True).select_option(KLING)
    clips = rows(account)
    assert 0 < len(clips) < everything
    assert all(KLING in row for row in clips)
    assert {title.partition(", ")[2].partition(":")[0] for title in titles(account)} == {KLING}
    account.get_by_label("Model", exact=True).select_option("")
    account.get_by_label("State", exact=True).select_option("FAILED")
    failed = rows(account)
    assert all("Failed" in row for row in failed)
    assert len(failed) == 2
    expect(account.get_by_text("Nothing was charged.")).to_be_visible()
    account.get_by_label("State", exact=True).select_option("")
    day = account.get_by_label("Day (UTC)", exact=True)
    day.select_option(index=1)
    assert len({title.partition(",")[0] for title in titles(account)}) == 1


def titles(account: Locator) -> list[str]:
    return account.locator("svg rect title").all_text_contents()


def test_another_connection_is_asked_for_with_the_keyboard(show_account: Show, console_errors: list[str]) -> None:
    account = show_account()
    field = account.get_by_label("Connection")
    field.fill("not_there")
    field.press("Enter")
    expect(account.get_by_role("alert")).to_contain_text("there is no connection 'not_there'")
    assert account.locator("table").count() == 0
    assert [error for error in console_errors if "404" not in error] == []
    console_errors.clear()


def test_days_without_requests_show_none(show_account: Show) -> None:
    account = show_account()
    account.get_by_label("Last day (UTC)").fill("2026-01-31")
    account.get_by_role("button", name="Show").press("Enter")
    expect(account.get_by_text("2026-01-25 to 2026-01-31")).to_be_visible()
    expect(account.get_by_text("Nothing was charged.")).to_be_visible()
    assert account.locator("table").count() == 0


def test_what_a_host_wrote_stays_text(show_account: Show, page: Page) -> None:
    account = show_account()
    expect(account.get_by_text("<script>window.hacked = true</script>").first).to_be_visible()
    assert account.locator("script, img").count() == 0
    assert page.evaluate("window.hacked") is None


def test_an_answer_of_another_shape_harms_nothing(airflow: Watched, page: Page) -> None:
    hostile = "<img src=x onerror='window.hacked = true'>"
    urls = ["javascript:window.hacked=true", "https://user:secret@evil.example/a.mp4", "http://evil.example/a.mp4"]
    request = {"request_id": hostile, "model": hostile, "state": hostile, "cost": "much", "error": hostile}
    requests = [{**request, "output_urls": urls, "output_count": 3}, "not a request", {"output_urls": "x"}, None]
    answer = {"requests": requests, "balance": [], "first_day": hostile, "last_day": 7, "read_at": {}}
    page.route(ACCOUNT, lambda route: route.fulfill(content_type="application/json", body=json.dumps(answer)))
    page.goto(airflow.account, wait_until="commit")
    account = page.get_by_role("region", name="Segmind", exact=True)
    expect(account.get_by_role("region", name="Table of requests")).to_contain_text(hostile)
    expect(account).to_contain_text("no address that a browser may open")
    assert [link.get_attribute("href") for link in account.get_by_role("link").all()] == []
    assert account.locator("script, img").count() == 0
    assert page.evaluate("window.hacked") is None


@pytest.fixture
def log_in(airflow_with_roles: str, browser: Browser) -> Iterator[Callable[[str], Page]]:
    """Return what opens the page as somebody of a role."""
    contexts = []

    def logged_in(role: str) -> Page:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        contexts.append(context)
        context.set_default_timeout(120_000)
        opened = context.new_page()
        opened.goto(f"{airflow_with_roles}/plugin/segmind-account", wait_until="commit")
        opened.get_by_label("Username").fill(role)
        opened.locator("input[type=password]").fill(role)
        opened.get_by_role("button", name="Sign in").click()
        opened.wait_for_url(lambda url: urlsplit(url).path == "/plugin/segmind-account", wait_until="commit")
        return opened

    yield logged_in
    for context in contexts:
        context.close()


@pytest.mark.parametrize("role", ["viewer", "user"])
def test_a_reader_who_may_not_read_the_connection_sees_nothing(
    log_in: Callable[[str], Page], role: str, airflow: Watched
) -> None:
    account = log_in(role).get_by_role("region", name="Segmind", exact=True)
    expect(account.get_by_role("alert")).to_contain_text("You have no permission to read this connection.")
    assert account.locator("table, dl, svg, a").count() == 0
    assert airflow.nobodys not in account.inner_text()


def test_an_operator_sees_the_account(log_in: Callable[[str], Page], airflow: Watched) -> None:
    account = settled(log_in("op"))
    assert airflow.nobodys in account.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible(airflow: Watched, page: Page, scheme: Any) -> None:
    page.add_init_script(f"localStorage.setItem('theme', '{scheme}')")
    page.emulate_media(color_scheme=scheme)
    page.goto(airflow.account, wait_until="commit")
    account = settled(page)
    for details in account.locator("summary").all():
        details.click()
    assert page.locator("html").get_attribute("class").split().count(scheme) == 1
    found = Axe().run(page, ".segmind-app")
    assert found.violations_count == 0, found.generate_report()


def test_a_narrow_page_does_not_scroll_sideways(show_account: Show, page: Page) -> None:
    page.set_viewport_size({"width": 400, "height": 800})
    account = show_account()
    account.get_by_text("Cost by day and model as a table").click()
    wide = account.evaluate(TOO_WIDE)
    assert wide == []
