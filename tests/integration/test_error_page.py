"""
docs/errors.md says what a task does: each row is a task of one real DAG run, and the emulator's ledger judges.

``WRITE_ERRORS=1`` writes the page.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme
from airflow import __version__ as airflow_version
from packaging.version import Version

from airflow_provider_segmind.emulator.running import RunningEmulator, running_emulator
from airflow_provider_segmind.hooks import downloads
from harness.storage import DOWN, S3
from tests.integration import situations
from tests.integration.situations import GROUPS, SEEN, SITUATIONS, WHEN_DEFERRED, Seen, Situation

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "errors.md"
RUNBOOK = DOCS / "runbook.md"
MESSAGE = re.compile(r"(?<=<!-- message: )(\w+)( -->\n```text\n)(?:.*\n)?(?=```)")
TABLES = "<!-- tests/integration/test_error_page.py writes what follows. -->\n"
Run = Callable[..., dict[str, Any]]

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(Version(airflow_version) < Version("3.3"), reason="the page is about Airflow 3.3"),
]


@pytest.fixture
def emulators(
    storage: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, RunningEmulator]]:
    """A Segmind for each situation, and its connection; waits are short."""
    monkeypatch.setattr("airflow_provider_segmind.durability.submission.HISTORY_LAG", 2.0)
    monkeypatch.setattr("airflow_provider_segmind.durability.submission.latest_usual_duration", lambda *_: 0.0)
    monkeypatch.setattr("airflow_provider_segmind.api.history_search.FIRST_PAUSE", 0.5)
    monkeypatch.setattr("airflow_provider_segmind.api.follow.REGISTRATION_GRACE", 0.0)
    monkeypatch.setattr("airflow_provider_segmind.api.follow.LAST_TURN", 1.0)
    monkeypatch.setattr("airflow_provider_segmind.api.download.RETENTION", -1e6)
    monkeypatch.setattr(downloads, "LONGEST_RESUME_PAUSE", 0.0)
    monkeypatch.setenv("AIRFLOW__SEGMIND__ALLOWED_LOCAL_PATHS", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_VAR_CLIPS", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_CONN_STORAGE_DOWN", json.dumps(DOWN))
    shutil.copy(DOCS.parent / "example_dags" / "images" / "mug.jpg", tmp_path / "mug.png")
    storage.bucket.meta.client.create_bucket(Bucket="deleted")
    with ExitStack() as stack:
        running = {}
        for each in SITUATIONS:
            here = stack.enter_context(running_emulator(latency=0.1, **each.settings))
            running[each.key] = here
            if each.faults:
                here.faults(*each.faults)
            monkeypatch.setenv(f"AIRFLOW_CONN_{each.key.upper()}", json.dumps(here.connection()))
        untrusted = json.dumps(stack.enter_context(running_emulator(ssl_context=of_nobody())).connection())
        monkeypatch.setenv("AIRFLOW_CONN_UNTRUSTED", untrusted)
        unreachable = running["unreachable"].connection()
        monkeypatch.setenv("AIRFLOW_CONN_UNREACHABLE", json.dumps({**unreachable, "host": nowhere()}))
        WHEN_DEFERRED["distrust"] = lambda name: situations.environment(name, untrusted)
        WHEN_DEFERRED["delete_bucket"] = lambda _: delete(storage, "deleted")
        yield running


@pytest.mark.timeout(2400)
def test_the_page_of_errors_is_what_happens(run_dag: Run, emulators: dict[str, RunningEmulator]) -> None:
    SEEN.update({each.key: Seen() for each in SITUATIONS})
    tasks = run_dag("errors")
    rows = [row(each, tasks[each.key], emulators[each.key], SEEN[each.key]) for each in SITUATIONS]
    written = PAGE.read_text()
    expected = written.partition(TABLES)[0] + TABLES + "".join(tables(rows))
    if os.environ.get("WRITE_ERRORS"):
        PAGE.write_text(expected)
    messages = {each.key: row["full message"] for each, row in zip(SITUATIONS, rows, strict=True)}
    runbook = RUNBOOK.read_text()
    quoted = MESSAGE.sub(lambda found: f"{found[1]}{found[2]}{messages[found[1]]}\n", runbook)
    if os.environ.get("WRITE_ERRORS"):
        RUNBOOK.write_text(quoted)
    assert written == expected, "read the page, then run this test with WRITE_ERRORS=1"
    assert runbook == quoted, "read the messages, then run this test with WRITE_ERRORS=1"


def row(situation: Situation, task: Any, emulator: RunningEmulator, seen: Seen) -> dict[str, str]:
    """Return a row of the page."""
    return {
        "group": situation.group,
        "what": situation.what,
        "task": what_it_does(task, emulator, seen.deferrals),
        "charged": {0: "nothing", 1: "one request", 2: "two requests"}[emulator.ledger()["count"]],
        "to do": situation.to_do,
        "error": f"`{public_name(type(seen.errors[0]))}`" if seen.errors else "",
        "message": without_link(shown(str(seen.errors[-1]))).replace("|", "\\|") if seen.errors else "",
        "full message": shown(str(seen.errors[-1])) if seen.errors else "",
    }


def what_it_does(task: Any, emulator: RunningEmulator, deferrals: list[str]) -> str:
    """Return in words what a task with one retry did."""
    calls = emulator.requests()["endpoints"]
    submits, accepted = calls.get("submit", 0), emulator.ledger()["submits"]
    searched = any("Lost" in each or "Unresolved" in each for each in deferrals)
    if task.state == "failed":
        first = "searches the history, then " if searched else ""
        if task.try_number == 1:
            return f"{first}fails at once"
        return f"{first}fails and retries" + (": a retry continues with the same request" if accepted == 1 else "")
    assert task.state == "success"
    if task.try_number > 1:
        return "fails and retries: the retry submits " + ("a new request" if submits > 1 else "nothing")
    if any("Turn" in each or "RateLimit" in each for each in deferrals):
        return "waits in the triggerer for its turn, then submits"
    if searched:
        found = (
            "does not find the request, and submits once more"
            if submits > 1
            else "finds the request and continues"
        )
        return f"searches the history in the triggerer, {found}"
    if submits > 1:
        return "submits again within the same attempt"
    if calls.get("media", 0) > 1:
        return "resumes the download"
    return "takes the result from the history" if calls.get("history_item") else "keeps waiting in the triggerer"


def public_name(error: type) -> str:
    """Return the name of an error that a DAG can catch."""
    return next(each.__name__ for each in error.__mro__ if not each.__name__.startswith("_"))


def shown(message: str) -> str:
    """Return a message as on any machine."""
    message = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "7d1c…", message)
    message = re.sub(r"(?<=host=')127\.0\.0\.1', port=\d+", "api.segmind.com', port=443", message)
    message = re.sub(r"https?://127\.0\.0\.1:1/", "https://s3.amazonaws.com/", message)
    message = re.sub(r" \(_ssl\.c:\d+\)", "", message)
    message = re.sub(r"[0-9a-f]{64}(?=\.json)", "35a9…", message)
    message = re.sub(r"\b0 days after", "9 days after", message)
    message = re.sub(r"http://127\.0\.0\.1:\d+", "https://api.segmind.com", message)
    message = re.sub(r"127\.0\.0\.1:\d+", "api.segmind.com:443", message)
    message = re.sub(r"/\S*/pytest-[^ ]*?/(?=[\w.]+)", "/clips/", message)
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", "2026-11-25T02:00:07.250000Z", message)


def without_link(message: str) -> str:
    """Return a message without the link at its end, which is the same for all of a class."""
    text, _, link = message.rpartition(" See ")
    assert link.startswith("https://")
    return text


def tables(rows: list[dict[str, str]]) -> Iterator[str]:
    """Yield the page's tables: what a task does, and below the messages."""
    for group in dict.fromkeys(each["group"] for each in rows):
        yield f"\n## {group}\n\n{GROUPS[group]}\n\n"
        yield "| situation | the task | charged | error | what to do |\n|---|---|---|---|---|\n"
        for each in (each for each in rows if each["group"] == group):
            yield f"| {each['what']} | {each['task']} | {each['charged']} | {each['error']} | {each['to do']} |\n"
    yield "\n## Messages\n\nThe message of each error, as the log of the task has it. "
    yield "At its end follows a link to the [runbook](runbook.md).\n\n"
    yield "| error | situation | message |\n|---|---|---|\n"
    for each in (each for each in rows if each["message"]):
        yield f"| {each['error']} | {each['what']} | {each['message']} |\n"


def of_nobody() -> ssl.SSLContext:
    """A certificate of an authority that nobody knows."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


def nowhere() -> str:
    """An address at which nothing answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def delete(storage: S3, bucket: str) -> None:
    """Delete a bucket and what is in it, if it is there."""
    found = storage.bucket.meta.client
    if bucket in [each["Name"] for each in found.list_buckets()["Buckets"]]:
        for each in found.list_objects_v2(Bucket=bucket).get("Contents", []):
            found.delete_object(Bucket=bucket, Key=each["Key"])
        found.delete_bucket(Bucket=bucket)
