"""What was measured, in words."""

from __future__ import annotations

from benchmarks.report import Section, table
from benchmarks.storing.measuring import Measured, Outcome

NAMES = {"ours": "`KlingImageToVideoOperator` with `output_path`", "usual": "`@task` with the official client"}


def write_section(measured: Measured) -> Section:
    """Return the section."""
    mib = measured.size / 2**20
    text = f"""
The same pipeline twice, a folder of images in S3 to a folder of clips, in one real Airflow with LocalExecutor and
a real S3 server: with this provider ([ours.py](storing/dags/ours.py)), and with what one would write instead
([usual.py](storing/dags/usual.py): the official client, `requests.get(url).content`, `S3Hook.load_bytes`).

Memory is what the task's process had at most, with a video of {mib:.0f} MiB, above an idle worker, whose fork it
is and which has imported all. Then a task is killed with SIGKILL in the middle of fetching a video, and Airflow
retries it.

{table(HEADS, [_row(each) for each in measured.outcomes])}

An unfinished upload is a part that S3 keeps and nobody sees, until a rule of the bucket deletes it.
"""
    return Section("Storing videos", text)


HEADS = (
    "",
    "lines of DAG",
    "memory above idle",
    "in the folder after the kill",
    "unfinished uploads",
    "the run then",
    "attempts",
    "videos paid for one",
)


def _row(outcome: Outcome) -> list[object]:
    return [
        NAMES[outcome.way],
        outcome.lines,
        f"{outcome.above_idle:.0f} MiB",
        ", ".join(outcome.left) or "nothing",
        outcome.unfinished,
        outcome.state,
        outcome.attempts,
        outcome.charged,
    ]
