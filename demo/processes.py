"""The processes of a demo: started, watched, and gone when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from demo.failure import DemoError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_GRACE = 3.0
_KILLED = 10.0
_PAUSE = 0.1


@dataclass(frozen=True)
class Process:
    """A process, its name for the reader, the file that it writes to, and whether it runs until it is stopped."""

    name: str
    log: Path
    popen: subprocess.Popen[bytes]
    lasting: bool


class Processes:
    """
    Processes that each lead a session of their own.

    So Ctrl-C in a terminal reaches the demo alone, and what they fork can be found by its session, even where
    it has a process group of its own, as Airflow's tasks have, or has lost its parent.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[Process] = []

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], *, lasting: bool = True
    ) -> Process:
        """Start a process; if it is not `lasting`, it ends by itself, see `finished`."""
        log = self._logs / f"{name}.log"
        with log.open("wb") as output:
            popen = subprocess.Popen(  # noqa: S603 - the demo's own command
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=self._logs,
                start_new_session=True,
            )
        process = Process(name, log, popen, lasting)
        self._running.append(process)
        return process

    def finished(self, process: Process) -> bool:
        """
        Tell whether a process that ends by itself has done its work.

        :raises DemoError: If it has failed.
        """
        code = process.popen.poll()
        if code is None:
            return False
        if code:
            raise DemoError(f"{process.name} failed ({_ending(code)})", log=process.log)
        if process in self._running:
            self._running.remove(process)
        return True

    def check(self) -> None:
        """
        See that all run that should.

        :raises DemoError: If one has ended.
        """
        for process in self._running:
            code = process.popen.poll() if process.lasting else None
            if code is not None:
                raise DemoError(f"{process.name} has stopped ({_ending(code)})", log=process.log)

    def stop(self) -> None:
        """
        End every process and whatever it has started.

        :raises DemoError: If one cannot be ended.
        """
        for number in (signal.SIGTERM, signal.SIGKILL):
            for member in self._members():
                try:
                    member.send_signal(number)
                except psutil.Error:
                    continue
            deadline = time.monotonic() + _GRACE
            while time.monotonic() < deadline:
                for process in self._running:
                    process.popen.poll()
                if not self._members():
                    self._running.clear()
                    return
                time.sleep(_PAUSE)
        left = ", ".join(f"{member.pid}" for member in self._members())
        raise DemoError(f"these processes could not be stopped: {left}")

    def _members(self) -> list[psutil.Process]:
        sessions = {process.popen.pid for process in self._running}
        return [each for each in psutil.process_iter() if _session(each) in sessions]


def kill(process: Process, *, with_children: bool) -> None:
    """Kill a process, and if asked for all that it has started, with SIGKILL, and wait until it is gone."""
    for each in psutil.process_iter():
        if each.pid == process.popen.pid or (with_children and _session(each) == process.popen.pid):
            with suppress(psutil.Error):
                each.send_signal(signal.SIGKILL)
    process.popen.wait(_KILLED)


def _session(process: psutil.Process) -> int | None:
    """Return the session of a living process."""
    try:
        return None if process.status() == psutil.STATUS_ZOMBIE else os.getsid(process.pid)
    except (psutil.Error, OSError):
        return None


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
