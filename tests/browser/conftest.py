"""A real Chromium that looks at a real Airflow, whose Segmind is the emulator."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from watched import SECONDS_FOR_ALL, Watched

from harness import Cluster, EmulatedSegmind, processes_below

pytest.importorskip("playwright", reason="`make test-browser` installs it")

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
DAGS = Path(__file__).parent / "dags"
MILLISECONDS = 120_000
"""For which one look may take: an Airflow on a busy machine answers slowly."""

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """An Airflow for all tests: its start takes longer than any of them."""
    folder = tmp_path_factory.mktemp("cluster")
    segmind = EmulatedSegmind(
        latency=2.0,
        model=["blocked-model=image", "stuck-model=video"],
        fault=["on=submit,model=blocked-model,outcome=blocked", "on=submit,model=stuck-model,outcome=stuck"],
    )
    settings = {
        "SEGMIND__ALLOWED_LOCAL_PATHS": f"{folder},{ROOT / 'example_dags' / 'images'}",
        "SEGMIND__OUTPUT_TAB": True,
    }
    with Cluster(folder, dags=DAGS, segmind=segmind, settings=settings, seconds=SECONDS_FOR_ALL) as cluster:
        conf = {"image": str(ROOT / "example_dags" / "images" / "mug.jpg"), "folder": str(folder / "clips")}
        media, waiting = cluster.run("media", conf), cluster.run("waiting")
        cluster.until("the run to end", media.has_ended)
        cluster.until("a wait", lambda: [row.state for row in waiting.rows()] == ["deferred"])
        yield Watched(cluster, media, waiting)
    assert processes_below(folder) == []


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The Chromium of this machine: `CHROMIUM` names it, or it is found by its name."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if found is None:
        pytest.fail(f"no Chromium: install one, or name it in CHROMIUM (looked for {', '.join(CHROMIUMS)})")
    with sync_playwright() as playwright:
        # Without a sandbox, as root has none; and a video may play though nobody has clicked.
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        running = playwright.chromium.launch(executable_path=found, args=arguments)
        yield running
        running.close()


@pytest.fixture(scope="session")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A reader's session, for all tests: Airflow's own scripts load slowly. It may use the clipboard."""
    session = browser.new_context(viewport={"width": 1280, "height": 900})
    session.set_default_timeout(MILLISECONDS)
    expect.set_options(timeout=MILLISECONDS)
    session.grant_permissions(["clipboard-read", "clipboard-write"])
    yield session
    session.close()


@pytest.fixture
def console_errors() -> list[str]:
    """What the console must not show: a test that expects an error takes it out."""
    return []


@pytest.fixture
def page(context: BrowserContext, console_errors: list[str]) -> Iterator[Page]:
    """A page whose console has to stay without errors."""
    opened = context.new_page()

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            console_errors.append(f"{message.text} ({message.location.get('url')})")

    opened.on("console", note)
    opened.on("pageerror", lambda error: console_errors.append(str(error)))
    yield opened
    opened.close()
    assert console_errors == [], sys.stderr.write("\n".join(console_errors))
