"""What can end the demo early."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class DemoError(Exception):
    """
    The demo cannot go on.

    :param message: What failed, in the reader's words.
    :param log: The log file that knows more, if there is one.
    :param exit_code: What `python -m demo` ends with.
    """

    def __init__(self, message: str, *, log: Path | None = None, exit_code: int = 1) -> None:
        super().__init__(message)
        self.log = log
        self.exit_code = exit_code


class StoppedError(Exception):
    """A signal asked the demo to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.exit_code = 128 + number
