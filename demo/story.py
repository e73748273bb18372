"""What the demo shows: one clip, from the trigger of a DAG to a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from demo import airflow_running
from demo.airflow_home import configured_home
from demo.clip import described, download
from demo.failure import DemoError
from demo.folder import shown
from demo.slot_time import slot_time
from demo.telling import detail, say

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from demo.airflow_api import AirflowApi, Run
    from demo.folder import DemoFolder
    from demo.processes import Processes
    from demo.segmind import Segmind
    from demo.slot_time import SlotTime
    from demo.waiting import Waiting

DAG_ID = "segmind_image_to_video"
TASK_ID = "make_clip"

_FAILED = ("failed", "upstream_failed", "up_for_retry", "skipped", "removed")


class Story:
    """The demo in the order in which it is told."""

    def __init__(self, folder: DemoFolder, segmind: Segmind, processes: Processes, waiting: Waiting) -> None:
        self._folder = folder
        self._segmind = segmind
        self._processes = processes
        self._waiting = waiting
        self.pending_request: str | None = None
        """A request that was submitted, and whose end has not been seen."""

    def tell(self) -> str:
        """Show it all, and return the address of Airflow's UI."""
        say(f"Airflow {airflow_running.check_installed()}, with everything in {shown(self._folder.root)}")
        self._segmind.start(self._processes, self._waiting)
        conf = self._segmind.conf()
        home = configured_home(self._folder, self._segmind.environment())
        api = airflow_running.start_airflow(home, self._processes, self._waiting)
        self._make_clip(api, conf)
        return home.url

    def _make_clip(self, api: AirflowApi, conf: Mapping[str, Any]) -> None:
        self._waiting.until(f"the DAG {DAG_ID}", lambda: api.knows(DAG_ID) or None)
        say(f"Triggering the DAG {DAG_ID}")
        run = api.run(DAG_ID, conf)
        watch = _TaskWatch(run, self._folder.logs)
        request_id = self._waiting.until("the task to submit", lambda: watch.xcom("request_id"))
        self.pending_request = request_id
        say(f"submitted: request {request_id}")
        self._waiting.until("the task to defer", watch.deferred)
        pool = api.pool()
        say("deferred: the worker slot is free, the triggerer waits")
        detail(
            "slots", f"default_pool: {pool.get('occupied_slots')} occupied, {pool.get('deferred_slots')} deferred"
        )
        self._waiting.until("the clip", lambda: watch.reached("success"))
        self.pending_request = None
        say(f"completed: {TASK_ID} is a success")
        self._look_at_the_clip(run, request_id)
        self._waiting.until("the DAG run to end", lambda: watch.run_succeeded() or None)
        say("The DAG run is a success")

    def _look_at_the_clip(self, run: Run, request_id: str) -> None:
        video_url = self._waiting.until("the video URL in XCom", lambda: run.xcom(TASK_ID, "return_value"))
        metrics = self._waiting.until("the metrics in XCom", lambda: run.xcom(TASK_ID, "metrics"))
        detail("video", video_url)
        self._account_for_the_slot(slot_time(run.state_changes(TASK_ID)), metrics)
        detail("charged", self._segmind.charged(request_id, metrics))
        download(video_url, self._folder.clip)
        detail("clip", f"{shown(self._folder.clip)}: {described(self._folder.clip)}")

    def _account_for_the_slot(self, used: SlotTime | None, metrics: Mapping[str, Any]) -> None:
        if used is None:
            detail("worker", "this Airflow's audit log does not tell how long a slot was held")
            return
        stays = " + ".join(f"{stay:.1f} s" for stay in used.stays)
        detail("worker", f"a slot was held for {used.held:.1f} s ({stays}) of the {used.whole:.1f} s of the task;")
        job = metrics.get("total_time", 0.0)
        detail("", f"the job at Segmind took {job:.1f} s{self._segmind.pace}")
        detail("", "(slot: each `running` until the next state in Airflow's audit log; job: Segmind's metrics)")


class _TaskWatch:
    """The task that makes the clip, looked at until it fails."""

    def __init__(self, run: Run, logs: Path) -> None:
        self._run = run
        self._logs = logs

    def reached(self, *states: str) -> str | None:
        """Return the task's state if it is one of these."""
        state = self._run.task_state(TASK_ID)
        if state in _FAILED:
            raise DemoError(f"the task {TASK_ID} is {state}", log=self._log(TASK_ID))
        return state if state in states else None

    def deferred(self) -> str | None:
        """Tell whether the task has left its worker slot."""
        state = self.reached("deferred", "success")
        if state == "success" and all(change.state != "deferred" for change in self._run.state_changes(TASK_ID)):
            raise DemoError(f"the task {TASK_ID} has ended without ever leaving its worker slot")
        return state

    def xcom(self, key: str) -> Any:
        """Return what the task has pushed."""
        return self._run.xcom(TASK_ID, key) or self.reached()

    def run_succeeded(self) -> bool:
        """Tell whether the whole run is a success."""
        state = self._run.state()
        if state == "failed":
            raise DemoError("the DAG run has failed", log=self._log("*"))
        return state == "success"

    def _log(self, task_id: str) -> Path:
        """Return the last log that the task wrote; if it could not even start, the scheduler's, which runs it."""
        found = self._logs.glob(f"tasks/dag_id={DAG_ID}/*/task_id={task_id}/attempt=*.log*")
        written = [log for log in found if log.stat().st_size]
        return max(written, key=lambda log: log.stat().st_mtime, default=self._logs / "scheduler.log")
