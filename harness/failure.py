"""What can end a cluster early."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from harness.log_tail import last_lines

if TYPE_CHECKING:
    from pathlib import Path


class HarnessError(Exception):
    """
    Something did not start, did not come in time, or ended too early.

    :param message: What failed, in the reader's words.
    :param log: The log file that knows more, if there is one. Its last lines are a note of this error, and so
        part of its traceback.
    :param exit_code: What a command line ends with.
    """

    def __init__(self, message: str, *, log: Path | None = None, exit_code: int = 1) -> None:
        super().__init__(message)
        self.log = log
        self.exit_code = exit_code
        if log is not None and log.is_file():
            self.add_note("\n".join((f"The last lines of {log}:", *last_lines(log))))


class StoppedError(KeyboardInterrupt):
    """
    A signal asked this process to stop.

    It ends a test session or a command line as Ctrl-C does.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.exit_code = 128 + number
