"""A StatsD server on loopback, and Airflow's own senders of metrics to it."""

from __future__ import annotations

import importlib
import importlib.util
import os
import socket
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

END = b"end-of-test"
CLOSE = b"end-of-server"


class StatsdServer:
    """
    What was sent to a UDP port, taken off as it comes: an Airflow sends more than a socket's buffer holds.

    :ivar port: On 127.0.0.1.
    """

    def __init__(self, udp: socket.socket) -> None:
        self._udp = udp
        self.port: int = udp.getsockname()[1]
        self._lines: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def lines(self) -> list[str]:
        """Return every line that was sent before now, as ``airflow.segmind.cost:0.91|c``."""
        self._ended.clear()
        self._send(END)
        assert self._ended.wait(30), "what was sent to 127.0.0.1 did not arrive"
        return list(self._lines)

    def close(self) -> None:
        """Stop listening."""
        self._send(CLOSE)
        self._thread.join(30)

    def _send(self, packet: bytes) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.sendto(packet, ("127.0.0.1", self.port))

    def _receive(self) -> None:
        while (packet := self._udp.recv(65536)) != CLOSE:
            if packet == END:
                self._ended.set()
            else:
                self._lines += packet.decode().splitlines()

    def counters(self) -> dict[str, float]:
        """Return the sum of each counter, by its name and tags: what a StatsD server makes of the lines."""
        sums: dict[str, float] = defaultdict(float)
        for line in self.lines():
            name, _, rest = line.partition(":")
            value, kind, *tags = rest.split("|")
            if kind == "c":
                sums["|".join([name, *(tag for tag in tags if tag.startswith("#"))])] += float(value)
        return dict(sums)

    def timings(self) -> dict[str, list[float]]:
        """Return the milliseconds of each timing, by its name."""
        found: dict[str, list[float]] = defaultdict(list)
        for line in self.lines():
            name, _, rest = line.partition(":")
            if rest.split("|")[1] == "ms":
                found[name].append(float(rest.split("|")[0]))
        return dict(found)


@contextmanager
def statsd_server() -> Iterator[StatsdServer]:
    """Listen as a StatsD server."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        server = StatsdServer(udp)
        try:
            yield server
        finally:
            server.close()


def airflow_module(name: str) -> Any:
    """Return a module of Airflow's metrics: versions differ in where it is."""
    for package in ("airflow.sdk._shared.observability.metrics", "airflow.metrics"):
        try:
            return importlib.import_module(f"{package}.{name}")
        except ModuleNotFoundError as error:
            if not package.startswith(str(error.name)):
                raise
    raise AssertionError(f"this Airflow has no metrics.{name}")


def plain_statsd(port: int, **more: Any) -> Any:
    """Return Airflow's sender to StatsD, as ``statsd_on`` makes it."""
    statsd = pytest.importorskip("statsd", reason="part of the test dependencies")
    client = statsd.StatsClient("127.0.0.1", port, prefix="airflow")
    return airflow_module("statsd_logger").SafeStatsdLogger(client, **more)


def datadog(port: int) -> Any:
    """Return Airflow's sender to Datadog, as ``statsd_datadog_enabled`` makes it, without its buffer."""
    pytest.importorskip("datadog", reason="part of the test dependencies")
    from datadog import DogStatsd

    client = DogStatsd(host="127.0.0.1", port=port, namespace="airflow", disable_buffering=True)
    return airflow_module("datadog_logger").SafeDogStatsdLogger(client, metrics_tags=True)


@contextmanager
def airflow_sending_to(sender: Any) -> Iterator[None]:
    """Have this process's Airflow send its metrics with a sender, as a worker of it does."""
    from airflow_provider_segmind.compat import Stats

    if importlib.util.find_spec("airflow.sdk"):
        with suppress(ModuleNotFoundError):  # in Airflow 3.2, importing this sets the sender back
            importlib.import_module("airflow.sdk.serde")
    nobody = airflow_module("base_stats_logger").NoStatsLogger()
    _send_with(Stats, sender)
    try:
        yield
    finally:
        _send_with(Stats, nobody)


def _send_with(stats: Any, sender: Any) -> None:
    if "initialize" in vars(stats):  # from Airflow 3.3
        stats.initialize(factory=lambda: sender, export_legacy_names=True)
    else:
        stats.instance = sender
        stats._instance_pid = os.getpid()
