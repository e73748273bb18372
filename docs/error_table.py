"""Write docs/errors.md: every error of Segmind, provoked on the emulator, and what a user sees of it."""

from __future__ import annotations

import json
import os
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trustme

from airflow_provider_segmind.api.follow import FollowedRequest
from airflow_provider_segmind.api.kling import MODEL
from airflow_provider_segmind.compat import AirflowFailException
from airflow_provider_segmind.delivery import task_failure
from airflow_provider_segmind.emulator.running import RunningEmulator, running_emulator
from airflow_provider_segmind.exceptions import SegmindError
from airflow_provider_segmind.hooks.segmind import SegmindHook
from airflow_provider_segmind.hooks.waiting import wait_for

PAGE = Path(__file__).with_name("errors.md")
PARAMETERS = {"prompt": "zoom", "start_image_url": "https://example.com/a.png", "duration": 5}
INTRO = """# Every error, and what a task shows of it

Provoked on the emulator by `python docs/error_table.py`, which writes this page; a test keeps it true.
"Fails at once" means that the task's retries are not used: they could not help, or would pay again.
"""

ON_SUBMIT: list[tuple[str, dict[str, Any]]] = [
    ("400", {"status": 400}),
    ("401, key missing", {"status": 401, "cause": "missing"}),
    ("401, key rejected", {"status": 401, "cause": "rejected"}),
    ("403", {"status": 403}),
    ("404", {"status": 404}),
    ("405 (HTML)", {"status": 405}),
    ("406, credits", {"status": 406, "cause": "credits"}),
    ("406, parameter", {"status": 406, "cause": "parameter"}),
    ("406, spend limit", {"status": 406, "cause": "spend_limit"}),
    ("406, content type", {"status": 406, "cause": "content_type"}),
    ("410", {"status": 410}),
    ("429", {"status": 429, "reset_in": 30}),
    ("500", {"status": 500}),
    ("502", {"status": 502}),
    ("503", {"status": 503}),
    ("504", {"status": 504}),
    ("connection dropped", {"drop": "after"}),
    ("2xx without `request_id`", {"missing_request_id": True}),
    ("2xx, not JSON", {"body": "not_json"}),
]
WHILE_WAITING: list[tuple[str, dict[str, Any]]] = [
    ("422, FAILED", {"on": "submit", "outcome": "failed", "error": "CUDA out of memory"}),
    ("422, content block", {"on": "submit", "outcome": "blocked"}),
    ("404, and not in the history", {"on": "any", "skip": 1, "status": 404}),
    ("401", {"on": "status", "status": 401}),
    ("not done at `timeout`", {"on": "submit", "outcome": "stuck"}),
    ("429 until `timeout`", {"on": "status", "status": 429, "reset_in": 30}),
    ("503 until `timeout`", {"on": "status", "status": 503}),
    ("unknown state until `timeout`", {"on": "submit", "outcome": "unknown_state", "state": "PAUSED"}),
    ("result not JSON until `timeout`", {"on": "result", "body": "html"}),
    ("COMPLETED without a video", {"on": "result", "json": {"status": "COMPLETED", "output": None}}),
]

UNTRUSTED = "nothing: its TLS certificate is not trusted"


def page() -> str:
    """Return the whole page."""
    with running_emulator(latency=0.1) as emulator:
        before = os.environ.get("AIRFLOW_CONN_SEGMIND_DEFAULT")
        os.environ["AIRFLOW_CONN_SEGMIND_DEFAULT"] = json.dumps(emulator.connection())
        try:
            submit = [_row(what, _submitting(emulator, fault)) for what, fault in ON_SUBMIT]
            waiting = [_row(what, _waiting(emulator, fault)) for what, fault in WHILE_WAITING]
            with _untrusted():
                submit.append(_row(UNTRUSTED, _error(lambda: SegmindHook().submit(MODEL, PARAMETERS))))
                waiting.append(_row(UNTRUSTED, _error(lambda: SegmindHook().get_status("7d1c"))))
        finally:
            del os.environ["AIRFLOW_CONN_SEGMIND_DEFAULT"]
            if before is not None:
                os.environ["AIRFLOW_CONN_SEGMIND_DEFAULT"] = before
    return "\n".join([INTRO, *_table("On submit", submit), "", *_table("While waiting", waiting), ""])


@contextmanager
def _untrusted() -> Iterator[None]:
    """Let the default connection lead to a Segmind with a certificate from an authority that nobody knows."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with running_emulator(ssl_context=context) as emulator:
        os.environ["AIRFLOW_CONN_SEGMIND_DEFAULT"] = json.dumps(emulator.connection())
        yield


def _submitting(emulator: RunningEmulator, fault: dict[str, Any]) -> SegmindError:
    emulator.reset()
    emulator.faults({"on": "submit", **fault})
    return _error(lambda: SegmindHook().submit(MODEL, PARAMETERS))


def _waiting(emulator: RunningEmulator, fault: dict[str, Any]) -> SegmindError:
    from airflow_provider_segmind.api.output import video_url

    emulator.reset()
    emulator.faults(fault)
    hook = SegmindHook()
    request_id = hook.submit(MODEL, PARAMETERS).request_id
    now = time.time()
    age = 3600 if fault.get("status") == 404 else 0
    request = FollowedRequest(request_id, now - age, now + 1, poll_interval=0.2)
    return _error(lambda: video_url(wait_for(request, hook)))


def _error(act: Any) -> SegmindError:
    try:
        act()
    except SegmindError as error:
        return error
    raise AssertionError("nothing went wrong")


def _row(what: str, error: SegmindError) -> str:
    fails = isinstance(task_failure(error), AirflowFailException)
    told = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "7d1c…", str(error))
    told = re.sub(r"http://127\.0\.0\.1:\d+", "https://api.segmind.com", told)
    told = re.sub(r"127\.0\.0\.1:\d+", "api.segmind.com:443", told)
    told = re.sub(r"request_id=7d1c\b(?!…)", "request_id=7d1c…", told)
    told = re.sub(r"requests/7d1c/", "requests/7d1c…/", told)
    told = re.sub(r"after \d+ s", "after 900 s", told).replace("|", "\\|")
    return f"| {what} | `{type(error).__name__}` | {'fails at once' if fails else 'retries'} | {told} |"


def _table(title: str, rows: list[str]) -> Iterator[str]:
    yield from (f"## {title}", "", "| Segmind says | exception | task | message |", "|---|---|---|---|", *rows)


if __name__ == "__main__":
    PAGE.write_text(page())
