"""Whether a simulation kept the promise: no charge too many, no video of another, no paid request in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import Any

from airflow_provider_segmind.api.unresolved_submit import HISTORY_LAG
from tests.simulation.airflow import Instance
from tests.simulation.segmind import ANSWER_LIMIT, NEIGHBOR, TASK, Job, Post, Segmind, canonical
from tests.simulation.world import World

LATEST_USUAL = 306.0
CLOCKS = 30.0
LATEST_ARRIVAL = 25.0
"""Seconds after which Segmind may still accept a submit whose connection has broken."""


@dataclass(frozen=True)
class Case:
    """A simulation that has ended."""

    world: World
    segmind: Segmind
    instances: list[Instance]
    steps: int

    @property
    def charged(self) -> list[Job]:
        """The requests of the task that are paid for."""
        return [job for job in self.segmind.jobs.values() if job.owner == TASK and job.is_charged]

    @property
    def neighbors(self) -> list[Job]:
        return [job for job in self.segmind.jobs.values() if job.owner == NEIGHBOR]


class Kind(StrEnum):
    """Of what can go wrong for a user."""

    OVERPAID = "more paid than asked for"
    SILENT = "paid, and nobody heard of it"
    FOREIGN = "a request of somebody else"
    SWAPPED = "a video of other inputs"
    STUCK = "no end, or one that does not say what to do"


PAYS = frozenset({Kind.OVERPAID, Kind.SILENT})
TAKES = frozenset({Kind.SILENT, Kind.FOREIGN, Kind.SWAPPED})


@dataclass(frozen=True)
class Fault:
    kind: Kind
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


def faults_of(case: Case) -> Iterator[Fault]:
    """Say what went wrong for the user, if anything did."""
    known = {request_id for instance in case.instances for request_id in instance.delivered}
    given_up = {canonical(name) for instance in case.instances for name in instance.given_up} - known
    paid_in_vain = sum(canonical(job.request_id) in given_up for job in case.charged)
    wanted = sum(instance.wanted for instance in case.instances) + paid_in_vain
    if len(case.charged) > wanted:
        yield Fault(Kind.OVERPAID, f"{len(case.charged)} instead of {wanted}")
    known |= given_up
    texts = " ".join(text for instance in case.instances for text in instance.errors)
    for job in case.charged:
        name = canonical(job.request_id)
        if name not in known and job.request_id not in texts and name not in texts:
            yield Fault(Kind.SILENT, name[:8])
    for instance in case.instances:
        yield from _faults_of_instance(case, instance)


def _faults_of_instance(case: Case, instance: Instance) -> Iterator[Fault]:
    for name in sorted(set(instance.delivered)):
        job = case.segmind.jobs[name]
        if job.owner != TASK:
            yield Fault(Kind.FOREIGN, f"instance {instance.map_index} has one of a {job.owner}")
        if not any(dict(job.sent) == dict(each) for each in _asked_for(case, instance)):
            yield Fault(Kind.SWAPPED, f"instance {instance.map_index}")
    if instance.state == "running" or (instance.state == "failed" and not _names_what_to_do(instance)):
        yield Fault(Kind.STUCK, f"instance {instance.map_index}: {instance.errors[-1:]}")


@dataclass(frozen=True)
class Allowance:
    """
    One of the cases that docs/paid-once.md lists.

    :param applies: Whether a simulation met it: its world, and what happened there.
    :param allows: What may go wrong then, and no more.
    """

    name: str
    applies: Callable[[Case], bool]
    allows: frozenset[Kind]


def _history_was_late(case: Case) -> bool:
    """A search ends by the clock of a triggerer, and began by that of a worker, which may be slower."""
    world = case.world
    shown_after = LATEST_ARRIVAL + world.lag + 2 * world.clock_difference
    return world.lag > HISTORY_LAG or any(
        job.duration > LATEST_USUAL or job.duration + shown_after > LATEST_USUAL + HISTORY_LAG
        for job in case.charged
    )


def _server_error_left_a_request(case: Case) -> bool:
    return case.world.server_error_leaves_job and any(job.after_server_error for job in case.charged)


def _clear_deleted_the_record(case: Case) -> bool:
    return case.world.record == "clear" and any(instance.forgotten for instance in case.instances)


def _process_stood_still(case: Case) -> bool:
    return any(instance.stops for instance in case.instances)


def _attempt_outlived_a_clear(case: Case) -> bool:
    return any(instance.outdated for instance in case.instances)


def _equal_instances_share_a_former_request(case: Case) -> bool:
    every = [
        {*instance.delivered, *(canonical(name) for name in instance.given_up)} for instance in case.instances
    ]
    return any(one & other for one, other in combinations(every, 2)) and any(
        each.clears for each in case.instances
    )


def _instances_look_alike(case: Case) -> bool:
    return case.world.instances > 1 and case.world.inputs == "image" and case.world.media != "as_sent"


def _another_submitted_the_same(case: Case) -> bool:
    return any(dict(post.sent) == dict(job.sent) for post, job in _neighbors(case))


def _another_submitted_what_looks_alike(case: Case) -> bool:
    alike = any(post.sent["prompt"] == job.sent.get("prompt") for post, job in _neighbors(case))
    return alike and (case.world.media != "as_sent" or case.world.uploads)


def _neighbors(case: Case) -> Iterator[tuple[Post, Job]]:
    for post in case.segmind.posts:
        for job in case.neighbors:
            if post.at - CLOCKS <= job.accepted_at <= post.at + ANSWER_LIMIT + CLOCKS + HISTORY_LAG:
                yield post, job


EXCEPTIONS = (
    Allowance("a history that is later than a minute", _history_was_late, PAYS),
    Allowance("a server error that leaves a request", _server_error_left_a_request, PAYS),
    Allowance("a clear that deletes the record", _clear_deleted_the_record, PAYS),
    Allowance("a process that stands still before its submit", _process_stood_still, PAYS),
    Allowance("an attempt from before a clear that goes on", _attempt_outlived_a_clear, PAYS),
    Allowance(
        "equal instances, one of them cleared", _equal_instances_share_a_former_request, frozenset({Kind.SILENT})
    ),
    Allowance("instances that look alike in rows without media", _instances_look_alike, TAKES),
    Allowance("identical submits by others", _another_submitted_the_same, TAKES),
    Allowance("similar submits by others, and rows without media", _another_submitted_what_looks_alike, TAKES),
)


def unexplained_faults(case: Case, faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Return the faults that no exception allows."""
    allowed = {kind for each in EXCEPTIONS if each.applies(case) for kind in each.allows}
    return tuple(fault for fault in faults if fault.kind not in allowed)


def exceptions_met(case: Case, faults: Iterable[Fault]) -> tuple[str, ...]:
    """Return the names of the exceptions that allow one of the faults."""
    kinds = {fault.kind for fault in faults}
    return tuple(each.name for each in EXCEPTIONS if each.allows & kinds and each.applies(case))


def _asked_for(case: Case, instance: Instance) -> list[Mapping[str, Any]]:
    """
    Return what the instance has sent, and what all have sent if they are given the same.

    Each upload gets another URL, though the image is the same.
    """
    own = [post.sent for post in case.segmind.posts if post.by == instance.map_index]
    if case.world.inputs == "equal":
        return [post.sent for post in case.segmind.posts]
    return own


def _names_what_to_do(instance: Instance) -> bool:
    return bool(instance.errors) and ("histor" in instance.errors[-1] or "request_id=" in instance.errors[-1])
