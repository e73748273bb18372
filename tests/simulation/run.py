"""One simulation: drawn from a seed, played to its end, and judged."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from tests.simulation.airflow import Instance
from tests.simulation.clock import START, Clock, used_by_the_provider
from tests.simulation.judge import Case, Fault, exceptions_met, faults_of, unexplained_faults
from tests.simulation.segmind import NEIGHBOR, Segmind
from tests.simulation.world import World, draw_world

TROUBLED = 3 * 3600.0
"""Seconds of faults. After them all is fair, and each task has to get its video or say why not."""

END = 400_000.0

PATIENCE = (0.0, 0.5, 0.0)
"""How likely people give up a request, by seed: the others play as they did before people could."""


@dataclass(frozen=True)
class Verdict:
    """
    What a simulation came to.

    :param faults: Those that the documentation does not list.
    :param exceptions: The documented cases that explain the others.
    """

    seed: int
    world: World
    steps: int
    faults: tuple[Fault, ...]
    exceptions: tuple[str, ...]

    def __str__(self) -> str:
        return f"seed {self.seed}: {'; '.join(map(str, self.faults))}"


@dataclass
class Total:
    """What many simulations came to."""

    runs: int = 0
    steps: int = 0
    exceptions: Counter[str] = field(default_factory=Counter)
    findings: list[Verdict] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        self.runs += 1
        self.steps += verdict.steps
        self.exceptions.update(verdict.exceptions)
        if verdict.faults:
            self.findings.append(verdict)


def simulate(seed: int, world: World | None = None) -> Verdict:
    """Play one simulation. The same seed always plays the same."""
    case = play(seed, world)
    faults = list(faults_of(case))
    return Verdict(seed, case.world, case.steps, unexplained_faults(case, faults), exceptions_met(case, faults))


def play(seed: int, world: World | None = None) -> Case:
    chance = random.Random(seed)  # noqa: S311 - a simulation that can be repeated
    random.seed(seed)
    drawn = world or replace(
        draw_world(chance, exceptional=seed % 4 == 0), abandons=PATIENCE[seed % len(PATIENCE)]
    )
    clock = Clock(chance)
    segmind = Segmind(drawn, clock, chance, START + TROUBLED)
    xcoms: dict[tuple[str, int], object] = {}
    indexes = range(drawn.instances) if drawn.instances > 1 else [-1]
    instances = [Instance(drawn, clock, chance, segmind, index, xcoms) for index in indexes]
    for number in range(drawn.crowd):
        crowded = {"prompt": f"crowd {number}", "duration": 5}
        clock.spawn(lambda sent=crowded: segmind.accept(NEIGHBOR, -2, sent), chance.uniform(0, 3600))
    for instance in instances:
        clock.spawn(instance.start, chance.choice([0.0, 0.0, 10.0]))
    with used_by_the_provider(clock), _quiet():
        clock.run(START + END)
    return Case(drawn, segmind, instances, clock.steps)


@contextmanager
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def simulate_many(steps: int, first_seed: int) -> Total:
    """Play simulations with the seeds from ``first_seed`` on, until that many steps are done."""
    total, seed = Total(), first_seed
    while total.steps < steps:
        total.add(simulate(seed))
        seed += 1
    return total
