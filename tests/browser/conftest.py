"""A real Chromium that looks at a real Airflow, whose Segmind is the emulator."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from watched import SECONDS_FOR_ALL, Watched

from harness import AirflowApi, Cluster, EmulatedSegmind, processes_below
from harness.configuration import free_ports, variables_of

pytest.importorskip("playwright", reason="`make test-browser` installs it")

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
DAGS = Path(__file__).parent / "dags"
EXAMPLES = ROOT / "example_dags"
MILLISECONDS = 120_000
"""For which one look may take: an Airflow on a busy machine answers slowly."""

ROLES = ("viewer", "user", "op", "admin")
HOSTILE = "<script>window.hacked = true</script>"
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """An Airflow for all tests: its start takes longer than any of them."""
    folder = tmp_path_factory.mktemp("cluster")
    segmind = EmulatedSegmind(
        latency=2.0,
        model=["blocked-model=image", "hostile-model=image", "stuck-model=video"],
        fault=[
            "on=submit,model=blocked-model,outcome=blocked",
            f"on=submit,model=hostile-model,outcome=failed,error={HOSTILE}",
            "on=submit,model=stuck-model,outcome=stuck",
        ],
    )
    settings = {
        "SEGMIND__ALLOWED_LOCAL_PATHS": f"{folder},{EXAMPLES / 'images'}",
        "SEGMIND__OUTPUT_TAB": True,
        "CORE__TEST_CONNECTION": "Enabled",
    }
    dags = folder / "dags"
    dags.mkdir()
    for dag in (*DAGS.glob("*.py"), EXAMPLES / "segmind_approve_clips.py"):
        shutil.copy(dag, dags)
    (folder / "images").mkdir()
    for image in ("mug.jpg", "plant.jpg"):
        shutil.copy(EXAMPLES / "images" / image, folder / "images")
    with Cluster(folder, dags=dags, segmind=segmind, settings=settings, seconds=SECONDS_FOR_ALL) as cluster:
        conf = {"image": str(EXAMPLES / "images" / "mug.jpg"), "folder": str(folder / "clips")}
        media, waiting = cluster.run("media", conf), cluster.run("waiting")
        reviewed = {"images": str(folder / "images"), "clips": str(folder / "reviewed"), "expected_duration": 2}
        approving = cluster.run("segmind_approve_clips", reviewed)
        cluster.until("the run to end", media.has_ended)
        cluster.until("a wait", lambda: [row.state for row in waiting.rows()] == ["deferred"])
        questions = f"/dags/{approving.dag_id}/dagRuns/{approving.run_id}/taskInstances/review.approve"
        for index in (0, 1):
            cluster.until("a question", partial(cluster.api.get, f"{questions}/{index}/hitlDetails"))
        nobodys = segmind.ask("POST", "/v2/fast-text-to-image", {"prompt": "a fox"})["request_id"]
        segmind.ask("POST", "/v2/hostile-model", {"prompt": "a fox"})
        cluster.until("all other requests to end", lambda: unfinished(segmind) == ["stuck-model"])
        yield Watched(cluster, media, waiting, approving, nobodys)
    assert processes_below(folder) == []


def unfinished(segmind: EmulatedSegmind) -> list[str]:
    """Return the models of the requests that have not ended."""
    charges = segmind.ledger()["charges"]
    return [each["model"] for each in charges if each["state"] not in ("COMPLETED", "FAILED")]


@pytest.fixture(scope="session")
def airflow_with_roles(airflow: Watched, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of one more API server of the same Airflow, where people have to log in: with a role as name."""
    passwords = tmp_path_factory.mktemp("auth") / "passwords.json"
    passwords.write_text(json.dumps({role: role for role in ROLES}))
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    settings = {
        "API__PORT": port,
        "API__BASE_URL": url,
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": False,
        "CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{role}:{role}" for role in ROLES),
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": passwords,
    }
    process = airflow.cluster.start("api-server", variables_of(settings))
    api = AirflowApi(url, airflow.cluster.waiting)
    airflow.cluster.until("an API server with roles", lambda: api.is_healthy([]), log=process.log)
    return url


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
