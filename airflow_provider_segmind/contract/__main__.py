"""The command line: `python -m airflow_provider_segmind.contract`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.contract.check import Asking, check
from airflow_provider_segmind.contract.emulated import emulated
from airflow_provider_segmind.contract.findings import Outcome
from airflow_provider_segmind.contract.jobs import Pace
from airflow_provider_segmind.contract.report import outcome_of, write_report
from airflow_provider_segmind.contract.segmind import Hosts, Segmind
from airflow_provider_segmind.emulator.worlds import CHOICES, World
from airflow_provider_segmind.hooks.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LIVE_SECONDS = 420.0
_CLIP_SECONDS = 1200.0
_LIMIT_SECONDS = 180.0
_MOST_REQUESTS = 300

_EPILOG = """environment: LIVE=1 asks Segmind with SEGMIND_API_KEY, for less than a cent. SPEND=1 also makes a
Kling clip. EXHAUST=1 also uses the rate limit up. SEGMIND_TEAMMATE_API_KEY is the key of a teammate.
EARLIER_REQUEST is the id of an own request of more than an hour."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask, write the report, and say what was seen."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_segmind.contract",
        description="Find out which of the Segminds that the evidence allows this one is.",
        epilog=_EPILOG,
    )
    parser.add_argument("--report", type=Path, default=Path("contract-report.md"), help="(default %(default)s)")
    parser.add_argument("--world", default="", metavar="FIELD=VALUE,…", help="of the emulator, without LIVE=1")
    parser.add_argument("--pace", type=float, metavar="FACTOR", help="of all waits (default 1; emulated: 0.05)")
    options = parser.parse_args(arguments)
    try:
        asked = _live(options.pace or 1) if _is_set("LIVE") else _emulated(options.world, options.pace or 0.05)
    except ValueError as problem:
        parser.error(str(problem))
    whom = "Segmind" if _is_set("LIVE") else "the emulator"
    with asked as asking:
        asking.say = _say
        findings = check(asking)
    options.report.write_text(_redacted(write_report(findings, whom, datetime.now(UTC))))
    for finding in findings.complete():
        _say(f"{finding.name}: {outcome_of(finding)}")
    _say(f"The report is in {options.report}")
    return int(all(finding.outcome is not Outcome.SEEN for finding in findings.complete()))


@contextmanager
def _asking_segmind(api_key: str, teammate_key: str, pace: float) -> Iterator[Asking]:
    spend = _is_set("SPEND")
    seconds = _LIVE_SECONDS + (_CLIP_SECONDS if spend else 0) + (_LIMIT_SECONDS if _is_set("EXHAUST") else 0)
    deadline = time.monotonic() + seconds
    own = Segmind(Hosts(), api_key, deadline)
    teammate = Segmind(Hosts(), teammate_key, deadline) if teammate_key else None
    exhaust = _MOST_REQUESTS if _is_set("EXHAUST") else 0
    try:
        yield Asking(own, Pace().times(pace), teammate, spend, exhaust, os.environ.get("EARLIER_REQUEST") or None)
    finally:
        own.close()
        if teammate is not None:
            teammate.close()


def _emulated(world: str, pace: float) -> AbstractContextManager[Asking]:
    return emulated(_read_world(world), factor=pace)


def _live(pace: float) -> AbstractContextManager[Asking]:
    api_key = _key("SEGMIND_API_KEY")
    if not api_key:
        raise ValueError("LIVE=1 needs the variable SEGMIND_API_KEY: create a key at https://cloud.segmind.com")
    return _asking_segmind(api_key, _key("SEGMIND_TEAMMATE_API_KEY"), pace)


def _read_world(text: str) -> World:
    """Read `ids=hex,history_lag=2`."""
    changes: dict[str, Any] = {}
    for pair in filter(None, text.split(",")):
        name, _, value = pair.partition("=")
        texts = {str(choice).lower(): choice for choice in CHOICES.get(name, ())}
        changes[name] = texts.get(value.lower(), value) if texts else float(value)
    return World().changed(changes)


def _is_set(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")


def _key(name: str) -> str:
    return os.environ.get(name, "").strip()


def _redacted(text: str) -> str:
    for name in ("SEGMIND_API_KEY", "SEGMIND_TEAMMATE_API_KEY"):
        if key := _key(name):
            text = Redactor(key).redact_text(text)
    return text


def _say(line: str) -> None:
    sys.stdout.write(f"{_redacted(line)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
