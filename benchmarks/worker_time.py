"""
What one clip costs a worker beside Airflow itself: the two starts of its task.

``python -m benchmarks.worker_time`` starts a process for each of them, as a worker does, once what Airflow imports
is there: one parses a DAG file and executes its task until it defers; the other parses it and resumes the task
with the result. Segmind is the emulator, on loopback. It prints the processor time of each, without the
emulator's, the least of the rounds. ``--other CHECKOUT`` measures another checkout in turns; a library that only
that one needs may be on the ``PYTHONPATH``. ``--profile`` shows where it goes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parents[1]
ROUNDS = 10
STEPS = ("parse and execute", "parse and resume")
PROGRAM = """
import cProfile, io, json, logging, pstats, sys, time
step, profiled = sys.argv[1], sys.argv[2] == "profile"
# What Airflow itself has imported by the time that it parses a file, and on its way to a task. Its names come from
# where all versions of the provider take them: an older checkout knows fewer.
import airflow_provider_segmind.compat
from airflow.providers.common.compat.sdk import (
    DAG, AirflowException, BaseHook, BaseOperator, BaseSensorOperator, Stats, TaskDeferred, conf
)
import airflow.triggers.base
try:
    import airflow.sdk.execution_time.task_runner
except ImportError:  # Airflow 2
    pass
BaseHook.get_connection("segmind_default")
logging.disable(logging.CRITICAL)

class TaskInstance:
    dag_id, run_id, task_id, map_index, max_tries, try_number = "clips", "manual", "clip", -1, 0, 1
    def xcom_push(self, key, value): pass
    def xcom_pull(self, **which): return None

class TaskState(dict):
    set, delete = dict.__setitem__, dict.pop

context = {"ti": TaskInstance(), "task_state_store": TaskState(), "outlet_events": {}}
result = {"request_id": "r-1", "status": "COMPLETED", "video": {"url": "https://example.com/clip.mp4"},
          "metrics": {"cost": 0.91}}
event = {"version": 1, "request_id": "r-1", "state": "COMPLETED", "result": result, "from_history": False}
profile = cProfile.Profile()
began = time.process_time()
if profiled:
    profile.enable()
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
task = KlingImageToVideoOperator(
    task_id="clip", prompt="a fox turns", start_image_url="https://example.com/fox.png", deferrable=True
)
if step == "parse and execute":
    try:
        task.execute(context)
    except TaskDeferred:
        pass
else:
    task.execute_complete(context, event)
profile.disable()
spent = time.process_time() - began
text = io.StringIO()
if profiled:
    pstats.Stats(profile, stream=text).sort_stats("cumulative").print_stats("airflow_provider_segmind", 40)
print(json.dumps([spent, text.getvalue()]))
"""


def measure_once(checkout: Path, step: str, connection: str, *, profiled: bool = False) -> tuple[float, str]:
    """Return the seconds of the processor that a step takes with a checkout, and its profile if one is wanted."""
    with tempfile.TemporaryDirectory() as home:
        settings = {
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPATH": os.pathsep.join(filter(None, (str(checkout), os.environ.get("PYTHONPATH")))),
            "AIRFLOW_HOME": home,
            "AIRFLOW_CONN_SEGMIND_DEFAULT": connection,
        }
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-c", PROGRAM, step, "profile" if profiled else "time"],
            cwd=home,
            env={**os.environ, **settings},
            check=True,
            capture_output=True,
            text=True,
        )
    spent, profile = json.loads(done.stdout.splitlines()[-1])
    return spent, profile


def main() -> None:
    """Print a line for each step and checkout, and the profiles if asked for."""
    from airflow_provider_segmind.emulator.running import running_emulator

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--other", type=Path, help="another checkout of the provider")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    checkouts = {"this checkout": HERE} | ({"the other one": arguments.other} if arguments.other else {})
    with running_emulator() as emulator:
        connection = json.dumps(emulator.connection())
        for step in STEPS:
            spent: dict[str, list[float]] = {name: [] for name in checkouts}
            for _ in range(arguments.rounds + 1):
                for name, checkout in checkouts.items():
                    spent[name].append(measure_once(checkout.resolve(), step, connection)[0])
            for name, seconds in spent.items():
                sys.stdout.write(f"{step}, {name}: {min(seconds[1:]):.3f} s\n")  # the first round may compile
            for name, checkout in checkouts.items() if arguments.profile else ():
                _, profile = measure_once(checkout.resolve(), step, connection, profiled=True)
                sys.stdout.write(f"\n{step}, {name}:\n{profile}\n")


if __name__ == "__main__":
    main()
