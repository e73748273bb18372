"""One triggerer with its own database and its own Segmind."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.triggerer import segmind_running
from benchmarks.triggerer.airflow_home import Home, home, reaching
from benchmarks.triggerer.bench import START_SECONDS, TEMPLATE, Bench
from benchmarks.triggerer.plan import Case
from benchmarks.triggerer.segmind_running import Segmind
from demo.processes import Process, Processes, kill
from tests.e2e.crash.waiting import Waiting

BLOCKED = b"async thread was blocked"


@dataclass
class Rig:
    """What belongs to one case while it runs."""

    case: Case
    home: Home
    database: str
    segmind: Segmind
    processes: Processes = field(repr=False)
    triggerer: Process = field(init=False)
    _started: int = 0

    @property
    def pid(self) -> int:
        """The triggerer's main process."""
        return self.triggerer.popen.pid

    @property
    def meter(self) -> Path:
        """What the lag meter writes to."""
        return self.home.folder / "lag.txt"

    def start_triggerer(self) -> None:
        """Start the triggerer, or the next one."""
        self._started += 1
        command = [sys.executable, "-m", "airflow", "triggerer", "--skip-serve-logs"]
        environment = reaching(self.home.environment, self.segmind.url, self.segmind.bundle)
        name = f"{self.case.name}-triggerer-{self._started}"
        self.triggerer = self.processes.start(name, command, environment, lasting=False)

    def kill_triggerer(self) -> None:
        """Kill the triggerer and all that it has started, with SIGKILL."""
        kill(self.triggerer, with_children=True)

    def check(self) -> None:
        """See that the triggerer runs."""
        if self.triggerer.popen.poll() is not None:
            tail = self.triggerer.log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"the triggerer of {self.case.name} has ended:\n{tail}")

    def started_triggers(self) -> int:
        """Return how many triggers have started, without the lag meter."""
        return sum(1 for _ in self.home.trigger_logs.glob("dag_id=waiting/**/*.trigger.*.log"))

    def log_size(self) -> int:
        """Return how much the triggerer has written to its log."""
        return self.triggerer.log.stat().st_size

    def blocked_since(self, offset: int, end: int | None = None) -> int:
        """Return how often the triggerer has warned of a blocked event loop in a part of its log."""
        return self.triggerer.log.read_bytes()[offset:end].count(BLOCKED)


def rigged(bench: Bench, cases: list[Case], processes: Processes) -> list[Rig]:
    """Set the cases up, and return when their triggerers wait for triggers and measure."""
    rigs = [_rig(bench, case, processes) for case in cases]
    for rig in rigs:
        bench.clerk.ask("meter", rig.database, path=str(rig.meter))
        rig.start_triggerer()
    for rig in rigs:
        Waiting(START_SECONDS).until(f"the triggerer of {rig.case.name}", lambda rig=rig: _up(rig))
    return rigs


def _rig(bench: Bench, case: Case, processes: Processes) -> Rig:
    folder = bench.folder / case.name
    folder.mkdir()
    bench.databases.copy(TEMPLATE, case.name)
    database = bench.databases.url(case.name)
    settled = home(folder, database, case.size)
    segmind_running.start(processes, f"{case.name}-segmind", folder, settled.environment, bench.scale)
    segmind = Waiting(START_SECONDS).until("Segmind", lambda: segmind_running.found(folder))
    return Rig(case, settled, database, segmind, processes)


def _up(rig: Rig) -> bool | None:
    rig.check()
    return rig.meter.exists() or None
