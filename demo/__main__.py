"""The command line: `python -m demo`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from demo.failure import DemoError, StoppedError
from demo.folder import fresh_folder, shown
from demo.log_tail import last_lines
from demo.processes import Processes
from demo.segmind import chosen_segmind
from demo.story import Story
from demo.telling import quote, say
from demo.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.folder import DemoFolder
    from demo.segmind import Segmind


def main(arguments: Sequence[str] | None = None) -> int:
    """Show the demo, and leave nothing running."""
    options = _parser().parse_args(arguments)
    try:
        segmind = chosen_segmind()
        with fresh_folder(options.folder) as folder:
            return _shown(folder, segmind, keep=options.keep)
    except DemoError as error:
        return _failed(error)


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


def _shown(folder: DemoFolder, segmind: Segmind, *, keep: bool) -> int:
    waiting = Waiting(segmind.time_limit)
    processes = Processes(folder.logs)
    waiting.mind(processes.check)
    story = Story(folder, segmind, processes, waiting)
    code = 0
    try:
        url = story.tell()
        if keep:
            say(f"Airflow's UI: {url} (everybody is an admin: no login). Ctrl-C stops everything.")
            waiting.for_a_signal()
    except DemoError as error:
        code = _failed(error)
    except StoppedError as stopped:
        say(f"The demo was {stopped}")
        code = stopped.exit_code
    finally:
        say("Stopping everything")
        processes.stop()
        say("Nothing is left running")
    if story.pending_requests and segmind.costs_money:
        say(f"Segmind goes on with {', '.join(story.pending_requests)}, and charges what completes")
    return code


def _failed(error: DemoError) -> int:
    say(f"FAILED: {error}")
    if error.log is not None and error.log.is_file():
        say(f"The last lines of {shown(error.log)}:")
        for line in last_lines(error.log):
            quote(line)
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
