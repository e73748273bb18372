"""How often Segmind is asked, and how late an end is noticed: thousands of jobs, in no time at all."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import matplotlib as mpl

from airflow_provider_segmind.api.expectation import KNOWN, Expectation, Experience
from airflow_provider_segmind.api.schedule import first_wait, next_wait

from .batches import Job, simulate
from .report import Section, table

mpl.use("Agg")
from matplotlib import pyplot as plt

MODEL = "kling-o1-image-to-video"
TYPICAL = 144.5
JOBS = 20_000
SAMPLE_INTERVAL = 2.0
BETWEEN_BATCHES = 5000.0

Durations = Callable[[random.Random], float]


@dataclass(frozen=True)
class Case:
    """Jobs of a kind, and what is believed of them."""

    title: str
    duration: Durations
    expected: Expectation = KNOWN[MODEL]


@dataclass(frozen=True)
class Cost:
    """
    What waiting for jobs came to.

    :param looks: Status requests for each job.
    :param delay: Of the end until it is known, as a share of each job's duration.
    :param seconds: The same in seconds.
    """

    looks: float
    delay: float
    seconds: float


def lognormal(spread: float) -> Durations:
    """Return durations around that of Kling O1."""
    return lambda chance: TYPICAL * math.exp(chance.gauss(0, spread))


CASES = (
    Case("usual: 144.5 s, spread 0.25", lognormal(0.25)),
    Case("spread 0.1", lognormal(0.1)),
    Case("spread 0.5", lognormal(0.5)),
    Case("expected half as long (72 s)", lognormal(0.25), Expectation(TYPICAL / 2, 0.25)),
    Case("expected twice as long (289 s)", lognormal(0.25), Expectation(TYPICAL * 2, 0.25)),
    Case("fails after 3 s", lambda _: 3.0),
    Case("takes 30 minutes", lambda _: 1800.0),
)


def looks_at(duration: float, wait: Callable[[float], float]) -> list[float]:
    """Return the ages at which a job is looked at."""
    ages = [wait(0)]
    while ages[-1] < duration:
        ages.append(ages[-1] + wait(ages[-1]))
    return ages


def adaptive(expected: Expectation) -> Callable[[float], float]:
    """Return the waits of the provider."""
    return lambda age: next_wait(age, None, expected) if age else first_wait(0, None, expected)


def every(interval: float) -> Callable[[float], float]:
    """Return the waits of a loop that sleeps."""
    return lambda _: interval


def cost(case: Case, wait: Callable[[float], float], jobs: int = JOBS) -> Cost:
    """Return what waiting comes to, over many jobs."""
    chance = random.Random(7)
    random.seed(7)
    durations = [case.duration(chance) for _ in range(jobs)]
    looks = [looks_at(duration, wait) for duration in durations]
    delays = [ages[-1] - duration for ages, duration in zip(looks, durations, strict=True)]
    return Cost(
        looks=mean(map(len, looks)),
        delay=mean(delay / duration for delay, duration in zip(delays, durations, strict=True)),
        seconds=mean(delays),
    )


def batch_after_batch(size: int, durations: Durations, count: int = 3) -> list[tuple[float, float]]:
    """Return the looks and the delay of batches, each submitted at once, in one process that learns from them."""
    experience, chance = Experience(), random.Random(7)
    random.seed(7)
    waits = []
    for number in range(count):
        jobs = [Job(number * BETWEEN_BATCHES, durations(chance)) for _ in range(size)]
        waits.append(simulate(jobs, MODEL, experience))
    return waits


def run(folder: Path, *, long: bool) -> Section:
    """Compare the schedule with the interval of Segmind's sample, and draw when it looks."""
    del long
    rows = []
    for case in CASES:
        ours, theirs = cost(case, adaptive(case.expected)), cost(case, every(SAMPLE_INTERVAL))
        rows.append(
            (
                case.title,
                f"{ours.looks:.1f}",
                f"{theirs.looks:.1f}",
                f"{ours.looks / theirs.looks:.2f}",
                f"{ours.delay:.2%} ({ours.seconds:.1f} s)",
                f"{theirs.delay:.2%} ({theirs.seconds:.1f} s)",
            )
        )
    heads = ("jobs", "looks", "looks, 2 s", "ratio", "delay", "delay, 2 s")
    batches = [
        (title, size, *(f"{looks:.1f}, {delay:.1%}" for looks, delay in batch_after_batch(size, durations)))
        for title, durations in (
            ("usual", lognormal(0.25)),
            ("half as long as the page says", lambda chance: lognormal(0.25)(chance) / 2),
            ("twice as long", lambda chance: lognormal(0.25)(chance) * 2),
        )
        for size in (24, 1000)
    ]
    text = "\n\n".join(
        (
            f"Status requests for each job, and the mean delay between its end and knowing of it as a share of "
            f"its duration, over {JOBS} simulated jobs of each kind; beside it `interval=2.0`, as in Segmind's "
            "sample.",
            table(heads, rows),
            "One process that waits for a batch submitted at once, and for two more after it, and learns what is "
            "usual: looks, and delay.",
            table(("jobs take", "in a batch", "first batch", "second", "third"), batches),
        )
    )
    return Section("Asking when an answer is likely", text, _draw(folder / "schedule.png"))


def _draw(path: Path) -> Path:
    random.seed(7)
    figure, (jobs, looks) = plt.subplots(2, 1, figsize=(8, 5), sharex=True, height_ratios=(1, 1.4))
    chance = random.Random(7)
    durations = [CASES[0].duration(chance) for _ in range(JOBS)]
    jobs.hist(durations, bins=120, range=(0, 330), color="#b9b2e0")
    jobs.set_ylabel("jobs that end")
    jobs.set_yticks([])
    rows: Sequence[tuple[str, Callable[[float], float]]] = (
        *((f"schedule, job {n}", adaptive(KNOWN[MODEL])) for n in range(1, 6)),
        ("every 2 s", every(SAMPLE_INTERVAL)),
    )
    for height, (_, wait) in enumerate(reversed(rows)):
        ages = looks_at(300, wait)
        looks.plot(ages, [height] * len(ages), "|", markersize=12, color="#4b3fa7" if height else "#c8553d")
    looks.set_yticks(range(len(rows)), [name for name, _ in reversed(rows)])
    looks.set_xlabel("seconds since the submit")
    looks.set_xlim(0, 330)
    figure.suptitle("When a job that takes 300 s is asked about (below), and when jobs usually end (above)")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path
