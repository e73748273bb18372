"""The tab on a task's page: what it shows, to whom, and what it does not do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from packaging.version import Version
from playwright.sync_api import Page, Route, expect
from watched import TIME_LIMIT, Watched

from harness import Run

WEEK = 7 * 24 * 3600 * 1000
KLING = "https://www.segmind.com/models/kling-o1-image-to-video"

pytestmark = TIME_LIMIT
IS_SCOPED = Version(version("apache-airflow")).release >= (3, 4)

Open = Callable[..., Any]


@pytest.fixture
def open_tab(airflow: Watched, page: Page) -> Open:
    """Open the tab of a task, and return it when it has something to say."""

    def opened(task_id: str, map_index: int = -1, run: Run | None = None) -> Any:
        page.goto(airflow.tab(run or airflow.media, task_id, map_index), wait_until="commit")
        tab = page.get_by_role("region", name="Segmind", exact=True)
        expect(tab.get_by_role("heading", name="Request").or_(tab.get_by_role("alert")).first).to_be_visible()
        return tab

    return opened


def test_the_tab_plays_the_video(airflow: Watched, open_tab: Open) -> None:
    tab = open_tab("clip")
    video = tab.locator("video")
    assert video.get_attribute("src") == airflow.media.xcom("clip")
    video.evaluate("video => { video.muted = true; return video.play(); }")
    video.evaluate(
        """video => new Promise(done => {
            const look = () => video.currentTime > 0 && done();
            video.addEventListener("timeupdate", look);
            look();
        })"""
    )
    assert video.evaluate("video => video.currentTime") > 0
    assert video.evaluate("video => video.videoWidth") > 0


def test_next_to_it_is_what_is_known_of_the_request(airflow: Watched, open_tab: Open) -> None:
    tab = open_tab("clip")
    summary = airflow.media.xcom("clip", "summary")
    (file,) = summary["files"]
    for text in (summary["request_id"], "0.91 USD", file["output_path"], file["sha256"], "video/mp4"):
        expect(tab).to_contain_text(text)
    for name in ("Time in the queue", "Time of inference", "The camera circles the mug", "duration"):
        expect(tab).to_contain_text(name)
    model = tab.get_by_role("link", name="kling-o1-image-to-video")
    assert model.get_attribute("href") == KLING
    assert model.get_attribute("rel") == "noopener noreferrer"


def test_the_request_id_is_copied_with_the_keyboard(airflow: Watched, open_tab: Open, page: Page) -> None:
    tab = open_tab("clip")
    tab.get_by_role("button", name="Copy the request id").press("Enter")
    expect(tab.get_by_text("The request id is copied")).to_be_attached()
    assert page.evaluate("navigator.clipboard.readText()") == airflow.media.xcom("clip", "request_id")


def test_the_request_id_is_copied_without_a_clipboard(airflow: Watched, open_tab: Open, page: Page) -> None:
    """Over plain http, browsers offer no clipboard."""
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    tab = open_tab("clip")
    page.evaluate("document.addEventListener('copy', () => window.copied = String(document.activeElement.value))")
    tab.get_by_role("button", name="Copy the request id").click()
    assert page.evaluate("window.copied") == airflow.media.xcom("clip", "request_id")


@pytest.mark.parametrize("index", [0, 1])
def test_each_mapped_instance_has_its_own(airflow: Watched, open_tab: Open, index: int) -> None:
    tab = open_tab("mapped", index)
    assert tab.locator("video").get_attribute("src") == airflow.media.xcom("mapped", map_index=index)
    expect(tab).to_contain_text(airflow.media.xcom("mapped", "request_id", index))


def test_several_outputs_are_a_gallery(airflow: Watched, open_tab: Open) -> None:
    tab = open_tab("gallery")
    images = tab.locator("img")
    expect(images).to_have_count(3)
    assert [image.get_attribute("src") for image in images.all()] == airflow.media.xcom("gallery")
    assert images.first.get_attribute("alt") == "Image 1 of 3: a fox"
    for image in images.all():
        image.scroll_into_view_if_needed()
        image.evaluate("image => image.decode()")


def test_text_stays_text(airflow: Watched, open_tab: Open, page: Page) -> None:
    tab = open_tab("text")
    shown = tab.get_by_role("region", name="Output").locator("pre")
    assert shown.text_content() == airflow.media.xcom("text")
    assert "<script>" in airflow.media.xcom("text")
    assert page.evaluate("window.hacked") is None


def test_a_prompt_stays_text(open_tab: Open, page: Page) -> None:
    tab = open_tab("hostile")
    expect(tab).to_contain_text("<script>window.hacked = true</script><img src=x onerror='window.hacked = true'>")
    expect(tab.locator("video")).to_be_visible()
    assert tab.locator("script, img").count() == 0
    assert page.evaluate("window.hacked") is None


def test_what_somebody_wrote_into_an_xcom_opens_nothing(open_tab: Open, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    tab = open_tab("overwritten")
    expect(tab.get_by_role("button", name=re.compile("Show video .* from media.example.com"))).to_be_visible()
    links = [link.get_attribute("href") for link in tab.get_by_role("link").all()]
    assert links == ["https://media.example.com/outputs/clip.mp4"]
    assert tab.locator("video, script, img").count() == 0
    assert not [url for url in asked if "example" in url]
    assert page.evaluate("window.hacked") is None


def test_a_file_of_another_host_is_loaded_when_it_is_asked_for(open_tab: Open, page: Page) -> None:
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=200, content_type="video/mp4", body=b"")

    page.route("https://media.example.com/**", refuse)
    tab = open_tab("overwritten")
    tab.get_by_role("button", name=re.compile("Show video")).click()
    expect(tab.get_by_text("cannot be loaded here")).to_be_visible()
    assert asked == ["https://media.example.com/outputs/clip.mp4"]


def test_a_failed_request_says_why_and_that_nothing_was_charged(open_tab: Open) -> None:
    alert = open_tab("blocked").get_by_role("alert")
    expect(alert).to_contain_text("The task failed. Nothing was charged.")
    expect(alert).to_contain_text("Segmind blocked the content")


def test_a_task_that_did_not_wait_says_so(airflow: Watched, open_tab: Open) -> None:
    tab = open_tab("forgotten")
    expect(tab.get_by_role("status").first).to_contain_text("This task did not wait for it.")
    expect(tab).to_contain_text(airflow.media.xcom("forgotten", "request_id"))
    expect(tab.get_by_role("region", name="Output")).to_have_count(0)


def test_a_waiting_task_says_since_when_and_how_long_it_usually_takes(airflow: Watched, page: Page) -> None:
    page.goto(airflow.tab(airflow.waiting, "stuck"), wait_until="commit")
    tab = page.get_by_role("region", name="Segmind", exact=True)
    expect(tab.get_by_role("status").first).to_contain_text("Segmind works on the request since")
    expect(tab.get_by_role("status").first).to_contain_text("It usually takes 2 min 0 s.")
    expect(tab).to_contain_text(airflow.waiting.xcom("stuck", "request_id"))


def test_after_seven_days_the_copy_is_named(airflow: Watched, open_tab: Open, page: Page) -> None:
    page.add_init_script(f"const now = Date.now; Date.now = () => now() + {WEEK} + 1000;")
    tab = open_tab("clip")
    expect(tab).to_contain_text("Segmind deleted it after seven days")
    expect(tab).to_contain_text(
        f"Its copy is at {airflow.media.xcom('clip', 'summary')['files'][0]['output_path']}"
    )
    assert tab.locator("video").count() == 0


@pytest.mark.skipif(IS_SCOPED, reason="the tab is on the pages of this provider's tasks alone")
def test_another_providers_task_has_nothing_to_show(airflow: Watched, page: Page) -> None:
    page.goto(airflow.tab(airflow.media, "not_segmind"), wait_until="commit")
    expect(page.get_by_text("This task makes no request to Segmind.")).to_be_visible()


@pytest.mark.parametrize("task_id", ["clip", "not_segmind"])
def test_from_3_4_on_the_tab_is_on_tasks_of_this_provider_alone(
    airflow: Watched, page: Page, task_id: str
) -> None:
    page.goto(airflow.tab(airflow.media, task_id).removesuffix("/plugin/segmind"), wait_until="commit")
    expect(page.get_by_role("link", name="Details")).to_be_visible()
    shown = task_id == "clip" or not IS_SCOPED
    # The page in the navigation has the same name.
    expect(page.locator('a[href$="/plugin/segmind"]')).to_have_count(int(shown))


@pytest.mark.parametrize("status", [401, 403])
def test_a_reader_who_may_not_see_xcoms_sees_nothing(
    airflow: Watched, page: Page, console_errors: list[str], status: int
) -> None:
    refused = {"status": status, "content_type": "application/json", "body": json.dumps({"detail": "Forbidden"})}
    page.route(re.compile("/xcomEntries"), lambda route: route.fulfill(**refused))
    page.goto(airflow.tab(airflow.media, "clip"), wait_until="commit")
    tab = page.get_by_role("region", name="Segmind", exact=True)
    expect(tab.get_by_role("alert")).to_contain_text("You have no permission to see this task's XComs.")
    assert tab.locator("video, dl, a").count() == 0
    assert [error for error in console_errors if str(status) not in error] == []
    console_errors.clear()


def test_the_tab_uses_the_public_api_alone(airflow: Watched, open_tab: Open, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_tab("clip")
    own = [url for url in asked if "/xcomEntries" in url]
    assert own
    assert all(url.startswith(f"{airflow.cluster.url}/api/v2/") for url in own)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("task_id", ["clip", "gallery", "text", "blocked"])
def test_it_is_accessible(airflow: Watched, page: Page, task_id: str, scheme: Any) -> None:
    page.add_init_script(f"localStorage.setItem('theme', '{scheme}')")
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    page.goto(airflow.tab(airflow.media, task_id), wait_until="commit")
    tab = page.get_by_role("region", name="Segmind", exact=True)
    expect(tab.get_by_role("heading", name="Request").first).to_be_visible()
    assert page.locator("html").get_attribute("class").split().count(scheme) == 1
    found = Axe().run(page, ".segmind-app")
    assert found.violations_count == 0, found.generate_report()


def test_a_narrow_page_does_not_scroll_sideways(open_tab: Open, page: Page) -> None:
    page.set_viewport_size({"width": 400, "height": 800})
    tab = open_tab("clip")
    assert tab.evaluate("tab => tab.scrollWidth <= tab.clientWidth")
