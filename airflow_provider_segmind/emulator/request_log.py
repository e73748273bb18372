"""What clients asked: counters per endpoint and HTTP status, and the last requests one by one."""

from __future__ import annotations

import sys
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import Any

from airflow_provider_segmind.emulator.faults import Endpoint


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One HTTP request. `at` is epoch seconds and `monotonic` the same moment on the process's steady clock.

    `status` is None when the connection was closed without an answer.
    """

    at: float
    monotonic: float
    seconds: float
    endpoint: str
    method: str
    path: str
    status: int | None
    model: str | None
    request_id: str | None
    api_key_suffix: str
    user_agent: str
    fault: dict[str, Any] | None


class RequestLog:
    """Counts every request except those to the emulator's own endpoints."""

    def __init__(self, size: int, *, echo: bool = False) -> None:
        self._endpoints: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._records: deque[RequestRecord] = deque(maxlen=size)
        self._echo = echo

    def count_arrival(self, endpoint: Endpoint) -> None:
        """Count a request when it arrives, so that one that hangs is counted too."""
        self._endpoints[endpoint.value] += 1

    def record(self, record: RequestRecord) -> None:
        """Count how a request ended and remember it."""
        self._statuses["none" if record.status is None else str(record.status)] += 1
        self._records.append(record)
        if self._echo:
            moment = time.strftime("%H:%M:%S", time.localtime(record.at))
            sys.stderr.write(f"{moment} {record.method} {record.path} {record.status or 'no answer'}\n")

    def report(self) -> dict[str, Any]:
        """The counters and the log as `GET /__emulator__/requests` shows them."""
        return {
            "total": self._endpoints.total(),
            "endpoints": {endpoint.value: self._endpoints[endpoint.value] for endpoint in Endpoint},
            "statuses": dict(sorted(self._statuses.items())),
            "log": [asdict(record) for record in self._records],
        }
