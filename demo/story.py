"""What the demo shows: a folder of images, from the trigger of a DAG to a clip for each."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from demo import airflow_running
from demo.airflow_home import configured_home
from demo.clip import can_decode, described, draw_contact_sheet
from demo.failure import DemoError
from demo.folder import shown
from demo.slot_time import slot_time
from demo.telling import detail, say

if TYPE_CHECKING:
    from pathlib import Path

    from demo.airflow_api import AirflowApi, Run
    from demo.folder import DemoFolder
    from demo.processes import Processes
    from demo.segmind import Segmind
    from demo.waiting import Waiting

DAG_ID = "segmind_folder_of_images"
TASK_ID = "make_clip"

_FAILED = ("failed", "removed")
"""Of any task of the DAG: what is `upstream_failed` follows from one of these."""


class Story:
    """The demo in the order in which it is told."""

    def __init__(self, folder: DemoFolder, segmind: Segmind, processes: Processes, waiting: Waiting) -> None:
        self._folder = folder
        self._segmind = segmind
        self._processes = processes
        self._waiting = waiting
        self.pending_requests: list[str] = []
        """Requests that were submitted, and whose end has not been seen."""

    def tell(self) -> str:
        """Show it all, and return the address of Airflow's UI."""
        say(f"Airflow {airflow_running.check_installed()}, with everything in {shown(self._folder.root)}")
        self._segmind.start(self._processes, self._waiting)
        images = self._lay_out()
        home = configured_home(self._folder, self._segmind.environment())
        api = airflow_running.start_airflow(home, self._processes, self._waiting)
        self._waiting.until(f"the DAG {DAG_ID}", lambda: api.knows(DAG_ID) or None)
        paid = self._make_clips(api, images)
        self._look_at_the_clips(images)
        self._run_again(api, paid)
        return home.url

    def _lay_out(self) -> list[Path]:
        """Put the images into their folder."""
        self._folder.images.mkdir()
        for image in self._segmind.images:
            shutil.copy(image, self._folder.images)
        return sorted(self._folder.images.iterdir())

    def _run(self, api: AirflowApi) -> Run:
        return api.run(DAG_ID, self._segmind.conf(self._folder.images, self._folder.clips))

    def _make_clips(self, api: AirflowApi, images: list[Path]) -> dict[str, Any]:
        say(f"Triggering the DAG {DAG_ID}: {len(images)} images in {shown(self._folder.images)}")
        watch = _Watch(self._run(api), self._folder.logs, len(images))
        for index in range(len(images)):
            request_id = self._xcom(watch, "request_id", index)
            self.pending_requests.append(request_id)
            say(f"submitted: request {request_id}")
        self._waiting.until("the tasks to defer", watch.deferred)
        pool = api.pool()
        say("deferred: the worker slots are free, the triggerer waits")
        detail(
            "slots", f"default_pool: {pool.get('occupied_slots')} occupied, {pool.get('deferred_slots')} deferred"
        )
        self._waiting.until("the clips", watch.succeeded)
        requests, self.pending_requests = self.pending_requests, []
        say(f"completed: each {TASK_ID} is a success")
        for index in range(len(images)):
            detail("video", self._xcom(watch, "return_value", index))
        paid = {request_id: self._xcom(watch, "metrics", index) for index, request_id in enumerate(requests)}
        self._account_for_slots(watch, sum(each.get("total_time", 0.0) for each in paid.values()))
        detail("charged", self._segmind.charged(paid))
        self._waiting.until("the DAG run to end", watch.run_succeeded)
        say("The DAG run is a success")
        return paid

    def _xcom(self, watch: _Watch, key: str, index: int) -> Any:
        return self._waiting.until(f"{key} in XCom", lambda: watch.xcom(key, index))

    def _account_for_slots(self, watch: _Watch, jobs: float) -> None:
        told = [slot_time(changes) for changes in watch.state_changes()]
        held = [seconds for seconds in told if seconds is not None]
        if len(held) < len(told):
            detail("worker", "this Airflow's audit log does not tell how long slots were held")
            return
        stays = " + ".join(f"{each:.1f} s" for each in held)
        detail("worker", f"slots were held for {sum(held):.1f} s ({stays}) in all;")
        detail("", f"the jobs at Segmind took {jobs:.1f} s{self._segmind.pace}")
        detail("", "(slot: each `running` until the next state in Airflow's audit log; job: Segmind's metrics)")

    def _look_at_the_clips(self, images: list[Path]) -> None:
        clips = [self._folder.clips / f"{image.name}.mp4" for image in images]
        for clip in clips:
            detail("clip", f"{shown(clip)}: {described(clip)}")
        if can_decode():
            draw_contact_sheet(clips, self._folder.contact_sheet)
            detail("picture", f"{shown(self._folder.contact_sheet)}: first, middle and last frame of each")

    def _run_again(self, api: AirflowApi, paid: dict[str, Any]) -> None:
        say("Running it again: each image has its clip by now")
        watch = _Watch(self._run(api), self._folder.logs, 0)
        self._waiting.until("the DAG run to end", watch.run_succeeded)
        if watch.made():
            raise DemoError("an image that has its clip was given another one")
        detail("charged", self._segmind.charged(paid))
        say("Nothing was left to make, and nothing more was paid")


class _Watch:
    """The tasks that make the clips, looked at until one fails."""

    def __init__(self, run: Run, logs: Path, instances: int) -> None:
        self._run = run
        self._logs = logs
        self._instances = instances

    def xcom(self, key: str, index: int) -> Any:
        """Return what a task has pushed, or None."""
        self._states()
        return self._run.xcom(TASK_ID, key, index)

    def deferred(self) -> bool | None:
        """
        Tell whether all tasks have left their worker slots.

        :raises DemoError: If one has ended without ever leaving it.
        """
        states = self._states()
        if not all(state in ("deferred", "success") for state in states):
            return None
        for state, changes in zip(states, self.state_changes(), strict=True):
            if state == "success" and all(change.state != "deferred" for change in changes):
                raise DemoError(f"a task {TASK_ID} has ended without ever leaving its worker slot")
        return True

    def succeeded(self) -> bool | None:
        """Tell whether all are successes."""
        return all(state == "success" for state in self._states()) or None

    def state_changes(self) -> list[list[Any]]:
        """Return the changes of each task's state."""
        return [self._run.state_changes(TASK_ID, index) for index in range(self._instances)]

    def made(self) -> bool:
        """Tell whether any of the tasks has run."""
        return any(state not in (None, "skipped") for state in self._run.task_states().get(TASK_ID, []))

    def run_succeeded(self) -> bool | None:
        """Tell whether the whole run is a success."""
        state = self._run.state()
        if state == "failed":
            raise DemoError("the DAG run has failed", log=self._log("*"))
        return state == "success" or None

    def _states(self) -> list[str | None]:
        """
        Return the states of the tasks; None of one that is not there yet.

        :raises DemoError: If one has failed.
        """
        all_states = self._run.task_states()
        for task_id, states in all_states.items():
            failed = [state for state in states if state in _FAILED]
            if failed:
                raise DemoError(f"the task {task_id} is {failed[0]}", log=self._log(task_id))
        return [*all_states.get(TASK_ID, []), *[None] * self._instances][: self._instances]

    def _log(self, task_id: str) -> Path:
        """Return the last log that the task wrote; if it could not even start, the scheduler's, which runs it."""
        found = self._logs.glob(f"tasks/dag_id={DAG_ID}/*/task_id={task_id}/**/attempt=*.log*")
        written = [log for log in found if log.stat().st_size]
        return max(written, key=lambda log: log.stat().st_mtime, default=self._logs / "scheduler.log")
