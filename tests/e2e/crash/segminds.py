"""An emulator for each case: so every charge, fault and key belongs to one task."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from airflow_provider_segmind.emulator.running import RunningEmulator, running_emulator

from .dags.events import CASES, Case

LATENCY = 3.0


@contextmanager
def segminds() -> Iterator[Mapping[Case, RunningEmulator]]:
    """Run them all."""
    with ExitStack() as running:
        yield {
            case: running.enter_context(running_emulator(**{"latency": LATENCY, **case.event.segmind}))
            for case in CASES
        }


def environment(emulators: Mapping[Case, RunningEmulator]) -> dict[str, str]:
    """Return the connections to them."""
    return {
        f"AIRFLOW_CONN_{case.conn_id.upper()}": json.dumps(emulator.connection())
        for case, emulator in emulators.items()
    }
