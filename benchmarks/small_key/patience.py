"""Waiting that a signal ends, with everything cleaned up behind it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from demo.failure import StoppedError
from demo.telling import elapsed
from demo.waiting import Waiting

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def patience(seconds: float) -> Iterator[Waiting]:
    """
    Yield something to wait with, for so long in all.

    A signal ends the wait that it meets, and then the process; while things are stopped, it changes nothing.
    """
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield Waiting(elapsed() + seconds)
    except StoppedError as stopped:
        sys.exit(stopped.exit_code)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
