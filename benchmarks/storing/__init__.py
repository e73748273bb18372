"""What storing a video takes and what a death leaves behind: `python -m benchmarks.storing`."""

from __future__ import annotations

from pathlib import Path

from benchmarks.report import Section


def run(folder: Path, *, long: bool) -> Section:
    """
    Compare on a real Airflow and a real S3 server: some six minutes.

    :param long: A video of 1 GiB, and a little more, instead of 255 MiB: each second has the same bytes.
    """
    from benchmarks.storing import story
    from benchmarks.storing.measuring import measure

    return story.write_section(measure((1025 if long else 255) * 2**20))
