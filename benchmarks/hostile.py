"""
How long the triggerer's event loop stands still, and how much it holds, when the answers are hostile.

``python -m benchmarks.hostile`` runs four triggers in one process against a server in another one, once for each
kind of answer, and prints the longest standstill and the peak of the memory. ``--json`` prints the figures alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
MIB = 2**20
TRIGGERS = 4
SECONDS = 12.0
"""From the start of the triggers to their deadline."""

TICK = 0.005
_CHUNK = 256 * 1024
_END_SECONDS = 900.0


def _lists() -> bytes:
    return b"[" + b"[]," * (16 * MIB // 3 - 1) + b"[]]"


def _literals() -> bytes:
    literal = "{'a': [" + "[]," * (MIB // 3) + "]}"
    return _page([{"request_body": literal}] * 4)


def _digits() -> bytes:
    page = _page([{}] * 100)
    return page.replace(b'"credits_deduction": 0.91', b'"credits_deduction": ' + b"9" * 5000, 1)


def _text() -> bytes:
    return json.dumps({"status": "COMPLETED", "output": "it's a [long] text, of a model.\n" * 210_000}).encode()


def _states() -> bytes:
    return json.dumps({"status": "s" * (15 * MIB)}).encode()


def _page(rows: Sequence[dict[str, Any]]) -> bytes:
    usual = {"model_name": "some-model", "model_status": "COMPLETED", "credits_deduction": 0.91}
    return json.dumps({"data": [{"request_id": f"r{at}", **usual, **row} for at, row in enumerate(rows)]}).encode()


@dataclass(frozen=True)
class Case:
    """
    A kind of answer.

    :param search: Whether searches for unresolved submits get it, and not requests that are waited for.
    :param result: Whether it is that of a result, after a status that is COMPLETED.
    """

    name: str
    body: Callable[[], bytes]
    search: bool = False
    result: bool = False


CASES = {
    "usual": Case("a usual status", lambda: b'{"status": "PROCESSING", "metrics": {}}'),
    "lists": Case("a status of 16 MiB of `[],`", _lists),
    "states": Case("a `status` of 15 MiB", _states),
    "text": Case("a result with a text of 7 MB", _text, result=True),
    "results": Case("a result of 16 MiB of `[],`", _lists, result=True),
    "page": Case("a usual page of history", lambda: _page([{}] * 100), search=True),
    "literals": Case("a page with Python literals of 1 MiB", _literals, search=True),
    "digits": Case("a page with a number of 5,000 digits", _digits, search=True),
    "page of lists": Case("a page of 16 MiB of `[],`", _lists, search=True),
}


@dataclass(frozen=True)
class Figures:
    """
    What one case came to.

    :param standstill: The longest time, in milliseconds, for which the event loop did nothing else.
    :param peak: The peak of the process's memory above what it was before the triggers began, in MiB.
    :param cpu: CPU seconds of the process.
    """

    standstill: float
    peak: float
    cpu: float


def measure(name: str) -> Figures:
    """Run one case in a separate process, against a server in another."""
    with serving(name) as url, tempfile.TemporaryDirectory() as home:
        connection = {
            "conn_type": "segmind",
            "password": "SG_0123456789abcdef",
            "host": url,
            "extra": {"platform_url": url, "storage_url": url},
        }
        environment = {
            **os.environ,
            "AIRFLOW_HOME": home,
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
            "AIRFLOW_CONN_SEGMIND_DEFAULT": json.dumps(connection),
        }
        done = subprocess.run(  # noqa: S603 - of this module
            [sys.executable, "-m", "benchmarks.hostile", "--wait", name],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=ROOT,
            timeout=_END_SECONDS,
        )
    return Figures(**json.loads(done.stdout.splitlines()[-1]))


@contextmanager
def serving(name: str) -> Iterator[str]:
    """Serve the answer of one case, to whatever is asked, from another process."""
    with subprocess.Popen(  # noqa: S603 - of this module
        [sys.executable, "-m", "benchmarks.hostile", "--serve", name], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as server:
        try:
            assert server.stdout is not None  # noqa: S101 - it is a pipe
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.terminate()


def serve(name: str) -> None:
    """Answer every question in the same way, until this process is ended."""
    case = CASES[name]
    body = case.body()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent = b'{"status": "COMPLETED"}' if case.result and self.path.endswith("/status") else body
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            with suppress(OSError):
                for start in range(0, len(sent), _CHUNK):
                    self.wfile.write(sent[start : start + _CHUNK])

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


def wait(name: str) -> None:
    """Run the triggers of one case, and print its figures."""
    triggers = _triggers(CASES[name], SECONDS)
    import_module("airflow_provider_segmind.hooks.segmind")  # now, so that it counts as memory from before
    before = _peak()
    standstill = asyncio.run(_drive(triggers))
    figures = Figures(standstill * 1000, _peak() - before, time.process_time())
    sys.stdout.write(json.dumps(asdict(figures)) + "\n")


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _triggers(case: Case, seconds: float) -> list[Any]:
    from airflow_provider_segmind.api.unresolved_submit import UnresolvedSubmit
    from airflow_provider_segmind.triggers.request import SegmindRequestTrigger
    from airflow_provider_segmind.triggers.unresolved_submit import SegmindUnresolvedSubmitTrigger

    now = time.time()
    if case.search:
        submit = UnresolvedSubmit(
            "some-model", "none", sent_at=now, accepted_by=now + 1, search_from=now, search_until=now + seconds
        )
        return [SegmindUnresolvedSubmitTrigger("segmind_default", submit.as_json()) for _ in range(TRIGGERS)]
    return [
        SegmindRequestTrigger(f"req-{number}", "segmind_default", now, now + seconds, poll_interval=1.0)
        for number in range(TRIGGERS)
    ]


async def _drive(triggers: Sequence[Any]) -> float:
    """Run the triggers to their events, and return the longest standstill in seconds."""
    longest = 0.0
    ended = asyncio.Event()

    async def watch() -> None:
        nonlocal longest
        while not ended.is_set():
            before = time.perf_counter()
            await asyncio.sleep(TICK)
            longest = max(longest, time.perf_counter() - before - TICK)

    async def event(trigger: Any) -> None:
        async for _ in trigger.run():
            pass

    watching = asyncio.create_task(watch())
    await asyncio.gather(*map(event, triggers))
    ended.set()
    await watching
    return longest


def main() -> int:
    """Measure what was asked for, and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(CASES)}; default: all")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--serve", metavar="NAME", help=argparse.SUPPRESS)
    parser.add_argument("--wait", metavar="NAME", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve or options.wait:
        serve(options.serve) if options.serve else wait(options.wait)
        return 0
    found = {name: measure(name) for name in options.names or CASES}
    if options.json:
        sys.stdout.write(json.dumps({name: asdict(each) for name, each in found.items()}) + "\n")
        return 0
    from .report import table

    rows = [
        (CASES[name].name, f"{each.standstill:.0f}", f"{each.peak:.0f}", f"{each.cpu:.1f}")
        for name, each in found.items()
    ]
    heads = (f"{TRIGGERS} triggers get", "longest standstill, ms", "memory on top, MiB", "CPU, s")
    sys.stdout.write(table(heads, rows) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
