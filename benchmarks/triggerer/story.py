"""The section that is made of the outcomes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from benchmarks.report import Section, table
from benchmarks.triggerer.drawing import draw
from benchmarks.triggerer.outcome import (
    NOTHING,
    Lag,
    Outcome,
    above_sleeping,
    find,
    memory_per_trigger,
    ratio,
    sizes,
    work_per_job,
)
from benchmarks.triggerer.plan import LARGEST_TOGETHER, Kind

TITLE = "Waiting in the triggerer"
RAW = "triggerer.json"
PICTURE = "triggerer.png"
_MILLI = 1000.0

METHOD = """
In each case one real `airflow triggerer`, with its database and an emulated Segmind, waits over TLS for N
jobs with Kling O1's durations (lognormal around 144.5 s, the same for all). The deferred task instances are put
straight into the database; nothing else of Airflow runs. A job is finished when its result has reached its task.

- `segmind`: this provider's trigger.
- `http_style`: a new aiohttp session for each poll, as in the triggers of the HTTP provider; every 2 s.
- `thread_style`: a blocking client, one per trigger, called in a thread for each poll, as in the triggers of the
  Anthropic provider; every 2 s.
- `sleeping`: knows when its job ends and asks nobody: what Airflow itself costs.

The two seconds are those of the sample on the model's page. For another interval, compare the cost of a request.
The first trigger of a kind imports what it needs, once: about 0.3 s, which ten jobs share here, or a hundred.
"""


def write_section(outcomes: Sequence[Outcome], folder: Path) -> Section:
    """Write the raw results and the picture to a folder, and return the section."""
    (folder / RAW).write_text(json.dumps([asdict(each) for each in outcomes], indent=1) + "\n")
    parts = [METHOD.strip(), _how(outcomes), *(_cpu(outcomes, size) for size in sizes(outcomes))]
    parts += [_memory(outcomes), _lag(outcomes), *_restarts(outcomes)]
    return Section(TITLE, "\n\n".join(filter(None, parts)), draw(outcomes, folder / PICTURE))


def _how(outcomes: Sequence[Outcome]) -> str:
    small = [str(size) for size in sizes(outcomes) if size <= LARGEST_TOGETHER]
    large = [str(size) for size in sizes(outcomes) if size > LARGEST_TOGETHER]
    parts = []
    if small:
        parts.append(f"N = {' and '.join(small)}: all kinds side by side, at the same time, on this machine.")
    if large:
        parts.append(
            f"N = {' and '.join(large)}: one kind after the other. Polls every 2 s then keep the whole machine "
            "busy, the emulator included."
        )
    return " ".join(parts)


def _cpu(outcomes: Sequence[Outcome], size: int) -> str:
    ours = find(outcomes, Kind.SEGMIND, size)
    our_work = above_sleeping(outcomes, ours) if ours else None
    heads = [
        "kind",
        "finished",
        "CPU ms per job, all",
        "without idling",
        "above `sleeping`",
        "times ours",
        "status requests per job",
        "ms per request",
        "TLS connections",
        "delay s, median (max)",
    ]
    rows = [
        _cpu_row(outcomes, each, our_work) for kind in Kind if (each := find(outcomes, kind, size)) is not None
    ]
    return f"**{size} jobs**\n\n{table(heads, rows)}" if rows else ""


def _cpu_row(outcomes: Sequence[Outcome], each: Outcome, our_work: float | None) -> list[str]:
    above = None if each.kind is Kind.SLEEPING else above_sleeping(outcomes, each)
    requests = each.status_requests + each.result_requests
    delay = f"{median(each.delays):.1f} ({max(each.delays):.1f})" if each.delays else NOTHING
    return [
        f"`{each.kind}`",
        f"{each.finished} of {each.size}",
        _milli(each.cpu_per_job),
        _milli(work_per_job(each)),
        _milli(above),
        ratio(above, our_work),
        f"{each.status_requests / each.size:.1f}",
        _milli(above * each.finished / requests if above is not None and requests else None, digits=1),
        str(max(each.handshakes, 0)),
        delay,
    ]


def _memory(outcomes: Sequence[Outcome]) -> str:
    all_sizes = sizes(outcomes)
    heads = ["kind", *(f"growth MiB, N = {size}" for size in all_sizes), "KiB per further trigger"]
    rows = [
        [f"`{kind}`", *(_grown(outcomes, kind, size) for size in all_sizes), _further(outcomes, kind)]
        for kind in Kind
        if any(find(outcomes, kind, size) for size in all_sizes)
    ]
    return (
        "**Memory** of the process with the event loop (its own, USS) while all wait, above what it had before. "
        "A further trigger is one of those between the two largest N, in parentheses as a multiple of `sleeping`: "
        "it does not count what the smaller N has already, as the imports of the first trigger, and the sockets "
        f"of `segmind`, at most four with a buffer of 256 KiB each.\n\n{table(heads, rows)}"
    )


def _grown(outcomes: Sequence[Outcome], kind: Kind, size: int) -> str:
    each = find(outcomes, kind, size)
    return f"{each.memory_growth:.1f}" if each and each.memory_growth is not None else NOTHING


def _further(outcomes: Sequence[Outcome], kind: Kind) -> str:
    more, least = memory_per_trigger(outcomes, kind), memory_per_trigger(outcomes, Kind.SLEEPING)
    if more is None:
        return NOTHING
    return f"{more:.1f} ({more / least:.2f})" if least else f"{more:.1f}"


def _lag(outcomes: Sequence[Outcome]) -> str:
    heads = [
        "N",
        "kind",
        "while starting: p99, max ms",
        "then: p50, p99, max ms",
        "“blocked” warnings while starting, then",
    ]
    rows = [
        [size, f"`{kind}`", _late(each.lag_starting, _START), _late(each.lag_steady, _STEADY), _two(each.blocked)]
        for size in sizes(outcomes)
        for kind in Kind
        if (each := find(outcomes, kind, size)) is not None
    ]
    return (
        "**Event loop**: how late a trigger in the same triggerer woke that sleeps for 20 ms again and again. All "
        "triggers of a triggerer share its loop, those of other providers too. Airflow warns that it was blocked "
        f"when a pause of 0.1 s took more than 0.2 s.\n\n{table(heads, rows)}"
    )


_START: tuple[Callable[[Lag], float], ...] = (lambda lag: lag.p99, lambda lag: lag.most)
_STEADY: tuple[Callable[[Lag], float], ...] = (lambda lag: lag.p50, *_START)


def _late(lag: Lag | None, parts: Sequence[Callable[[Lag], float]]) -> str:
    return ", ".join(f"{part(lag):.1f}" for part in parts) if lag else NOTHING


def _two(numbers: tuple[int, int]) -> str:
    return f"{numbers[0]}, {numbers[1]}"


def _restarts(outcomes: Sequence[Outcome]) -> list[str]:
    return [
        f"**Restart**: while {each.restart.waiting} jobs waited with `{each.kind}`, the triggerer was killed with "
        f"SIGKILL and another one started. {each.finished} of {each.size} jobs finished. The new one first asked "
        f"{each.restart.quiet:.0f} s later (Airflow hands triggers over when a heartbeat is 30 s old). "
        f"The most status requests in any one second were {each.restart.before} before and {each.restart.after} "
        "after it."
        for each in outcomes
        if each.restart is not None
    ]


def _milli(seconds: float | None, digits: int = 0) -> str:
    return f"{seconds * _MILLI:.{digits}f}" if seconds is not None else NOTHING
