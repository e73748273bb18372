"""
Storing one file in S3: written directly, and by way of a temporary object.

``python -m benchmarks.uploading`` stores a file of 1 GiB in both ways in turns, in a real S3 server (moto's, in a
process of its own), and prints a row for each. A second run, with a smaller file, goes through a
proxy, which counts the calls. The file is in memory, so that only storing takes time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any
from unittest.mock import patch

from benchmarks.report import table

MIB = 1024 * 1024
PIECE = 64 * 1024
COUNTED = 20 * MIB
START = b"\x00\x00\x00\x1cftypisom\x00\x00\x02\x00isomiso2mp41"
SLOWEST_ANSWER = 600
WAYS = ("a temporary object, copied", "directly")
SERVER = """
import json, sys
from harness.storage import s3_server
with s3_server("products") as storage:
    print(json.dumps(storage.connection), flush=True)
    sys.stdin.read()
"""


@contextmanager
def server() -> Iterator[dict[str, Any]]:
    """Run an S3 server in another process, and yield the Airflow connection to it."""
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        if process.stdout is None or process.stdin is None:
            raise RuntimeError("the server has no pipes")
        connection = json.loads(process.stdout.readline())
        # This server takes seconds to put a gigabyte together, and would be asked again meanwhile.
        connection["extra"]["config_kwargs"] = {"read_timeout": SLOWEST_ANSWER}
        yield connection
        process.stdin.close()


def store(conn_id: str, way: str, size: int) -> float:
    """Store a file in one of the ways, and return the seconds that it took."""
    from airflow_provider_segmind.api.download import Download
    from airflow_provider_segmind.media import publishing
    from airflow_provider_segmind.media.storing import OutputStore

    piece = bytes(PIECE)

    def fetch(_url: str, download: Download, _request_id: str) -> Iterator[bytes]:
        download.content_type = "video/mp4"
        yield START + bytes(PIECE - len(START))
        for _ in range(size // PIECE - 1):
            yield piece

    outputs = OutputStore("s3://products/clips/clip.mp4", conn_id, 4 * size, fetch)
    libraries = publishing._LIBRARIES if way == WAYS[1] else {}
    with patch.object(publishing, "_LIBRARIES", libraries):
        outputs.check()
        began = time.perf_counter()
        list(outputs.store(["https://example.com/clip"], "7d1c0f7e-0000-4000-8000-000000000001"))
        return time.perf_counter() - began


def count(connection: dict[str, Any], way: str) -> tuple[str, str]:
    """Return the calls that a check and a file need, and the content type that the object has."""
    import boto3

    from harness.s3_gate import s3_gate
    from harness.storage import KEY, S3

    url = connection["extra"]["endpoint_url"]
    storage = S3(boto3.resource("s3", endpoint_url=url, **KEY).Bucket("products"), connection)
    with s3_gate(storage) as gate:
        conn_id = f"counted_{WAYS.index(way)}"
        os.environ[f"AIRFLOW_CONN_{conn_id.upper()}"] = json.dumps(gate.connection)
        store(conn_id, way, COUNTED)
        calls = ", ".join(f"{number} {name}" for name, number in sorted(gate.calls.items()))
    return calls, str(storage.bucket.Object("clips/clip.mp4").content_type)


def main() -> None:
    """Print a table with a row for each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, server() as connection:
        os.environ["AIRFLOW_HOME"] = home
        os.environ["AIRFLOW_CONN_TIMED"] = json.dumps(connection)
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(arguments.rounds):
            for way in WAYS:
                seconds[way].append(store("timed", way, arguments.mib * MIB))
        rows = []
        for way in WAYS:
            calls, content_type = count(connection, way)
            spread = f"{min(seconds[way]):.1f} to {max(seconds[way]):.1f}"
            rows.append([way, f"{median(seconds[way]):.1f} s ({spread})", content_type, calls])
    heads = (
        "",
        f"time for {arguments.mib} MiB",
        "content type",
        f"calls, with the check, for {COUNTED // MIB} MiB",
    )
    sys.stdout.write(f"{table(heads, rows)}\n")


if __name__ == "__main__":
    main()
