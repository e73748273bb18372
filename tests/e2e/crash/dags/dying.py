"""Tasks that kill themselves at a named point, in their first attempt only."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from events import MARKS

from airflow_provider_segmind.compat import BaseHook

_LOOK_EVERY = 0.05
_LONGEST_LOOK = 25.0


class Death:
    """
    The death of a task instance.

    :param point: Where it dies; an empty string for nowhere.
    :param whole_worker: Whether the process that supervises the task dies with it.
    """

    def __init__(self, point: str, ti: Any, *, whole_worker: bool = False) -> None:
        self._point = point
        self._whole_worker = whole_worker
        self._mark = Path(os.environ[MARKS]) / f"{ti.run_id}.{ti.task_id}.{ti.map_index}"

    def at(self, point: str) -> None:
        """Die here if this is the point, and it has not happened yet."""
        if point != self._point:
            return
        try:
            self._mark.touch(exist_ok=False)
        except FileExistsError:
            return
        if self._whole_worker:
            os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    def once_accepted(self, point: str, conn_id: str) -> None:
        """Die as soon as Segmind has accepted a submit, whose answer is being waited for meanwhile."""
        if point == self._point and not self._mark.exists():
            url = f"{BaseHook.get_connection(conn_id).host}/__emulator__/ledger"
            threading.Thread(target=self._watch, args=(point, url), daemon=True).start()

    def _watch(self, point: str, ledger: str) -> None:
        give_up_at = time.monotonic() + _LONGEST_LOOK
        while time.monotonic() < give_up_at:
            if requests.get(ledger, timeout=5).json()["submits"]:
                self.at(point)
            time.sleep(_LOOK_EVERY)


def wrap(
    owner: Any,
    name: str,
    before: Callable[..., object] | None = None,
    after: Callable[..., object] | None = None,
) -> None:
    """Have something called before or after a function, with what the function is called with."""
    wrapped = getattr(owner, name)

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if before is not None:
            before(*args, **kwargs)
        returned = wrapped(*args, **kwargs)
        if after is not None:
            after(*args, **kwargs)
        return returned

    setattr(owner, name, wrapper)
