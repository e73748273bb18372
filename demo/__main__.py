"""The command line: `python -m demo`."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from demo.folder import fresh_folder, short_path
from demo.printing import quote, say
from demo.segmind import chosen_segmind
from demo.story import Story
from harness import HarnessError, StoppedError, last_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.folder import DemoFolder
    from demo.segmind import Segmind
    from harness import Cluster


def main(arguments: Sequence[str] | None = None) -> int:
    """Show the demo, and leave nothing running."""
    options = _parser().parse_args(arguments)
    try:
        segmind = chosen_segmind()
        with fresh_folder(options.folder) as folder:
            return _show(folder, segmind, keep=options.keep)
    except HarnessError as error:
        return _report_failure(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="Make clips in a real Airflow. LIVE=1 and SEGMIND_API_KEY: with Segmind, not the emulator.",
    )
    parser.add_argument("--keep", action="store_true", help="leave everything running, with the UI, until Ctrl-C")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(__file__).parents[1] / ".demo",
        help="where to keep everything (default %(default)s); emptied first",
    )
    return parser


def _show(folder: DemoFolder, segmind: Segmind, *, keep: bool) -> int:
    story = Story(folder, segmind)
    code = 0
    try:
        with story.cluster() as cluster:
            try:
                story.run(cluster)
                if keep:
                    story.add_to_look_at(cluster).show()
                    say("Ctrl-C stops everything")
                    _await_signal(cluster)
            finally:
                say("Stopping everything")
    except HarnessError as error:
        code = _report_failure(error)
    except StoppedError as stopped:
        say(f"The demo was {stopped}")
        code = stopped.exit_code
    say("Nothing is left running")
    if story.pending_requests and segmind.costs_money:
        say(f"Segmind goes on with {', '.join(story.pending_requests)}, and charges what completes")
    return code


def _await_signal(cluster: Cluster) -> None:
    with suppress(StoppedError):
        cluster.await_signal()


def _report_failure(error: HarnessError) -> int:
    say(f"FAILED: {error}")
    if error.log is not None and error.log.is_file():
        say(f"The last lines of {short_path(error.log)}:")
        for line in last_lines(error.log):
            quote(line)
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
