"""What the demo shows: a folder of images, from the trigger of a DAG to a clip for each."""

from __future__ import annotations

import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo.clip import can_decode, describe, draw_contact_sheet
from demo.folder import short_path
from demo.places import QUESTION, Places, task_page
from demo.printing import detail, say
from demo.segmind import CLIP_SECONDS, EXAMPLE_DAGS
from harness import AIRFLOW_2, Cluster, HarnessError, slot_stays

if TYPE_CHECKING:
    from demo.folder import DemoFolder
    from demo.segmind import Segmind
    from harness import EmulatedSegmind, Run, StateChange

DAG_ID = "segmind_folder_of_images"
TASK_ID = "make_clip"
STATES = ["running", "deferred", "running", "success"]
"""Of a task that nothing went wrong with."""

_FAILED = ("failed", "removed")
"""Of any task of the DAG: what is `upstream_failed` follows from one of these."""


class Story:
    """What the demo shows, in this order."""

    def __init__(self, folder: DemoFolder, segmind: Segmind) -> None:
        self._folder = folder
        self._segmind = segmind
        self.pending_requests: list[str] = []
        """Requests that were submitted, and whose end has not been seen."""

        self._first_run: Run | None = None

    def cluster(self) -> Cluster:
        """
        Return the Airflow of the demo, which is not started yet.

        :raises HarnessError: If the one that is installed is too old for the demo.
        """
        found = version("apache-airflow")
        if AIRFLOW_2:
            raise HarnessError(f"the demo needs Airflow 3, but this is Airflow {found}")
        say(f"Airflow {found}, with everything in {short_path(self._folder.root)}")
        self._segmind.introduce()
        # The folders of the demo, and those that the example DAG has by default.
        default_clips = Path(tempfile.gettempdir()) / "segmind_clips"
        folders = (self._folder.images, self._folder.clips, EXAMPLE_DAGS / "images", default_clips)
        return Cluster(
            self._folder.root,
            dags=EXAMPLE_DAGS,
            database="sqlite",
            segmind=self._segmind.emulator,
            environment=self._segmind.environment,
            settings={"SEGMIND__ALLOWED_LOCAL_PATHS": ",".join(map(str, folders)), "SEGMIND__OUTPUT_TAB": True},
            seconds=self._segmind.seconds,
            say=say,
        )

    def run(self, cluster: Cluster) -> None:
        """Show it all."""
        images = self._lay_out()
        paid = self._make_clips(cluster, images)
        self._look_at_the_clips(images)
        self._run_again(cluster, paid)

    def add_to_look_at(self, cluster: Cluster) -> Places:
        """
        Make more to look at in the browser: a request that fails, one that no task collects, and clips that wait
        for a person's approval. Return where all of it is.

        Segmind itself is not asked for any of them: they would cost money.
        """
        places = Places(cluster.url)
        if self._first_run is not None:
            clip = task_page(self._first_run, TASK_ID, map_index=0)
            places.add("clip", "the tab of a clip, which plays it", clip)
        emulator = self._segmind.emulator
        if emulator is not None:
            say("Making a request that fails, one that no task collects, and clips that a person has to approve")
            self._make_a_failure(cluster, emulator, places)
            self._make_what_nobody_collects(cluster, emulator, places)
            self._ask_for_approval(cluster, emulator, places)
        return places

    def _make_a_failure(self, cluster: Cluster, emulator: EmulatedSegmind, places: Places) -> None:
        emulator.arm_faults({"on": "submit", "outcome": "blocked", "count": 1})
        run = cluster.run("segmind_image_to_video", {"expected_duration": 1})
        cluster.until("a request to fail", run.has_ended)
        places.add("failed", "the tab of a request that Segmind blocked", task_page(run, TASK_ID))

    def _make_what_nobody_collects(self, cluster: Cluster, emulator: EmulatedSegmind, places: Places) -> None:
        """Let the task that would have waited for a request fail, as if somebody had marked it so."""
        run = cluster.run("segmind_fire_and_forget")
        cluster.until("a submit", lambda: [row.state for row in run.rows("submit")] == ["success"])
        wait = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/wait"
        cluster.api.send("PATCH", wait, {"new_state": "failed"})
        emulator.advance(CLIP_SECONDS)
        places.add("forgotten", "a clip that is paid for, and that no task collected", task_page(run, "submit"))

    def _ask_for_approval(self, cluster: Cluster, emulator: EmulatedSegmind, places: Places) -> None:
        conf = self._segmind.conf(self._folder.images, self._folder.clips / "reviewed")
        run = cluster.run("segmind_approve_clips", {**conf, "expected_duration": 1})
        cluster.until("a submit", lambda: run.xcom("review.make_clip", "request_id", 0))
        emulator.advance(CLIP_SECONDS)
        question = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/review.approve/0/hitlDetails"
        cluster.until("a clip that waits for a person", lambda: cluster.api.get(question))
        page = task_page(run, "review.approve", QUESTION, 0)
        places.add("approval", "a clip that waits for you to approve it", page)

    def _lay_out(self) -> list[Path]:
        """Put the images into their folder."""
        self._folder.images.mkdir()
        for image in self._segmind.images:
            shutil.copy(image, self._folder.images)
        return sorted(self._folder.images.iterdir())

    def _run(self, cluster: Cluster) -> Run:
        return cluster.run(DAG_ID, self._segmind.conf(self._folder.images, self._folder.clips))

    def _make_clips(self, cluster: Cluster, images: list[Path]) -> dict[str, Any]:
        say(f"Triggering the DAG {DAG_ID}: {len(images)} images in {short_path(self._folder.images)}")
        self._first_run = self._run(cluster)
        watch = _Watch(cluster, self._first_run, len(images))
        for index in range(len(images)):
            request_id = watch.xcom("request_id", index)
            self.pending_requests.append(request_id)
            say(f"submitted: request {request_id}")
        cluster.until("the tasks to defer", watch.all_deferred)
        pool = cluster.api.pool()
        say("deferred: the worker slots are free, the triggerer waits")
        detail(
            "slots", f"default_pool: {pool.get('occupied_slots')} occupied, {pool.get('deferred_slots')} deferred"
        )
        cluster.until("the clips", watch.all_succeeded)
        requests, self.pending_requests = self.pending_requests, []
        say(f"completed: each {TASK_ID} is a success")
        for index in range(len(images)):
            detail("video", watch.xcom("return_value", index))
        paid = {request_id: watch.xcom("summary", index) for index, request_id in enumerate(requests)}
        self._account_for_slots(watch, sum(each["total_time"] or 0.0 for each in paid.values()))
        detail("charged", self._segmind.describe_charges(paid))
        cluster.until("the DAG run to end", watch.run_has_succeeded)
        say("The DAG run is a success")
        return paid

    def _account_for_slots(self, watch: _Watch, jobs: float) -> None:
        changes = watch.state_changes()
        if any([change.state for change in each] != STATES for each in changes):
            detail("worker", "this Airflow's audit log does not tell how long slots were held")
            return
        held = [sum(slot_stays(each)) for each in changes]
        stays = " + ".join(f"{each:.1f} s" for each in held)
        detail("worker", f"slots were held for {sum(held):.1f} s ({stays}) in all;")
        detail("", f"the jobs at Segmind took {jobs:.1f} s{self._segmind.pace}")
        detail("", "(slot: each `running` until the next state in Airflow's audit log; job: Segmind's metrics)")

    def _look_at_the_clips(self, images: list[Path]) -> None:
        clips = [self._folder.clips / f"{image.name}.mp4" for image in images]
        for clip in clips:
            detail("clip", f"{short_path(clip)}: {describe(clip)}")
        if can_decode():
            draw_contact_sheet(clips, self._folder.contact_sheet)
            detail("picture", f"{short_path(self._folder.contact_sheet)}: first, middle and last frame of each")

    def _run_again(self, cluster: Cluster, paid: dict[str, Any]) -> None:
        say("Running it again: each image has its clip by now")
        watch = _Watch(cluster, self._run(cluster), len(paid))
        cluster.until("the DAG run to end", watch.run_has_succeeded)
        if watch.has_made_any():
            raise HarnessError("an image that has its clip was given another one")
        detail("charged", self._segmind.describe_charges(paid))
        say("Nothing was left to make, and nothing more was paid")


class _Watch:
    """The tasks that make the clips, looked at until one fails."""

    def __init__(self, cluster: Cluster, run: Run, instances: int) -> None:
        self._cluster = cluster
        self._run = run
        self._logs = cluster.logs
        self._instances = instances

    def xcom(self, key: str, index: int) -> Any:
        """Return what a task has pushed, as soon as it has."""

        def look() -> Any:
            self._states()
            return self._run.xcom(TASK_ID, key, index)

        return self._cluster.until(f"{key} in XCom", look)

    def all_deferred(self) -> bool:
        """
        Tell whether all tasks have left their worker slots.

        :raises HarnessError: If one has ended without ever leaving it.
        """
        states = self._states()
        if not all(state in ("deferred", "success") for state in states):
            return False
        for state, changes in zip(states, self.state_changes(), strict=True):
            if state == "success" and all(change.state != "deferred" for change in changes):
                raise HarnessError(f"a task {TASK_ID} has ended without ever leaving its worker slot")
        return True

    def all_succeeded(self) -> bool:
        """Tell whether all are successes."""
        return all(state == "success" for state in self._states())

    def state_changes(self) -> list[list[StateChange]]:
        """Return the changes of each task's state."""
        changes = self._run.state_changes(TASK_ID)
        return [changes.get(index, []) for index in range(self._instances)]

    def has_made_any(self) -> bool:
        """Tell whether any of the tasks has a request."""
        return any(self._run.xcom(TASK_ID, "request_id", index) for index in range(self._instances))

    def run_has_succeeded(self) -> bool:
        """Tell whether the whole run is a success."""
        state = self._run.state()
        if state == "failed":
            raise HarnessError("the DAG run has failed", log=self._log("*"))
        return state == "success"

    def _states(self) -> list[str | None]:
        """
        Return the states of the tasks; None of one that is not there yet.

        :raises HarnessError: If one has failed.
        """
        rows = self._run.rows()
        for row in rows:
            if row.state in _FAILED:
                raise HarnessError(f"the task {row.task_id} is {row.state}", log=self._log(row.task_id))
        states = [row.state for row in rows if row.task_id == TASK_ID]
        return [*states, *[None] * self._instances][: self._instances]

    def _log(self, task_id: str) -> Path:
        """Return the last log that the task wrote; if it could not even start, the scheduler's, which runs it."""
        found = self._logs.glob(f"tasks/dag_id={DAG_ID}/*/task_id={task_id}/**/attempt=*.log*")
        written = [log for log in found if log.stat().st_size]
        return max(written, key=lambda log: log.stat().st_mtime, default=self._logs / "scheduler-1.log")
