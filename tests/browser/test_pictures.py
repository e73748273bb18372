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
    picture = Path(os.environ.get("SCREENSHOTS") or tmp_path) / f"{name}.png"
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
        video.evaluate("video => new Promise(done => { video.currentTime = 1; video.onseeked = done; })")
    for image in tab.locator("img").all():
        image.evaluate("image => image.decode()")
