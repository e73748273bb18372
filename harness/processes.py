"""Processes: started, watched, killed, and gone in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from harness.failure import HarnessError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_GRACE = 3.0
_KILLED = 10.0
_PAUSE = 0.1


@dataclass
class Process:
    """A process, its name for the reader, the file that it writes to, and whether it runs until it is stopped."""

    name: str
    log: Path
    popen: subprocess.Popen[bytes]
    lasting: bool


class Processes:
    """
    Processes that each lead a separate session.

    So Ctrl-C in a terminal reaches only the process that started them. What they fork is found by its session,
    even where it has its own process group, as Airflow's tasks have, or has lost its parent.

    :param logs: The folder in which each process has its log file, and its working directory.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[Process] = []

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], *, lasting: bool = True
    ) -> Process:
        """
        Start a process.

        :param name: For the reader; also the name of its log file.
        :param lasting: Whether it runs until it is stopped. If not, see `has_finished`.
        """
        log = self._logs / f"{name}.log"
        with log.open("wb") as output:
            popen = subprocess.Popen(  # noqa: S603 - the caller's own command
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

    def has_finished(self, process: Process) -> bool:
        """
        Tell whether a process that is not lasting has done its work.

        :raises HarnessError: If it has failed.
        """
        code = process.popen.poll()
        if code is None:
            return False
        if code:
            raise HarnessError(f"{process.name} failed ({_ending(code)})", log=process.log)
        if process in self._running:
            self._running.remove(process)
        return True

    def kill(self, process: Process, *, with_children: bool = True) -> None:
        """
        Kill a process with SIGKILL, and wait until it is gone. `check` does not miss it.

        :param with_children: Whether all that it has started is killed, too. If not, `stop` ends that.
        """
        process.lasting = False
        for each in psutil.process_iter():
            if each.pid == process.popen.pid or (with_children and _session(each) == process.popen.pid):
                with suppress(psutil.Error):
                    each.send_signal(signal.SIGKILL)
        process.popen.wait(_KILLED)

    def check(self) -> None:
        """
        See that all run that should.

        :raises HarnessError: If one has ended.
        """
        for process in self._running:
            code = process.popen.poll() if process.lasting else None
            if code is not None:
                raise HarnessError(f"{process.name} has stopped ({_ending(code)})", log=process.log)

    def stop(self) -> None:
        """
        End every process and whatever it has started.

        :raises HarnessError: If one cannot be ended.
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
        raise HarnessError(f"these processes could not be stopped: {left}")

    def _members(self) -> list[psutil.Process]:
        sessions = {process.popen.pid for process in self._running}
        return [each for each in psutil.process_iter() if _session(each) in sessions]


def processes_below(folder: Path) -> list[psutil.Process]:
    """Return what runs in a folder or below it, such as what `Processes` has started with its logs there."""
    return [each for each in psutil.process_iter() if _working_directory(each).is_relative_to(folder)]


def _working_directory(process: psutil.Process) -> Path:
    try:
        return Path(process.cwd())
    except psutil.Error:
        return Path("/")


def _session(process: psutil.Process) -> int | None:
    """Return the session of a living process."""
    try:
        return None if process.status() == psutil.STATUS_ZOMBIE else os.getsid(process.pid)
    except (psutil.Error, OSError):
        return None


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
