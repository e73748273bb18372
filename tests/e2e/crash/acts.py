"""What is done to tasks from outside: each act is a generator that yields as long as it has to wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from airflow_provider_segmind.emulator.running import RunningEmulator

from .dags.events import NEVER_BY_ITSELF, Act, Case, Side
from .real_airflow import RealAirflow, TaskRow

Steps = Iterator[str]
TAKEN_UP_AFTER = 20.0


class Stage:
    """A task, the emulator that it speaks to, and what Airflow says of it at this moment."""

    def __init__(
        self, case: Case, emulator: RunningEmulator, look: Callable[[], TaskRow], clear: Callable[[], None]
    ) -> None:
        self.case = case
        self.emulator = emulator
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

    def reached(self, *states: str, tries: int = 1) -> Steps:
        """Wait for a state, in this try or a later one."""
        while (row := self.look()).state not in states or row.tries < tries:
            wanted = f"{' or '.join(states)} in try {tries}"
            yield f"{self.case.task_id}: {wanted}; it is {row.state} in try {row.tries}"

    def started_anew(self, before: str | None) -> Steps:
        """Wait until the task has been started once more."""
        while self.look().started == before:
            yield f"{self.case.task_id}: a start after that of {before}"

    def cleared(self, tries: int) -> Steps:
        """
        Clear the task, and wait until Airflow has taken it up again.

        A clear at the moment at which the run ends is lost on Airflow: the task then waits in a run that is over.
        """
        while True:
            self.clear()
            again_at = time.monotonic() + TAKEN_UP_AFTER
            while time.monotonic() < again_at:
                row = self.look()
                if row.tries > tries or row.state not in (None, "failed", "success"):
                    return
                yield f"{self.case.task_id}: a try after {tries}"

    def finish(self) -> None:
        """Let the request be COMPLETED."""
        self.emulator.advance(NEVER_BY_ITSELF)


def triggerers(airflow: RealAirflow, restarted: Stage, replaced: Stage) -> Steps:
    """Kill the only triggerer under two tasks and start it again; then kill one of two."""
    for stage in (restarted, replaced):
        yield from stage.reached("deferred")
        yield from stage.polled_again()
    killed = _triggerer_of(restarted)
    airflow.kill_triggerer(killed)
    airflow.start_triggerer()
    for stage in (restarted, replaced):
        yield from stage.polled_again()
    while _triggerer_of(replaced) == killed:  # what Airflow says of a task is not looked up at every step
        yield f"{replaced.case.task_id}: to be seen in another triggerer than {killed}"
    restarted.finish()
    airflow.start_triggerer()
    airflow.kill_triggerer(_triggerer_of(replaced))
    yield from replaced.polled_again()
    replaced.finish()


def key_revoked(stage: Stage) -> Steps:
    """Revoke the key under a waiting task; when the task has failed, restore the key and clear the task."""
    yield from stage.polled_again()
    stage.emulator.revoke_key(stage.emulator.api_key)
    yield from stage.reached("failed")
    failed_in = stage.look().tries
    stage.emulator.restore_key(stage.emulator.api_key)
    yield from stage.cleared(failed_in)
    yield from stage.reached("running", "deferred", tries=failed_in + 1)
    yield from stage.polled_again()
    stage.finish()


def cleared(stage: Stage) -> Steps:
    """Clear a task that has succeeded."""
    yield from stage.reached("success")
    succeeded_in = stage.look().tries
    yield from stage.cleared(succeeded_in)
    yield from stage.reached("success", tries=succeeded_in + 1)


def scheduler_replaced(airflow: RealAirflow, stages: Sequence[Stage], *, with_workers: bool) -> Steps:
    """Kill the scheduler under waiting tasks, start another, and let the tasks be finished by whom it has."""
    for stage in stages:
        yield from stage.polled_again()
    started = {stage: stage.look().started for stage in stages}
    airflow.replace_scheduler(with_workers=with_workers)
    for stage in stages:
        if with_workers and stage.case.side is not Side.DEFERRED:
            yield from stage.started_anew(started[stage])
        yield from stage.polled_again()
        stage.finish()


ALONE = {Act.KEY_REVOKED: key_revoked, Act.CLEARED: cleared}


def _triggerer_of(stage: Stage) -> int:
    number = stage.look().triggerer
    if number is None:
        raise RuntimeError(f"{stage.case.task_id} is in no triggerer")
    return number
