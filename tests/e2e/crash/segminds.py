"""An emulator for each case: so every charge, fault and key belongs to one task."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from airflow_provider_segmind.emulator.running import RunningEmulator, running_emulator

from .dags.events import CASES, Case, Side

LATENCY = {Side.DEFERRED: 10.0, Side.BLOCKING: 3.0, Side.PLAIN: 3.0}
"""
Seconds that a request takes. A task that is resumed before the scheduler has noticed that it was deferred is taken
for killed by Airflow, and started again: so what waits without a slot waits a little longer.
"""

MAPPED_TIMEOUT = 10.0


@contextmanager
def segminds() -> Iterator[Mapping[Case, RunningEmulator]]:
    """Run them all."""
    with ExitStack() as running:
        yield {
            case: running.enter_context(running_emulator(**{"latency": LATENCY[case.side], **case.event.segmind}))
            for case in CASES
        }


def environment(emulators: Mapping[Case, RunningEmulator]) -> dict[str, str]:
    """Return the connections to them."""
    return {
        f"AIRFLOW_CONN_{case.conn_id.upper()}": json.dumps(_connection(case, emulator))
        for case, emulator in emulators.items()
    }


def _connection(case: Case, emulator: RunningEmulator) -> dict[str, Any]:
    connection = emulator.connection()
    if case.event.instances > 1:
        # So long do mapped instances wait for each other's answers, before they look for a lost one.
        connection["extra"]["timeout"] = MAPPED_TIMEOUT
    return connection
