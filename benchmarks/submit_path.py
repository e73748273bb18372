"""
Through how many files and functions one submit goes.

``python -m benchmarks.submit_path`` runs ``KlingImageToVideoOperator.execute()`` against the emulator and traces
it until the POST is on the wire. A hop is a change of file from one call of the package to the next.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

PACKAGE = Path(__file__).parents[1] / "airflow_provider_segmind"


class _TaskInstance:
    dag_id, run_id, task_id, map_index, max_tries, try_number = "clips", "manual", "clip", -1, 0, 1

    def xcom_push(self, key: str, value: Any) -> None:
        """Take no XCom."""


class _TaskStateStore(dict[str, Any]):
    set = dict.__setitem__
    delete = dict.pop


class Trace:
    """The calls of the package until the POST leaves, as pairs of a file and a function; and the stack by then."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.stack: list[tuple[str, str]] = []

    @property
    def hops(self) -> int:
        """How often a call is in another file than the one before."""
        return sum(one[0] != other[0] for one, other in itertools.pairwise(self.calls))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Trace this thread until it sends a POST."""
        send = socket.socket.sendall

        def sendall(to: socket.socket, content: Any, *flags: int) -> None:
            if sys.getprofile() is not None and bytes(content[:4]) == b"POST":
                sys.setprofile(None)
                self.stack = [called for frame in _frames() if (called := _in_package(frame)) is not None]
            send(to, content, *flags)

        def note(frame: FrameType, event: str, _argument: object) -> None:
            if event == "call" and (called := _in_package(frame)) is not None:
                self.calls.append(called)

        with mock.patch("socket.socket.sendall", sendall):
            sys.setprofile(note)
            try:
                yield
            finally:
                sys.setprofile(None)

    def __str__(self) -> str:
        files, stacked = {file for file, _ in self.calls}, {file for file, _ in self.stack}
        return (
            f"{len(files)} files, {self.hops} hops, {len(self.calls)} calls; "
            f"as the POST leaves, a stack of {len(self.stack)} frames in {len(stacked)} files"
        )


def _frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _in_package(frame: FrameType) -> tuple[str, str] | None:
    path = Path(frame.f_code.co_filename)
    is_ours = path.is_relative_to(PACKAGE)
    return (str(path.relative_to(PACKAGE)), frame.f_code.co_qualname) if is_ours else None


def trace() -> Trace:
    """Trace a submit. Another one goes before it, so that no import is counted."""
    from airflow_provider_segmind.compat import TaskDeferred
    from airflow_provider_segmind.emulator.running import running_emulator
    from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

    with running_emulator() as emulator:
        os.environ["AIRFLOW_CONN_SEGMIND_DEFAULT"] = json.dumps(emulator.connection())
        for _ in range(2):
            traced = Trace()
            operator = KlingImageToVideoOperator(
                task_id="clip", prompt="a fox turns", start_image_url="https://example.com/fox.png"
            )
            context: Any = {"ti": _TaskInstance(), "task_state_store": _TaskStateStore(), "outlet_events": {}}
            with traced.running(), suppress(TaskDeferred):
                operator.execute(context)
    return traced


def main() -> None:
    """Print the calls, a line for each stay in a file, and the counts."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["AIRFLOW_HOME"] = home
        traced = trace()
    for file, calls in itertools.groupby(traced.calls, key=lambda call: call[0]):
        sys.stdout.write(f"{file}: {', '.join(name for _, name in calls)}\n")
    sys.stdout.write(f"{traced}\n")


if __name__ == "__main__":
    main()
