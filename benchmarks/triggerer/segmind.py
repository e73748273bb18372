"""The emulated Segmind of one triggerer: over TLS, with what it was asked and when its jobs end."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import certifi
import requests
import trustme

from airflow_provider_segmind.emulator.running import RunningEmulator, running_emulator
from airflow_provider_segmind.emulator.settings import DEFAULT_API_KEY
from benchmarks.triggerer.plan import CONN_ID, MODEL, Job

SEED = 20
LOG_SIZE = 500_000
_LOOPBACK = "127.0.0.1"
_SECONDS = 120.0
_PARAMETERS = {
    "prompt": "The camera circles the product slowly",
    "start_image_url": "https://example.com/start.png",
    "duration": 5,
}


@dataclass
class Segmind:
    """
    A running one.

    :param bundle: A file with the certificates to trust, as long as a real one.
    :param handshakes: How many TLS connections there were.
    """

    bundle: Path
    emulator: RunningEmulator
    handshakes: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """The connection to it, and its certificate authority where each HTTP client looks for it."""
        connection = self.emulator.connection()
        connection["extra"]["verify"] = str(self.bundle)
        return {f"AIRFLOW_CONN_{CONN_ID.upper()}": json.dumps(connection), "SSL_CERT_FILE": str(self.bundle)}

    def submit(self, count: int) -> list[Job]:
        """Submit so many jobs, and return them all."""
        with requests.Session() as session:
            session.trust_env = False  # or a proxy might be asked for 127.0.0.1
            session.verify = str(self.bundle)
            session.headers["x-api-key"] = DEFAULT_API_KEY
            for _ in range(count):
                url = f"{self.emulator.url}/v2/{MODEL}"
                session.post(url, json=_PARAMETERS, timeout=_SECONDS).raise_for_status()
        jobs = self.emulator._state.jobs
        return [Job(each.request_id, each.accepted_at, each.finishes_at) for each in jobs]

    def requests(self) -> dict[str, Any]:
        """Return `endpoints` and `statuses` (counters), and `log` (each request)."""
        return self.emulator.requests()


@contextmanager
def running_segmind(folder: Path, scale: float) -> Iterator[Segmind]:
    """
    Run one for the length of a ``with`` block.

    :param folder: Gets the bundle.
    :param scale: Multiplies the duration of the jobs.
    """
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(_LOOPBACK).configure_cert(context)
    bundle = folder / "ca-bundle.pem"
    bundle.write_text(f"{Path(certifi.where()).read_text()}\n{authority.cert_pem.bytes().decode()}")
    with running_emulator(
        ssl_context=context, time_scale=scale, seed=SEED, credits=1e6, log_size=LOG_SIZE
    ) as emulator:
        segmind = Segmind(bundle, emulator)

        def count(*_: object) -> None:
            segmind.handshakes += 1

        context.sni_callback = count  # called for each client that says hello
        yield segmind
