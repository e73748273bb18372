"""A real Airflow of the installed version, with as many of each process as asked for."""

from __future__ import annotations

import json
import math
import shutil
import sys
import tempfile
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from harness.airflow_api import AIRFLOW_2, AirflowApi, Run
from harness.broker import check_broker, temporary_broker
from harness.configuration import (
    LOOPBACK,
    PRELOADED,
    PROCESS,
    clean_environment,
    free_ports,
    variables_of,
    write_configuration,
)
from harness.database import Database, temporary_database
from harness.failure import HarnessError
from harness.processes import Process, Processes
from harness.storage import S3, s3_server
from harness.waiting import NotedSignals, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from harness.segmind import EmulatedSegmind

_AIRFLOW = (sys.executable, "-m", "airflow")
_API_SERVER = "webserver" if AIRFLOW_2 else "api-server"
_COMMANDS = {
    _API_SERVER: (_API_SERVER,),
    "dag-processor": ("dag-processor",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "triggerer": ("triggerer", "--skip-serve-logs"),
    "worker": ("celery", "worker", "--skip-serve-logs"),
}
_WATCHED = ("scheduler", "triggerer")
"""Of these, Airflow says which ones are alive."""

T = TypeVar("T")


class Cluster:
    """
    An Airflow that runs for the length of a `with` block, and of which nothing is left then.

    Its processes are called `scheduler-1`, `scheduler-2`, `triggerer-1`, and so on. Airflow uses these names as
    host names, so its records say which one did what.

    :param folder: Where everything is kept: `airflow` (AIRFLOW_HOME) and `logs`. Made if it does not exist. None
        for a folder that is thrown away.
    :param dags: The folder of the DAGs.
    :param database: `sqlite` or `postgresql`; None takes PostgreSQL if it answers. A `Database` that has Airflow's
        tables already is used as it is.
    :param executor: `local` or `celery`; the second needs PostgreSQL, Redis and the Celery provider.
    :param slots: How many tasks run at the same time: in each worker with Celery, in each scheduler else.
    :param schedulers: How many. Several need PostgreSQL.
    :param api_servers: How many. In Airflow 2, these are web servers. Without one, there is no `api`.
    :param dag_processors: How many. Airflow 2 has none: its schedulers read the DAGs.
    :param workers: How many Celery workers.
    :param segmind: Started with the cluster, and what the connection `segmind_default` leads to.
    :param bucket: The name of a bucket in a real S3 server, which the connection `storage` leads to.
    :param settings: Of Airflow, such as `{"CORE__MAX_ACTIVE_TASKS_PER_DAG": 100}`.
    :param environment: More environment variables of all its processes.
    :param preload: Modules that a scheduler imports once, for all its tasks.
    :param seconds: How long one wait may take.
    :param say: Called with a line about each thing that is started.
    """

    api: AirflowApi
    database: Database
    folder: Path
    logs: Path
    storage: S3

    def __init__(
        self,
        folder: Path | None = None,
        *,
        dags: Path | None = None,
        database: Database | str | None = None,
        executor: str = "local",
        slots: int = 4,
        schedulers: int = 1,
        triggerers: int = 1,
        api_servers: int = 1,
        dag_processors: int = 1,
        workers: int = 0,
        segmind: EmulatedSegmind | None = None,
        bucket: str | None = None,
        settings: Mapping[str, object] | None = None,
        environment: Mapping[str, str] | None = None,
        preload: Sequence[str] = (),
        seconds: float = 300.0,
        say: Callable[[str], object] = lambda line: None,
    ) -> None:
        self._wanted_folder = folder
        self._wanted_database = database
        self._executor = executor
        self._counts = {
            _API_SERVER: api_servers,
            "dag-processor": 0 if AIRFLOW_2 else dag_processors,
            "scheduler": schedulers,
            "triggerer": triggerers,
            "worker": workers,
        }
        self.segmind = segmind
        self._bucket = bucket
        self._settings: dict[str, object] = {
            "CORE__PARALLELISM": slots,
            "CELERY__WORKER_CONCURRENCY": slots,
            **({"CORE__DAGS_FOLDER": dags.resolve()} if dags else {}),
            **(settings or {}),
        }
        self._variables = {PRELOADED: ",".join(preload), **(environment or {})}
        self._say = say
        self._ports = free_ports(api_servers)
        self._numbers = dict.fromkeys(_COMMANDS, 0)
        self._components: dict[str, list[Process]] = {component: [] for component in _COMMANDS}
        self.waiting = Waiting(seconds)
        self._cleaning = ExitStack()

    def __enter__(self) -> Cluster:
        with ExitStack() as cleaning:
            signals = cleaning.enter_context(NotedSignals())
            self.waiting.add_check(signals.check)
            self._start(cleaning)
            self._cleaning = cleaning.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._cleaning.__exit__(kind, error, trace)

    @property
    def url(self) -> str:
        """The address of the first API server, and of the UI."""
        return f"http://{LOOPBACK}:{self._ports[0]}"

    def processes(self, component: str) -> list[Process]:
        """
        Return those that run, the oldest first.

        :param component: `scheduler`, `triggerer`, `worker`, `dag-processor`, or `api-server` (Airflow 2:
            `webserver`).
        """
        return list(self._components[component])

    def process(self, name: str) -> Process:
        """Return the process of a name, such as `triggerer-2`."""
        return next(each for running in self._components.values() for each in running if each.name == name)

    def start(
        self, component: str, environment: Mapping[str, str] | None = None, arguments: Sequence[str] = ()
    ) -> Process:
        """
        Start one more, and return when Airflow knows it.

        :param environment: More environment variables of this process, or other values of some.
        :param arguments: More arguments of its command, such as `("--queues", "segmind")`.
        """
        process = self._launch(component, environment or {}, arguments)
        self._await(component)
        return process

    def kill(self, process: Process, *, with_children: bool = True) -> None:
        """
        Kill a process with SIGKILL.

        :param with_children: Whether all that it has started is killed, too: of a scheduler, its workers.
        """
        for running in self._components.values():
            if process in running:
                running.remove(process)
        self._processes.kill(process, with_children=with_children)

    def command(self, *arguments: str) -> None:
        """
        Run an `airflow` command to its end.

        :raises HarnessError: If it fails.
        """
        name = "-".join(arguments[:2])
        process = self._processes.start(name, [*_AIRFLOW, *arguments], self.environment(name), lasting=False)
        what = f"airflow {' '.join(arguments)}"
        self.until(what, lambda: self._processes.has_finished(process), log=process.log)

    def run(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> Run:
        """Start a run of a DAG, as soon as Airflow has read it."""
        return self.api.run(dag_id, conf)

    def until(
        self, what: str, look: Callable[[], T | None], *, seconds: float | None = None, log: Path | None = None
    ) -> T:
        """
        Return what `look` returns, as soon as that is neither None nor False.

        :param seconds: How long this wait may take, if not as long as usual.

        :raises HarnessError: If the time is up, or a process has ended that should run.
        :raises StoppedError: If a signal came.
        """
        return self.waiting.until(what, look, seconds=seconds, log=log)

    def await_signal(self) -> None:
        """
        Let everything run.

        :raises StoppedError: When a signal comes.
        :raises HarnessError: If a process has ended that should run.
        """
        self.until("a signal", lambda: None, seconds=math.inf)

    def environment(self, name: str, index: int = 0) -> dict[str, str]:
        """
        Return the environment variables of a process, for one that is started by other means.

        :param name: What Airflow takes for its host name.
        :param index: Which one of its kind it is. The API servers are used in turn.
        """
        port = self._ports[index % len(self._ports)] if self._ports else 0
        url = f"http://{LOOPBACK}:{port}"
        own = {
            "API__PORT": port,
            "API__BASE_URL": url,
            "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "WEBSERVER__WEB_SERVER_PORT": port,
            "WEBSERVER__BASE_URL": url,
        }
        return {
            **clean_environment(),
            **variables_of({**own, **self._settings}),
            **self._variables,
            "AIRFLOW_HOME": str(self.folder / "airflow"),
            PROCESS: name,
        }

    def _start(self, cleaning: ExitStack) -> None:
        self._check_wishes()
        self._make_folders(cleaning)
        self._processes = Processes(self.logs)
        self.waiting.add_check(self._processes.check)
        is_new = not isinstance(self._wanted_database, Database)
        if isinstance(self._wanted_database, Database):
            self.database = self._wanted_database
        else:
            wanted = self._wanted_database or ("postgresql" if self._executor == "celery" else None)
            self.database = cleaning.enter_context(temporary_database(wanted, self.folder / "airflow"))
        # After the database and the broker, so that nothing uses them when they are removed.
        broker = self._broker(cleaning)
        if self._bucket is not None:
            self.storage = cleaning.enter_context(s3_server(self._bucket))
            self._variables["AIRFLOW_CONN_STORAGE"] = json.dumps(self.storage.connection)
        cleaning.callback(self._processes.stop)
        if self.segmind is not None:
            self._say("Starting an emulated Segmind")
            self.segmind.start(self._processes, self.waiting)
            self._variables = {**self.segmind.environment(), **self._variables}
        self._settings = {"DATABASE__SQL_ALCHEMY_CONN": self.database.url, **broker, **self._settings}
        write_configuration(self.folder / "airflow", self.logs / "tasks")
        if is_new:
            self._say("Creating Airflow's database")
            self.command("db", "migrate")
        self._start_components()

    def _start_components(self) -> None:
        wanted = {component: count for component, count in self._counts.items() if count}
        named = [component if count == 1 else f"{count} {component}s" for component, count in wanted.items()]
        self._say(f"Starting its {', '.join(named)}")
        for component, count in wanted.items():
            for _ in range(count):
                self._launch(component)
        if not self._ports:
            return
        self.api = AirflowApi(self.url, self.waiting)
        judged = [each.replace("-", "_") for each in wanted if each in (*_WATCHED, "dag-processor")]
        log = self._components[_API_SERVER][0].log
        self.until("Airflow to be healthy", lambda: self.api.is_healthy(judged), log=log)
        for component in wanted:
            self._await(component)
        self._say(f"Airflow is up at {self.url}")

    def _check_wishes(self) -> None:
        try:
            version("airflow-provider-segmind")
        except PackageNotFoundError as missing:
            raise HarnessError(f"{missing.name} is not installed in {sys.prefix}") from None
        if self._executor not in ("local", "celery"):
            raise HarnessError(f"the executor is local or celery, not {self._executor}")
        if (self._executor == "celery") != (self._counts["worker"] > 0):
            raise HarnessError("Celery needs workers, and only Celery has any")
        several = self._executor == "celery" or self._counts["scheduler"] > 1
        if several and self._wanted_database == "sqlite":
            raise HarnessError("Celery, and several schedulers, need PostgreSQL")
        if several and self._wanted_database is None:
            self._wanted_database = "postgresql"
        if self._executor == "celery":
            check_broker()

    def _make_folders(self, cleaning: ExitStack) -> None:
        if self._wanted_folder is None:
            self.folder = Path(tempfile.mkdtemp(prefix="segmind-cluster-")).resolve()
            cleaning.callback(shutil.rmtree, self.folder, ignore_errors=True)
        else:
            self.folder = self._wanted_folder.resolve()
        self.logs = self.folder / "logs"
        for folder in (self.folder / "airflow", self.logs):
            folder.mkdir(parents=True, exist_ok=True)

    def _broker(self, cleaning: ExitStack) -> Mapping[str, object]:
        if self._executor == "celery":
            return cleaning.enter_context(temporary_broker(self.database.url))
        # On Airflow 2, SQLite allows for no other.
        sequential = AIRFLOW_2 and self.database.kind == "sqlite"
        return {"CORE__EXECUTOR": "SequentialExecutor" if sequential else "LocalExecutor"}

    def _launch(
        self, component: str, more: Mapping[str, str] = MappingProxyType({}), arguments: Sequence[str] = ()
    ) -> Process:
        self._numbers[component] += 1
        name = f"{component}-{self._numbers[component]}"
        command = [*_AIRFLOW, *_COMMANDS[component], *arguments]
        if component == "worker":
            command += ["--celery-hostname", f"{name}@{LOOPBACK}"]
        environment = {**self.environment(name, self._numbers[component] - 1), **more}
        process = self._processes.start(name, command, environment)
        self._components[component].append(process)
        return process

    def _await(self, component: str) -> None:
        """Wait until Airflow knows all of a component that run, as far as it says."""
        if component not in _WATCHED or AIRFLOW_2 or not self._ports:
            return
        names = {each.name for each in self._components[component]}
        log = self._components[component][-1].log
        kind = component.capitalize()
        self.until(f"Airflow to know {', '.join(names)}", lambda: names <= self.api.living(kind), log=log)
