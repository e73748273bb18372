"""A trigger that measures how late the triggerer's event loop is, for all who wait on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

PAUSE = 0.02
_LINES = 50


class LagMeterTrigger(BaseTrigger):
    """Sleep for a moment, again and again, and write down when it woke and how late that was."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments."""
        return f"{__name__}.LagMeterTrigger", {"path": self.path}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Run until the triggerer ends; there is no event."""
        lines: list[str] = []
        while True:
            began = time.perf_counter()
            await asyncio.sleep(PAUSE)
            late = time.perf_counter() - began - PAUSE
            lines.append(f"{time.time():.3f} {late:.6f}\n")
            if len(lines) >= _LINES:
                _append(self.path, "".join(lines))
                lines.clear()
        yield TriggerEvent(None)


def _append(path: str, lines: str) -> None:
    with Path(path).open("a") as file:
        file.write(lines)
