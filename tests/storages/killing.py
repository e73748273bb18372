"""A process that is killed in the middle of an upload."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def kill_once_sent(script: str, argument: str) -> None:
    """
    Run a script until it has printed `sent`, and kill it.

    :param script: Python, which may import the tests. It must not end by itself.
    :param argument: Its `sys.argv[1]`.
    """
    killed = subprocess.Popen(
        [sys.executable, "-c", script, argument],
        cwd=Path(__file__).parents[2],  # where `tests` can be imported from
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with killed:
        assert killed.stdout is not None
        assert any(line == "sent\n" for line in killed.stdout), "it ended before it had sent anything"
        killed.kill()
