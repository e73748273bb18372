"""
A real Airflow for demos, benchmarks and tests, in three lines:

    with Cluster(dags=Path("example_dags"), segmind=EmulatedSegmind(latency=5)) as cluster:
        run = cluster.run("segmind_image_to_video")
        cluster.until("the clip", run.has_succeeded)

That is an Airflow of whatever version is installed, with one of each process, on PostgreSQL if one answers at
127.0.0.1:5432 and on SQLite else. Its Segmind is the package's emulator. When the block ends, nothing is left.

Two of everything, to kill some of it:

    with Cluster(
        dags=Path("example_dags"), database="postgresql", executor="celery",
        schedulers=2, triggerers=2, workers=2, segmind=EmulatedSegmind(latency=5), settings=NOTICE_DEATHS_SOON,
    ) as cluster:
        run = cluster.run("segmind_image_to_video")
        waiting = cluster.until("a triggerer", lambda: run.rows("make_clip")[0].triggerer)
        cluster.kill(cluster.process(waiting))
        cluster.until("the clip", run.has_succeeded)
        assert cluster.segmind.charged_ids() == [run.xcom("make_clip", "request_id")]

Where to look:

* `cluster.py`: starting, killing and waiting; its docstring says all that can be chosen.
* `airflow_api.py`: runs, tasks and XComs, as Airflow's REST API shows them.
* `segmind.py`: the emulator as a process, with its charges. `storage.py`: a real S3 server.
* `workers.py`: the processes of a LocalExecutor's tasks. `plugins/`: what runs inside of Airflow.

Nothing here is part of the package, and nothing here imports `demo`, `benchmarks` or `tests`.
"""

from __future__ import annotations

from harness.airflow_api import AIRFLOW_2, ENDED, AirflowApi, Run, StateChange, TaskRow, slot_stays
from harness.broker import check_broker
from harness.cluster import Cluster
from harness.configuration import NOTICE_DEATHS_SOON, clean_environment
from harness.database import Database, check_postgres, temporary_database
from harness.failure import HarnessError, StoppedError
from harness.log_tail import last_lines
from harness.processes import Process, Processes, processes_below
from harness.segmind import EmulatedSegmind
from harness.storage import S3, s3_server
from harness.waiting import NotedSignals, Waiting
from harness.workers import busy_workers

__all__ = [
    "AIRFLOW_2",
    "ENDED",
    "NOTICE_DEATHS_SOON",
    "S3",
    "AirflowApi",
    "Cluster",
    "Database",
    "EmulatedSegmind",
    "HarnessError",
    "NotedSignals",
    "Process",
    "Processes",
    "Run",
    "StateChange",
    "StoppedError",
    "TaskRow",
    "Waiting",
    "busy_workers",
    "check_broker",
    "check_postgres",
    "clean_environment",
    "last_lines",
    "processes_below",
    "s3_server",
    "slot_stays",
    "temporary_database",
]
