"""
Parsing a DAG file imports what parsing needs, and a task what this task needs.

Each DAG processor and each start of a task pays for all else.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

from airflow_provider_segmind.api.follow import RECORD_LIFETIME
from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.sensors.request import DEFAULT_TIMEOUT
from tests.examples import loadable_examples

PACKAGE = "airflow_provider_segmind"
EXAMPLES = loadable_examples()

HEAVY = (
    *("aiohttp", "aiolimiter", "asgiref", "boto3", "botocore", "certifi", "fsspec", "idna", "PIL", "redis"),
    *("requests", "s3fs", "tenacity", "throttled", "upath", "urllib3"),
)
"""Libraries that no DAG file needs to be parsed. Some versions of Airflow have imported some of them by then."""

NOT_FOR_PARSING = (
    *("api.answers", "api.calls", "api.follow", "delivery", "durability", "emulator", "lineage", "media.storing"),
    *("hooks.connection", "hooks.segmind", "operators.running", "operators.starting", "operators.sync_running"),
    *("sensors.waiting", "triggers"),
)
"""Modules of the provider that a task needs when it runs."""

FOR_DAGS = (
    *("decorators.segmind", "operators.inference", "operators.kling", "operators.sync"),
    *("sensors.credits", "sensors.request"),
)
TRIGGERS = (*("triggers.rate_limit", "triggers.request", "triggers.unresolved_submit"), "triggers.request_ended")
FOR_WATCHERS = ("triggers", "triggers.request_ended")
"""What a DAG file needs to give an asset a watcher: a trigger, and nothing of what it does when it runs."""

NOT_FOR_A_PLAIN_TASK = (
    *("api.error_page", "api.failures", "api.history", "api.history_search", "api.literals", "api.media_url"),
    *("difflib", "hooks.downloads", "hooks.redis_place"),
    *("durability.expense", "durability.run_expenses", "durability.spending", "hooks.redis_ledger", "html.parser"),
    *("lineage.openlineage", "media.reading", "media.stored", "media.storing", "triggers.rate_limit"),
    *("triggers.submit_events", "triggers.unresolved_submit"),
)
"""What a task needs if something is wrong, or if it has a limit, an image, a file to store, or a rate limit."""

NOT_FOR_DELIVERING = (
    *NOT_FOR_A_PLAIN_TASK,
    *("api.call", "api.calls", "api.early_results", "api.expectation", "api.follow", "api.readers"),
    *("api.schedule", "api.sent_inputs", "api.unresolved_submit", "durability.lifecycle", "durability.submission"),
    *("hooks.blocking", "hooks.connection", "hooks.driving", "hooks.lookup", "hooks.segmind", "media.inputs"),
    *("operators.checking", "operators.starting", "requests", "triggers.base", "triggers.request"),
)
"""What a task needs beside that to submit and to wait. It resumes in a new process."""

TASK = """
import logging
import airflow.triggers.base  # which Airflow has by then
from airflow_provider_segmind.compat import TaskDeferred
from tests.task_instance import Ti
logging.disable(logging.CRITICAL)

class TaskState(dict):
    set, delete = dict.__setitem__, dict.pop

context = {"ti": Ti(), "task_state_store": TaskState(), "outlet_events": {}}
before = set(sys.modules)
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
task = KlingImageToVideoOperator(
    task_id="clip", prompt="a fox turns", start_image_url="https://example.com/fox.png", deferrable=True,
    expected_duration=60,
)
"""
EXECUTE = """
try:
    task.execute(context)
except TaskDeferred as deferral:
    assert deferral.method_name == "execute_complete"
else:
    raise AssertionError("it has not been deferred")
"""
RESUME = """
result = {"request_id": "r-1", "status": "COMPLETED", "video": {"url": "https://example.com/clip.mp4"},
          "metrics": {"cost": 0.91}}
event = {"version": 1, "request_id": "r-1", "state": "COMPLETED", "result": result, "from_history": False}
assert task.execute_complete(context, event) == "https://example.com/clip.mp4"
"""

PRELUDE = f"""
import builtins, importlib, json, runpy, sys
from {PACKAGE} import compat
for name in compat.NAMES:  # what Airflow itself imports is not the provider's
    getattr(compat, name)

asked_for, imported, find = set(), builtins.__import__, importlib.import_module

def record(name, importer):
    if importer and importer.split(".")[0] == {PACKAGE!r}:
        asked_for.add(name)

def recording_import(name, globals=None, *more, **named):
    record(name, (globals or {{}}).get("__name__"))
    return imported(name, globals, *more, **named)

before = set(sys.modules)
builtins.__import__ = recording_import
"""
POSTLUDE = """
builtins.__import__ = imported
print(json.dumps({"asked_for": sorted(asked_for), "new": sorted(set(sys.modules) - before)}))
"""


def trace_imports(code: str) -> dict[str, Any]:
    """Return what code has the provider import, also if it was imported before; and what is new in Python."""
    program = f"{PRELUDE}\n{code}\n{POSTLUDE}"
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    traced: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return traced


def heavy(names: list[str]) -> list[str]:
    return [name for name in names if name.partition(".")[0] in HEAVY]


def not_for_parsing(names: list[str]) -> list[str]:
    own = [name.removeprefix(f"{PACKAGE}.") for name in names if name.startswith(f"{PACKAGE}.")]
    return [name for name in own if any(f"{name}.".startswith(f"{each}.") for each in NOT_FOR_PARSING)]


def test_the_trace_sees_what_has_been_imported_before_and_what_is_new() -> None:
    """The other tests would pass if it saw nothing."""
    traced = trace_imports(f"import requests, {PACKAGE}.hooks.nonblocking")
    assert {"aiohttp", "ssl"} <= set(traced["asked_for"])
    assert f"{PACKAGE}.hooks.nonblocking" in traced["new"]  # not aiohttp: Airflow 3.0 has imported that by then
    assert heavy(traced["asked_for"])
    assert not_for_parsing([f"{PACKAGE}.durability.store", f"{PACKAGE}.media"]) == ["durability.store"]


def test_operators_and_sensors() -> None:
    traced = trace_imports("".join(f"import {PACKAGE}.{module}\n" for module in FOR_DAGS))
    assert not heavy(traced["asked_for"])
    assert not heavy(traced["new"])
    assert not not_for_parsing(traced["new"])


def test_example_dags() -> None:
    """Their tasks are made, too: a constructor could import what its module does not."""
    traced = trace_imports("".join(f"runpy.run_path({str(example)!r})\n" for example in EXAMPLES))
    assert {f"{PACKAGE}.{module}" for module in FOR_DAGS} <= set(traced["new"])
    assert not heavy(traced["asked_for"])
    assert not {*not_for_parsing(traced["new"])} - {*FOR_WATCHERS}


def test_triggers() -> None:
    """A triggerer imports them on its event loop; the transport comes in a thread, with the first wait."""
    traced = trace_imports("".join(f"import {PACKAGE}.{module}\n" for module in TRIGGERS))
    assert not {"aiohttp", "aiolimiter", "asgiref", "fsspec", "requests", "upath"} & set(traced["asked_for"])
    assert not {"aiohttp", "aiolimiter"} & set(traced["new"])


RUNNING = ("hooks.segmind", "operators.starting", "operators.sync_running", "sensors.waiting")


def test_a_worker_needs_no_library_of_the_triggerer() -> None:
    traced = trace_imports("".join(f"import {PACKAGE}.{module}\n" for module in (*RUNNING, "hooks.blocking")))
    assert not {"aiohttp", "aiolimiter"} & {*traced["asked_for"], *traced["new"]}
    assert "requests" in traced["asked_for"]
    assert not {"asgiref", "fsspec", "upath", f"{PACKAGE}.media.storing"} & {*traced["asked_for"], *traced["new"]}


def test_what_runs_a_task_imports_nothing_that_sends_until_something_is_sent() -> None:
    traced = trace_imports("".join(f"import {PACKAGE}.{module}\n" for module in RUNNING))
    assert not {"requests", "urllib3"} & {*traced["asked_for"], *traced["new"]}


LIBRARIES = ("difflib", "html.parser", "requests")


def not_for(names: list[str], unwanted: tuple[str, ...]) -> set[str]:
    return {name.removeprefix(f"{PACKAGE}.") for name in names} & set(unwanted)


def test_a_plain_task_that_submits_imports_nothing_for_what_does_not_happen(emulator: RunningEmulator) -> None:
    traced = trace_imports(TASK + EXECUTE)
    assert emulator.ledger()["submits"] == 1
    assert f"{PACKAGE}.durability.lifecycle" in traced["new"]
    assert not not_for(traced["new"], NOT_FOR_A_PLAIN_TASK)


def test_a_plain_task_that_resumes_imports_what_delivers_its_result() -> None:
    traced = trace_imports(TASK + RESUME)
    assert f"{PACKAGE}.lineage.summary" in traced["new"]
    assert not not_for(traced["new"], NOT_FOR_DELIVERING)


def test_the_modules_that_are_not_to_be_imported_are_there() -> None:
    """One that was renamed would be imported unnoticed."""
    for name in {*NOT_FOR_PARSING, *NOT_FOR_DELIVERING} - set(LIBRARIES):
        assert find_spec(f"{PACKAGE}.{name}"), name


def test_what_is_written_twice_is_the_same() -> None:
    assert DEFAULT_TIMEOUT == RECORD_LIFETIME
