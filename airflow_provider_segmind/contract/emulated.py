"""The emulator in place of Segmind: everything is free there, so that all questions can be asked."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_segmind.contract.check import Asking
from airflow_provider_segmind.contract.jobs import Pace, RefusedSubmit, Submits
from airflow_provider_segmind.contract.segmind import Hosts, Segmind
from airflow_provider_segmind.emulator import Settings, World, running_emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_segmind.emulator import RunningEmulator

_LIMIT = 250
_RETENTION = 3600.0


@contextmanager
def emulated(
    world: World, *, factor: float = 0.05, seconds: float = 120.0, balance: float = 100.0
) -> Iterator[Asking]:
    """Run an emulator of that world, with a past, a teammate and a submit that meets a server error.

    :param factor: Of the time that things take.
    :param seconds: How long everything may take.
    :param balance: The credits, in USD.
    """
    pace = Pace().times(factor)
    settings = Settings(world=world, credits=balance, latency=pace.sleep, requests_per_minute=_LIMIT)
    with running_emulator(settings) as emulator:
        hosts = Hosts(*[emulator.url] * 3)
        deadline = time.monotonic() + seconds
        own = Segmind(hosts, emulator.api_key, deadline)
        teammate = Segmind(hosts, emulator.teammate_api_key or "", deadline)
        earlier = _past(emulator, own)
        emulator.faults("on=submit,status=503,model=mock-inference,count=1")
        try:
            yield Asking(own, pace, teammate, spend=True, exhaust=_LIMIT + 1, earlier=earlier)
        finally:
            own.close()
            teammate.close()


def _past(emulator: RunningEmulator, own: Segmind) -> str | None:
    """Make a picture of more than an hour and a younger one, and return the id of the first."""
    pictures = []
    for _ in range(2):
        pictures.append(Submits(own).submit("fast-text-to-image", {"prompt": "x"}, ""))
        emulator.advance(_RETENTION + 1 if len(pictures) == 1 else 0)
    first = pictures[0]
    return None if isinstance(first, RefusedSubmit) else first.request_id
