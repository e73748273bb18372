"""The emulated Segmind of one triggerer, from outside."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from airflow_provider_segmind.emulator.running import DEFAULT_API_KEY
from benchmarks.triggerer.kinds import MODEL
from benchmarks.triggerer.segmind_process import ADDRESS, SEEN_PATH
from demo.processes import Processes

_SECONDS = 120.0
_PARAMETERS = {
    "prompt": "The camera circles the product slowly",
    "start_image_url": "https://example.com/start.png",
    "duration": 5,
}


def start(processes: Processes, name: str, folder: Path, environment: Mapping[str, str], scale: float) -> None:
    """Start one whose files are in a folder."""
    command = [sys.executable, "-m", "benchmarks.triggerer.segmind_process", str(folder), str(scale)]
    processes.start(name, command, environment, lasting=False)


def found(folder: Path) -> Segmind | None:
    """Return the one that was started there, once it listens."""
    address = folder / ADDRESS
    return Segmind(**json.loads(address.read_text())) if address.exists() else None


@dataclass(frozen=True)
class Segmind:
    """A running one."""

    url: str
    bundle: str

    def submit(self, count: int) -> None:
        """Submit so many jobs."""
        with self._session() as session:
            for _ in range(count):
                answer = session.post(f"{self.url}/v2/{MODEL}", json=_PARAMETERS, timeout=_SECONDS)
                answer.raise_for_status()

    def seen(self) -> dict[str, Any]:
        """Return what it was asked so far."""
        with self._session() as session:
            answer = session.get(f"{self.url}{SEEN_PATH}", timeout=_SECONDS)
            answer.raise_for_status()
            return dict(answer.json())

    def _session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False  # or a proxy might be asked for 127.0.0.1
        session.verify = self.bundle
        session.headers["x-api-key"] = DEFAULT_API_KEY
        return session
