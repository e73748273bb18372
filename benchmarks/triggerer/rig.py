"""A real triggerer for each case, with its own database and its own Segmind, and nothing else of Airflow."""

from __future__ import annotations

import base64
import resource
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.triggerer.clerk import Clerk, running_clerk
from benchmarks.triggerer.plan import Case
from benchmarks.triggerer.segmind import Segmind, running_segmind
from harness import Cluster, temporary_database

SPARE_CAPACITY = 10
BLOCKED = b"async thread was blocked"
ALL_SETTINGS = {
    "CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    "CORE__PARALLELISM": 1,
}
_OPEN_FILES = 16_384


@dataclass
class Rig:
    """What belongs to one case while it runs."""

    case: Case
    cluster: Cluster = field(repr=False)
    segmind: Segmind = field(repr=False)
    clerk: Clerk = field(repr=False)

    @property
    def pid(self) -> int:
        """The triggerer's main process."""
        return self.cluster.processes("triggerer")[-1].popen.pid

    @property
    def meter(self) -> Path:
        """What the lag meter writes to."""
        return self.cluster.folder / "lag.txt"

    def ask(self, do: str, **more: object) -> Any:
        """Have the clerk read or write this case's database."""
        return self.clerk.ask(do, self.cluster.database.url, **more)

    def replace_triggerer(self) -> None:
        """Kill the triggerer and all that it has started, with SIGKILL, and start another one."""
        self.cluster.kill(self.cluster.processes("triggerer")[-1])
        self.cluster.start("triggerer")

    def started_triggers(self) -> int:
        """Return how many triggers have started, without the lag meter: each has a log file."""
        return sum(1 for _ in self.cluster.logs.glob("tasks/dag_id=waiting/**/*.trigger.*.log"))

    def log_size(self) -> int:
        """Return how much the triggerer has written to its log."""
        return self._log.stat().st_size

    def blocked_since(self, offset: int, end: int | None = None) -> int:
        """Return how often the triggerer has warned of a blocked event loop in a part of its log."""
        return self._log.read_bytes()[offset:end].count(BLOCKED)

    @property
    def _log(self) -> Path:
        return self.cluster.processes("triggerer")[-1].log


@dataclass(frozen=True)
class Bench:
    """
    What all rounds share.

    :param template: An Airflow without processes. Each run gets a copy of its database.
    :param scale: Multiplies the duration of the jobs; 1 is real.
    """

    template: Cluster
    clerk: Clerk
    scale: float

    @contextmanager
    def rigs(self, cases: Sequence[Case]) -> Iterator[list[Rig]]:
        """Set the cases up, and yield when their triggerers wait for triggers and measure."""
        with ExitStack() as running:
            rigs = [running.enter_context(self._rig(case)) for case in cases]
            for rig in rigs:
                rig.cluster.until(f"the triggerer of {rig.case.name}", rig.meter.exists)
            yield rigs

    @contextmanager
    def _rig(self, case: Case) -> Iterator[Rig]:
        folder = self.template.folder / case.name
        folder.mkdir()
        template = self.template.database
        with (
            temporary_database(template.kind, folder, case.name, template=template) as database,
            running_segmind(folder, self.scale) as segmind,
        ):
            cluster = Cluster(
                folder,
                database=database,
                settings={**ALL_SETTINGS, "TRIGGERER__CAPACITY": case.size + SPARE_CAPACITY},
                environment=segmind.environment,
                schedulers=0,
                api_servers=0,
                dag_processors=0,
            )
            rig = Rig(case, cluster, segmind, self.clerk)
            self.clerk.ask("meter", database.url, path=str(folder.resolve() / "lag.txt"))
            with cluster:
                yield rig


@contextmanager
def running_bench(scale: float) -> Iterator[Bench]:
    """Prepare all that the rounds share, and leave nothing of it."""
    _allow_open_files()
    with (
        Cluster(settings=ALL_SETTINGS, schedulers=0, triggerers=0, api_servers=0, dag_processors=0) as template,
        running_clerk(template.folder, template.environment("clerk")) as clerk,
    ):
        yield Bench(template, clerk, scale)


def _allow_open_files() -> None:
    """A triggerer has one log file open for each trigger."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
