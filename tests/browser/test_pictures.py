"""The pictures of the documentation: `make screenshots` writes them into `docs/images`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from watched import TIME_LIMIT, Watched

pytestmark = TIME_LIMIT

LEAST_BYTES = 20_000
"""Of a picture of a page; an empty page has less."""

SEEK = """async (video) => {
    video.currentTime = 1;
    await new Promise((done) => (video.onseeked = done));
    while (video.readyState < 4) await new Promise(requestAnimationFrame);
    for (let frames = 0; frames < 60; frames += 1) await new Promise(requestAnimationFrame);
}"""
"""Shows a later moment, and waits until the player's own sign that it loads has gone."""

PICTURES = {
    "tab-light": ("clip", "light"),
    "tab-dark": ("clip", "dark"),
    "tab-gallery": ("gallery", "light"),
    "tab-failed": ("blocked", "light"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_picture(airflow: Watched, page: Page, tmp_path: Path, name: str) -> None:
    task_id, scheme = PICTURES[name]
    show(airflow, page, task_id, scheme)
    take(page, tmp_path, name)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_picture_of_the_account(airflow: Watched, page: Page, tmp_path: Path, scheme: Any) -> None:
    page.add_init_script(f"localStorage.setItem('theme', '{scheme}')")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 1280, "height": 1300})
    page.goto(airflow.account, wait_until="commit")
    account = page.get_by_role("region", name="Segmind", exact=True)
    expect(account.get_by_role("listitem").first).to_be_visible()
    take(page, tmp_path, f"account-{scheme}")


def test_picture_of_an_approval(airflow: Watched, page: Page, tmp_path: Path) -> None:
    page.add_init_script("localStorage.setItem('theme', 'light')")
    page.goto(airflow.question(1), wait_until="commit")
    expect(page.get_by_role("link", name="Watch the clip")).to_be_visible()
    take(page, tmp_path, "approval-light")


def take(page: Page, folder: Path, name: str) -> None:
    """Write a picture of what the page shows."""
    picture = Path(os.environ.get("SCREENSHOTS") or folder) / f"{name}.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=picture)
    assert picture.stat().st_size > LEAST_BYTES


def show(airflow: Watched, page: Page, task_id: str, scheme: Any) -> None:
    """Open a tab, with its media loaded."""
    page.add_init_script(f"localStorage.setItem('theme', '{scheme}')")
    page.emulate_media(color_scheme=scheme)
    page.goto(airflow.tab(airflow.media, task_id), wait_until="commit")
    tab = page.get_by_role("region", name="Segmind", exact=True)
    expect(tab.get_by_role("heading", name="Request").first).to_be_visible()
    for video in tab.locator("video").all():
        video.evaluate(SEEK)
    for image in tab.locator("img").all():
        image.evaluate("image => image.decode()")
