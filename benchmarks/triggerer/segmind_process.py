"""
The emulated Segmind of one triggerer: in a process of its own, over TLS.

``python -m benchmarks.triggerer.segmind_process FOLDER TIME_SCALE`` writes its address and a CA bundle to the
folder and runs until it is told to stop.
"""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import sys
from pathlib import Path
from typing import Any

import certifi
import trustme
from aiohttp import web

from airflow_provider_segmind.emulator.app import create_app
from airflow_provider_segmind.emulator.settings import Settings
from airflow_provider_segmind.emulator.state import STATE

LOOPBACK = "127.0.0.1"
SEEN_PATH = "/__benchmark__/seen"
BUNDLE = "ca-bundle.pem"
ADDRESS = "segmind.json"
SEED = 20
LOG_SIZE = 500_000


class Handshakes:
    """Counts TLS connections."""

    def __init__(self) -> None:
        self.count = 0

    def begun(self, *_: object) -> None:
        """Count one. Called for each client that says hello."""
        self.count += 1


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    folder, time_scale = Path(sys.argv[1]), float(sys.argv[2])
    asyncio.run(_serve(folder, time_scale))


async def _serve(folder: Path, time_scale: float) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    handshakes = Handshakes()
    app = create_app(Settings(time_scale=time_scale, seed=SEED, credits=1e6, log_size=LOG_SIZE))
    app.router.add_get(SEEN_PATH, lambda request: _seen(request, handshakes))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, 0, ssl_context=_tls(folder, handshakes)).start()
        address = {"url": f"https://{LOOPBACK}:{runner.addresses[0][1]}", "bundle": str(folder / BUNDLE)}
        _written(folder / ADDRESS, json.dumps(address))
        await stopped.wait()
    finally:
        await runner.cleanup()


def _tls(folder: Path, handshakes: Handshakes) -> ssl.SSLContext:
    """Return what the server needs, and write the bundle for its clients, as long as a real one."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(LOOPBACK).configure_cert(context)
    context.sni_callback = handshakes.begun
    own = authority.cert_pem.bytes()
    _written(folder / BUNDLE, f"{Path(certifi.where()).read_text()}\n{own.decode()}")
    return context


async def _seen(request: web.Request, handshakes: Handshakes) -> web.Response:
    """Tell what was asked, and when each job ends."""
    state = request.app[STATE]
    asked = state.requests.report()
    seen: dict[str, Any] = {
        "handshakes": handshakes.count,
        "endpoints": asked["endpoints"],
        "statuses": asked["statuses"],
        "status_times": [each["at"] for each in asked["log"] if each["endpoint"] == "status"],
        "jobs": [
            {"request_id": job.request_id, "submitted_at": job.accepted_at, "finishes_at": job.finishes_at}
            for job in state.jobs
        ],
    }
    return web.json_response(seen)


def _written(path: Path, text: str) -> None:
    """Write a file in one go, for whoever waits for it."""
    partial = path.with_suffix(".partial")
    partial.write_text(text)
    partial.replace(path)


if __name__ == "__main__":
    main()
