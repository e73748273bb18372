"""
What parsing a DAG file costs on top of Airflow.

``python -m benchmarks.parsing`` imports the operators and sensors in new processes, after what each DAG file
imports of Airflow, and prints the processor time of both. ``--other CHECKOUT`` measures another checkout in turns
with this one, so that both meet the same machine.
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
PROGRAM = """
import json, time
began = time.process_time()
from airflow_provider_segmind.compat import DAG, AirflowException, BaseHook, BaseOperator, BaseSensorOperator, conf
airflow = time.process_time()
import airflow_provider_segmind.operators.kling, airflow_provider_segmind.sensors.request
print(json.dumps([airflow - began, time.process_time() - airflow]))
"""


def measure_once(checkout: Path) -> tuple[float, float]:
    """Return the seconds of the processor for Airflow's imports, and for those of the provider in a checkout."""
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPATH": str(checkout),
            "AIRFLOW_HOME": home,
        }
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-c", PROGRAM], cwd=home, env=environment, check=True, capture_output=True, text=True
        )
    airflow, provider = json.loads(done.stdout.splitlines()[-1])
    return airflow, provider


def main() -> None:
    """Print the least of the rounds for each checkout: noise only adds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--other", type=Path, help="another checkout of the provider")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    checkouts = {"this checkout": HERE} | ({"the other one": arguments.other} if arguments.other else {})
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in checkouts}
    for _ in range(arguments.rounds + 1):
        for name, checkout in checkouts.items():
            measured[name].append(measure_once(checkout.resolve()))
    for name, rounds in measured.items():
        airflow, provider = (min(each[index] for each in rounds[1:]) for index in (0, 1))  # the first may compile
        sys.stdout.write(
            f"{name}: {provider:.3f} s on top of {airflow:.3f} s of Airflow, {100 * provider / airflow:.1f} %\n"
        )


if __name__ == "__main__":
    main()
