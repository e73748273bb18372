"""The commands of docs/runbook.md, as they stand there, on a real Airflow: clear, give up, adopt."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_segmind.compat import does_clear_forget
from harness import AIRFLOW_2, Cluster, EmulatedSegmind, Run, processes_below

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
COMMANDS = re.findall(r"```bash\n(.*?)```", RUNBOOK, re.DOTALL)
EXAMPLE_ID = "7d1c0b6e-1111-4222-8333-944445555666"
SECONDS_FOR_ALL = 300.0

pytestmark = [pytest.mark.long, pytest.mark.timeout(4 * SECONDS_FOR_ALL, method="signal")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("runbook")
    (folder / "dags").mkdir()
    for dag in (ROOT / "tests/e2e/dags/product_clips.py", ROOT / "example_dags/segmind_adopt_request.py"):
        shutil.copy(dag, folder / "dags")
    # Airflow 3.3 keeps the record in its task state store: others have none that survives a clear.
    records = {} if is_3_3() else {"AIRFLOW__SEGMIND__RECORDS_PATH": str(folder / "records")}
    segmind = EmulatedSegmind(latency=0.5, fault=["on=submit,outcome=stuck,count=1"])
    with Cluster(
        folder, dags=folder / "dags", segmind=segmind, environment=records, seconds=SECONDS_FOR_ALL
    ) as cluster:
        yield cluster
    assert processes_below(folder) == []


def test_each_command_does_what_the_page_says(cluster: Cluster) -> None:
    run = start_with_a_logical_date(cluster)
    failed(cluster, run, 1)
    stuck = run.xcom("make_clip", "request_id")
    message = log_of(cluster, 1)
    assert f"the Airflow variable segmind_abandon_request, to {stuck} and clear the task." in message
    assert "docs/runbook.md#requesttimeouterror" in message

    shell(cluster, "airflow tasks clear")
    failed(cluster, run, 2)
    assert "waiting in the triggerer. The next look is due by" in log_of(cluster, 2)
    assert submits(cluster) == 1, "the cleared task continues with its request"

    shell(cluster, "airflow variables set", stuck)
    shell(cluster, "curl")
    cluster.until("the clip", run.has_succeeded)
    assert f"request {stuck} is given up" in log_of(cluster, 3)
    assert submits(cluster) == 2

    cluster.until("the example", lambda: cluster.api.knows("segmind_adopt_request"))
    cluster.api.send("PATCH", "/dags/segmind_adopt_request", {"is_paused": False})
    shell(cluster, "airflow dags trigger", run.xcom("make_clip", "request_id"))
    (adopted,) = cluster.api.get("/dags/segmind_adopt_request/dagRuns")["dag_runs"]
    adopting = Run(cluster.api, "segmind_adopt_request", adopted["dag_run_id"])
    cluster.until("the request to be adopted", adopting.has_succeeded)
    assert submits(cluster) == 2
    shell(cluster, "airflow dags pause", within=r"`(airflow dags pause \w+)`")


def start_with_a_logical_date(cluster: Cluster) -> Run:
    """Start a run that the command line can find by its date."""
    cluster.until("the DAG", lambda: cluster.api.knows("product_clips"))
    cluster.api.send("PATCH", "/dags/product_clips", {"is_paused": False})
    body = {"dag_run_id": "nightly", "logical_date": "2026-11-26T00:00:00Z", "conf": {}}
    return Run(
        cluster.api, "product_clips", cluster.api.send("POST", "/dags/product_clips/dagRuns", body)["dag_run_id"]
    )


def failed(cluster: Cluster, run: Run, attempt: int) -> None:
    def has_failed() -> bool:
        return any((row.state, row.try_number) == ("failed", attempt) for row in run.rows("make_clip"))

    cluster.until(f"attempt {attempt} to fail", has_failed)
    cluster.until("the run to end", run.has_ended)


def shell(cluster: Cluster, beginning: str, request_id: str = "", within: str = "") -> None:
    """Run the command of the page that begins so, with an id in place of the example's."""
    candidates = re.findall(within, RUNBOOK) if within else COMMANDS
    (command,) = [each for each in candidates if each.startswith(beginning)]
    if request_id:
        assert EXAMPLE_ID in command
        command = command.replace(EXAMPLE_ID, request_id)
    if AIRFLOW_2:
        command = command.replace("/api/v2/", "/api/v1/")
    if does_clear_forget():
        command = command.replace('"dry_run": false,', '"dry_run": false, "keep_task_state": true,')
    command = re.sub(r'-H "Authorization[^"]*" ', "--fail-with-body --silent --show-error --noproxy '*' ", command)
    environment = cluster.environment("shell")
    environment |= {"AIRFLOW_URL": cluster.url, "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}"}
    done = subprocess.run(
        ["bash", "-euc", command],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=SECONDS_FOR_ALL,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def submits(cluster: Cluster) -> int:
    assert cluster.segmind is not None
    return int(cluster.segmind.ledger()["submits"])


def log_of(cluster: Cluster, attempt: int) -> str:
    found: list[Any] = list(cluster.logs.glob(f"tasks/**/task_id=make_clip/attempt={attempt}.log"))
    return str(found[0].read_text())


def is_3_3() -> bool:
    from airflow import __version__

    return __version__.startswith("3.3")
