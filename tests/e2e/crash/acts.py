"""What is done to tasks from outside: each act is a generator that yields as long as it has to wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from airflow_provider_segmind.emulator.running import RunningEmulator
from harness import Cluster, TaskRow

from .dags.events import NEVER_BY_ITSELF, Act, Case, Side

Steps = Iterator[str]
TAKEN_UP_AFTER = 30.0


class Stage:
    """
    A task, the emulator that it speaks to, and what Airflow says of it at this moment.

    :param output: The file that it stores its video in, if it does.
    """

    def __init__(
        self,
        case: Case,
        emulator: RunningEmulator,
        output: Path,
        look: Callable[[], TaskRow],
        clear: Callable[[], None],
    ) -> None:
        self.case = case
        self.emulator = emulator
        self.output = output
        self.look = look
        self.clear = clear

    def polls(self) -> int:
        """Return how often somebody asked for the state of the request."""
        return int(self.emulator.requests()["endpoints"]["status"])

    def polled_again(self) -> Steps:
        """Wait until somebody asks once more."""
        before = self.polls()
        while self.polls() <= before:
            yield f"{self.case.task_id}: somebody to ask for the request's state"

    def reached(self, *states: str, attempt: int = 1) -> Steps:
        """Wait for a state, in this attempt or a later one."""
        while (row := self.look()).state not in states or row.try_number < attempt:
            wanted = f"{' or '.join(states)} in attempt {attempt}"
            yield f"{self.case.task_id}: {wanted}; it is {row.state} in attempt {row.try_number}"

    def restarted(self, before: str | None) -> Steps:
        """Wait until the task has been started once more."""
        while self.look().started == before:
            yield f"{self.case.task_id}: a start after that of {before}"

    def cleared(self, attempt: int) -> Steps:
        """
        Clear the task, and wait until Airflow has taken it up again.

        A clear at the moment at which the run ends is lost on Airflow: the task then waits in a run that is over.
        """
        while True:
            self.clear()
            again_at = time.monotonic() + TAKEN_UP_AFTER
            taken_up = False
            while not taken_up and time.monotonic() < again_at:
                yield f"{self.case.task_id}: an attempt after {attempt}"  # what it is now is looked up meanwhile
                row = self.look()
                taken_up = row.try_number > attempt or row.state not in (None, "failed", "success")
            if taken_up:
                return

    def finish(self) -> None:
        """Let the request be COMPLETED."""
        self.emulator.advance(NEVER_BY_ITSELF)


def triggerers(cluster: Cluster, restarted: Stage, replaced: Stage) -> Steps:
    """Kill the only triggerer under two tasks and start it again; then kill one of two."""
    for stage in (restarted, replaced):
        yield from stage.reached("deferred")
        yield from stage.polled_again()
    killed = _triggerer_of(restarted)
    cluster.kill(cluster.process(killed))
    cluster.start("triggerer")
    for stage in (restarted, replaced):
        yield from stage.polled_again()
    while _triggerer_of(replaced) == killed:  # what Airflow says of a task is not looked up at every step
        yield f"{replaced.case.task_id}: to be seen in another triggerer than {killed}"
    restarted.finish()
    cluster.start("triggerer")
    cluster.kill(cluster.process(_triggerer_of(replaced)))
    yield from replaced.polled_again()
    replaced.finish()


def key_revoked(stage: Stage) -> Steps:
    """Revoke the key under a waiting task; when the task has failed, restore the key and clear the task."""
    yield from stage.polled_again()
    stage.emulator.revoke_key(stage.emulator.api_key)
    yield from stage.reached("failed")
    failed_in = stage.look().try_number
    stage.emulator.restore_key(stage.emulator.api_key)
    yield from stage.cleared(failed_in)
    yield from stage.reached("running", "deferred", attempt=failed_in + 1)
    yield from stage.polled_again()
    stage.finish()


def cleared_after_death(stage: Stage) -> Steps:
    """Clear a task that Airflow does not try again after its death, as late as it would have been tried again."""
    yield from stage.reached("failed", "success")
    if (row := stage.look()).state == "failed":
        clear_at = time.monotonic() + stage.case.event.retry_delay
        while time.monotonic() < clear_at:
            yield f"{stage.case.task_id}: the moment to clear it"
        yield from stage.cleared(row.try_number)


def storage_broken(stage: Stage) -> Steps:
    """Let the storage fail under a paid request; when the task has failed, repair it and clear the task."""
    yield from stage.polled_again()
    stage.output.mkdir(parents=True)  # a folder where the file has to be
    stage.finish()
    yield from stage.reached("failed")
    failed_in = stage.look().try_number
    stage.output.rmdir()
    yield from stage.cleared(failed_in)
    yield from stage.reached("success", attempt=failed_in + 1)


def cleared(stage: Stage) -> Steps:
    """Clear a task that has succeeded."""
    yield from stage.reached("success")
    succeeded_in = stage.look().try_number
    yield from stage.cleared(succeeded_in)
    yield from stage.reached("success", attempt=succeeded_in + 1)


def scheduler_replaced(cluster: Cluster, stages: Sequence[Stage], *, with_workers: bool) -> Steps:
    """Kill the scheduler under waiting tasks, start another, and let the tasks be finished by whom it has."""
    for stage in stages:
        yield from stage.polled_again()
    started = {stage: stage.look().started for stage in stages}
    (scheduler,) = cluster.processes("scheduler")
    cluster.kill(scheduler, with_children=with_workers)
    cluster.start("scheduler")
    for stage in stages:
        if with_workers and stage.case.side is not Side.DEFERRED:
            yield from stage.restarted(started[stage])
        yield from stage.polled_again()
        stage.finish()


ALONE = {Act.KEY_REVOKED: key_revoked, Act.STORAGE_BROKEN: storage_broken, Act.CLEARED: cleared}


def _triggerer_of(stage: Stage) -> str:
    name = stage.look().triggerer
    if name is None:
        raise RuntimeError(f"{stage.case.task_id} is in no triggerer")
    return name
