"""The command line: `python -m benchmarks.shared_key`."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

from airflow_provider_segmind.emulator.running import running_emulator
from airflow_provider_segmind.emulator.worlds import DOCUMENTED
from benchmarks.races import LIMITED, TYPICAL
from benchmarks.report import table
from benchmarks.shared_key.roles import Task, Wires, trigger, work

World = dict[str, Any]

MINUTE = 60.0
HEADS = (
    "what Segmind says of a result that is not there yet",
    "limit",
    "shared",
    "requests per clip",
    "429",
    "refused submits",
    "makespan",
    "of the lower bound",
)


def main() -> int:
    """Run it, and print what came of it in Markdown."""
    options = _parser().parse_args()
    rows = []
    limits = (True, False) if options.configured is None else (options.configured,)
    for world, configured, shared in product(options.world or [{}], limits, options.shared):
        rows.append([_name(world), *measure(options, shared, configured, world)])
        sys.stderr.write(f"{rows[-1]}\n")
    sys.stdout.write(table(HEADS, rows) + "\n")
    return 0


def measure(options: argparse.Namespace, shared: str, configured: bool, world: World) -> list[str]:
    """Make all clips, and return a row of the table."""
    bound = 2 * options.clips * MINUTE / options.rate + options.latency
    folder = Path(tempfile.mkdtemp(prefix="shared-key-"))
    answers = {
        "requests_per_minute": options.rate,
        "time_scale": options.latency / TYPICAL,
        "seed": options.seed,
        "world": DOCUMENTED.changed(world),
    }
    with running_emulator(**answers) as emulator:
        connection = json.loads(emulator.environment()["AIRFLOW_CONN_SEGMIND_DEFAULT"])
        if configured:
            connection["extra"]["requests_per_minute"] = options.rate
        if shared == "redis":
            connection["extra"]["rate_limit_conn_id"] = "limits"
        environment = {
            "AIRFLOW_CONN_SEGMIND_DEFAULT": json.dumps(connection),
            "AIRFLOW_CONN_LIMITS": options.redis,
        }
        context = multiprocessing.get_context("spawn")
        wires = Wires(context.SimpleQueue(), context.SimpleQueue(), context.SimpleQueue())
        processes = []
        for number in range(options.pairs):
            own = folder / ("one" if shared == "machine" else f"machine-{number}")
            own.mkdir(exist_ok=True)
            here = {**environment, "TMPDIR": str(own)}
            processes.append(context.Process(target=work, args=(wires, options.slots, here, options.latency)))
            processes.append(context.Process(target=trigger, args=(wires, here)))
        for process in processes:
            process.start()
        began = time.time()
        for clip in range(options.clips):
            wires.tasks.put(Task(clip))
        ended = [wires.done.get() for _ in range(options.clips)]
        makespan = max(at for _, at, _ in ended) - began
        for _ in range(options.pairs):
            wires.tasks.put(None)
            wires.waits.put(None)
        for process in processes:
            process.join(10)
            process.kill()
        log, charged = emulator.requests()["log"], emulator.ledger()["count"]
    shutil.rmtree(folder, ignore_errors=True)
    if charged != options.clips or any(state != "COMPLETED" for _, _, state in ended):
        raise RuntimeError(f"{charged} charges for {options.clips} clips: {Counter(state for *_, state in ended)}")
    refused = Counter(each["endpoint"] for each in log if each["status"] == LIMITED)
    return [
        "configured" if configured else "learned",
        {"redis": "in Redis, by all", "machine": "by one machine", "nothing": "by each of two machines"}[shared],
        f"{len(log) / options.clips:.2f}",
        f"{refused.total() / len(log):.1%}",
        str(refused["submit"]),
        f"{makespan:.0f} s",
        f"{makespan / bound:.2f} x",
    ]


def _name(world: World) -> str:
    return ", ".join(f"{name}={value}" for name, value in world.items()) or "as documented"


def _world(given: str) -> World:
    pairs = (each.partition("=") for each in given.split(",") if each)
    return {name: int(value) if value.isdigit() else value for name, _, value in pairs}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shared_key", description=__doc__)
    add = parser.add_argument
    add("--clips", type=int, default=100, help="(%(default)s)")
    add("--rate", type=int, default=120, help="requests a minute of the key (%(default)s)")
    add("--latency", type=float, default=29.0, help="seconds that a clip takes on average (%(default)s)")
    add("--seed", type=int, default=1, help="the durations of the clips are drawn from it (%(default)s)")
    add("--world", type=_world, action="append", help="such as running_status=425,running_body=error; repeatable")
    add("--pairs", type=int, default=2, help="workers, and as many triggerers (%(default)s)")
    add("--slots", type=int, default=16, help="of each worker (%(default)s)")
    add("--shared", nargs="+", default=["redis", "machine", "nothing"], choices=["redis", "machine", "nothing"])
    add(
        "--configured",
        action=argparse.BooleanOptionalAction,
        help="whether the connection says the rate; default both",
    )
    add("--redis", default="redis://127.0.0.1:6379/9", help="an Airflow connection (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
