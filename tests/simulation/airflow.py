"""The tasks of the simulation: instances, their attempts, what they remember, and the people who clear them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from airflow_provider_segmind.api.expectation import Experience
from airflow_provider_segmind.api.follow import FollowedRequest, follow
from airflow_provider_segmind.api.history_search import HistoryMatches, search_history
from airflow_provider_segmind.api.locations import output_location
from airflow_provider_segmind.api.rate_limited_submit import RateLimitedSubmit
from airflow_provider_segmind.api.unresolved_submit import UnresolvedSubmit
from airflow_provider_segmind.compat import AirflowFailException
from airflow_provider_segmind.delivery import Memory, push_request_id, task_failure
from airflow_provider_segmind.durability.backends import Backend, Backends, TaskStateBackend
from airflow_provider_segmind.durability.claims import Claims
from airflow_provider_segmind.durability.ending import Completed, OutputDelivered, OutputLost, Submitted, finish
from airflow_provider_segmind.durability.record import RequestRecord
from airflow_provider_segmind.durability.record_file import RecordFile
from airflow_provider_segmind.durability.store import KEY, RecordStore
from airflow_provider_segmind.durability.submission import Submission, SubmissionStep
from airflow_provider_segmind.exceptions import (
    OutputNotStoredError,
    RecordUnavailableError,
    RequestExpiredError,
    SegmindError,
)
from airflow_provider_segmind.hooks.driving import drive
from airflow_provider_segmind.media.inputs import Inputs
from airflow_provider_segmind.media.reading import InputFile
from tests.simulation.clock import Clock
from tests.simulation.segmind import MODEL, NEIGHBOR, TEAMMATE, Hook, Segmind, canonical
from tests.simulation.world import World

TIMEOUT = 900.0
TRIES = 3
MOST_CLEARS = 12


class DiedError(BaseException):
    """The process dies here."""


class _FileInMemory:
    """A small file, in a folder that is a dict."""

    def __init__(self, folder: dict[str, bytes], name: str) -> None:
        self._folder = folder
        self._name = name

    def read(self, most_bytes: int) -> bytes | None:
        content = self._folder.get(self._name)
        return None if content is None else content[:most_bytes]

    def write(self, content: bytes) -> None:
        self._folder[self._name] = content

    def remove(self) -> None:
        self._folder.pop(self._name, None)


class _RecordInMemory(RecordFile):
    """The real record file, in a folder that is a dict."""

    def __init__(self, ti: Any, folder: dict[str, bytes]) -> None:
        super().__init__(ti, output_location("/records/", None), "records_path")
        self._folder = folder

    @cached_property
    def _file(self) -> _FileInMemory:
        return _FileInMemory(self._folder, self._location.uri)


class _TaskState:
    """A task state store: what is read is a copy of what was written, as JSON."""

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values

    def get(self, key: str) -> Any:
        return json.loads(self._values[key]) if key in self._values else None

    def set(self, key: str, value: Any) -> None:
        self._values[key] = json.dumps(value)

    def delete(self, key: str) -> None:
        self._values.pop(key, None)


class _Unreliable:
    """A backend whose storage may have trouble, and whose process may die around each access."""

    def __init__(self, backend: Backend, access: Callable[[str], None]) -> None:
        self._backend = backend
        self._access = access
        self.where = backend.where
        self.shows_facts = backend.shows_facts

    def refresh(self) -> None:
        self._backend.refresh()

    def read(self, key: str) -> Any:
        self._access("a read of the record")
        return self._backend.read(key)

    def write(self, key: str, value: Any) -> None:
        self._access("a write of the record" if key == KEY else "a write beside the record")
        self._backend.write(key, value)
        self._access("")

    def delete(self, key: str) -> None:
        self._access("a deletion of the record")
        self._backend.delete(key)
        self._access("")

    def describe(self, **facts: Any) -> None:
        self._backend.describe(**facts)


class _Store(RecordStore):
    def __init__(self, context: Any, backends: Backends) -> None:
        super().__init__(context, durable=True)
        self._chosen = backends

    @cached_property
    def _backends(self) -> Backends:
        return self._chosen


class Ti:
    """A task instance as one attempt sees it."""

    dag_id, task_id, run_id = "clips", "clip", "nightly"

    def __init__(self, instance: Instance, try_number: int) -> None:
        self._instance = instance
        self.map_index = instance.map_index
        self.max_tries = instance.max_tries
        self.try_number = try_number

    def xcom_push(self, key: str, value: Any) -> None:
        self._instance.reach("an XCom")
        self._instance.xcoms[key, self.map_index] = value

    def xcom_pull(self, task_ids: str, key: str, map_indexes: int | None = None) -> Any:
        self._instance.reach("an XCom")
        if map_indexes is not None:
            return self._instance.xcoms.get((key, map_indexes))
        return [value for (name, _), value in sorted(self._instance.xcoms.items()) if name == key]


@dataclass(eq=False)
class Instance:
    """
    An instance of the task, through all its attempts and clears.

    :ivar wanted: Videos that were asked for: one, and one more for each clear after a delivery.
    :ivar delivered: Ids of the requests whose output an attempt has stored.
    :ivar forgotten: Clears that deleted the record of something undelivered.
    :ivar stops: Times that a process stood still where nothing can protect it.
    :ivar outdated: Submits and deliveries by attempts from before a clear.
    :ivar given_up: What people have given up, as ``abandon_request`` names it.
    :ivar errors: What the attempts ended with.
    """

    world: World
    clock: Clock
    chance: random.Random
    segmind: Segmind
    map_index: int
    xcoms: dict[tuple[str, int], Any]
    memory: dict[str, Any] = field(default_factory=dict)
    max_tries: int = TRIES
    tries: int = 0
    tries_of_series: int = 0
    clears: int = 0
    wanted: int = 1
    forgotten: int = 0
    stops: int = 0
    outdated: int = 0
    state: str = "running"
    current: Attempt | None = None
    delivered: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    given_up: set[str] = field(default_factory=set)
    asked_for: list[Mapping[str, Any]] = field(default_factory=list)

    @cached_property
    def chance_of_patience(self) -> random.Random:
        """Of its own: so the others do not depend on whether people give up anything."""
        return random.Random(self.map_index)  # noqa: S311 - a simulation that can be repeated

    def start(self) -> None:
        """Start an attempt, as the scheduler does."""
        self.tries += 1
        self.tries_of_series += 1
        self.state = "running"
        for key in [key for key in self.xcoms if key[1] == self.map_index]:
            del self.xcoms[key]
        self.current = Attempt(self, self.tries)
        self.current.run(lambda attempt: attempt.submission().start())

    def ended(self, attempt: Attempt, outcome: str) -> None:
        """Do what Airflow does at the end of an attempt; nothing if it no longer counts."""
        if self.current is not attempt:
            return
        self.current = None
        if outcome == "success" and self.segmind.happens(self.world.deaths):
            outcome = "died"
        can_retry = outcome in ("retry", "died") and self.tries_of_series <= TRIES
        if can_retry:
            self.clock.spawn(self.start, self.chance.choice([1.0, 30.0, 300.0, 2000.0]))
            return
        self.state = "success" if outcome == "success" else "failed"
        if self._is_to_be_cleared():
            self.clock.spawn(self.clear, self.chance.choice([5.0, 400.0, 5000.0]))

    def _is_to_be_cleared(self) -> bool:
        """Whether a person clears the task: after a failure for as long as that may help."""
        if self.state == "failed":
            return self.clears < MOST_CLEARS
        return self.clears < 2 and not self.segmind.is_fair and self.chance.random() < 0.4

    def clear(self) -> None:
        """Clear the task, as a person does."""
        self.clears += 1
        self.max_tries = self.tries + TRIES
        self.tries_of_series = 0
        record = self.read_record()
        self.wanted += self.state == "success" or (record is not None and record["state"] == "delivered")
        if self.world.record == "clear" and self.chance.random() < 0.5:
            self.forgotten += record is not None and record["state"] != "delivered"
            self.memory.clear()
        elif record is not None and self.chance_of_patience.random() < self.world.abandons:
            self._give_up(RequestRecord.from_json(record))
        self.start_soon()

    def _give_up(self, record: RequestRecord) -> None:
        """Give up what the task has. Whoever gives up a submit without a request has looked for one first."""
        name = record.undelivered_name
        if name is None:
            return
        if record.request_id is None:
            since = min(record.sent_at, *record.earlier_sent_at) if record.earlier_sent_at else record.sent_at
            jobs = [job for job in self.segmind.jobs.values() if job.by == self.map_index and not job.fails]
            has_come = any(job.accepted_at > since - 60 for job in jobs)
            if has_come or self.clock.now < record.sent_at + 60:
                return
        self.given_up.add(name)

    def start_soon(self) -> None:
        self.clock.spawn(self.start, 1.0)

    def read_record(self) -> dict[str, Any] | None:
        """Return the record as it is, without any trouble."""
        found: dict[str, Any] | None
        if self.world.record == "file":
            content = next(iter(self.memory.values()), None)
            found = None if content is None else json.loads(content)["stored"].get(KEY)
        else:
            found = _TaskState(self.memory).get(KEY)
        return found

    def backend(self, ti: Ti) -> Backend:
        if self.world.record == "file":
            return _RecordInMemory(ti, self.memory)
        return TaskStateBackend(_TaskState(self.memory))

    def reach(self, name: str) -> None:
        """Be somewhere where a process may be interrupted."""
        self.clock.sleep(self.chance.choice([0.0, 0.01, 0.05]))

    def render(self, try_number: int) -> Inputs:
        """Return what an attempt is given."""
        world, number = self.world, self.map_index
        prompt = "zoom in" if world.inputs != "prompt" else f"zoom in {number}"
        image = "mug" if world.inputs != "image" else f"mug-{number}"
        if world.changing and world.instances > 1:
            prompt += f" in attempt {try_number}"
        elif world.changing:
            image += f".jpg?t={try_number}"
        if not world.uploads:
            parameters = {"prompt": prompt, "start_image_url": f"https://shop.example/{image}.jpg", "duration": 5}
            return Inputs(MODEL, parameters)
        location = f"/images/{image}.png"
        inputs = Inputs(MODEL, {"prompt": prompt, "start_image_url": location, "duration": 5}, ["start_image_url"])
        inputs.files = {location: InputFile(image.encode(), "image/png", f"digest of {image}")}
        return inputs

    def invite_neighbors(self, sent: Mapping[str, Any]) -> None:
        """Have somebody else submit something, too."""
        if not self.world.neighbors or self.segmind.is_fair:
            return
        owner = TEAMMATE if self.world.owner == "team" else NEIGHBOR
        theirs = dict(sent)
        if self.world.neighbors == "similar":
            theirs["start_image_url"] = "https://shop.example/another.jpg"
        elif self.world.neighbors == "other":
            theirs["prompt"] = "zoom out"
        self.clock.spawn(lambda: self.segmind.accept(owner, -2, theirs), self.chance.uniform(0, 60))


class Attempt:
    """One attempt of an instance, in as many processes as it has deferrals."""

    def __init__(self, instance: Instance, try_number: int) -> None:
        self.instance = instance
        self.ti = Ti(instance, try_number)
        self.context: Any = {"ti": self.ti}
        self._may_die = True
        self._twins = False
        self._hook = Hook(instance.segmind, instance.map_index, self._point)
        self._store: RecordStore | None = None
        self._submission: Submission | None = None

    def run(self, act: Callable[[Attempt], SubmissionStep]) -> None:
        """Run the attempt from here on, to its end."""
        try:
            self._take_any_clock()
            outcome = self._run(act)
        except DiedError:
            outcome = "died"
        self.instance.ended(self, outcome)

    def _run(self, act: Callable[[Attempt], SubmissionStep]) -> str:
        try:
            self._deliver(self._wait_for_end(self._submit(act)))
        except SegmindError as error:
            return self._end(error)
        return "success"

    def _end(self, error: SegmindError) -> str:
        """Do what the operator does with an error."""
        submission, store = self._submission, self.store()
        known = submission.request_id if submission is not None else None
        error.request_id = error.request_id or known or store.read_undelivered_id()
        if error.request_id is not None and isinstance(error, RequestExpiredError):
            finish(Submitted(error.request_id, sent_at=0), OutputLost(), store, self.ti.max_tries)
        failure = task_failure(error, memory=store.memory, may_be_paid=known is not None)
        self.instance.errors.append(str(failure))
        return "failed" if isinstance(failure, AirflowFailException) or not error.can_retry else "retry"

    def store(self) -> RecordStore:
        if self._store is None:
            backend = _Unreliable(self.instance.backend(self.ti), self._access_record)
            memory = Memory.RETRIES if self.instance.world.record == "clear" else Memory.CLEARS
            self._store = _Store(self.context, Backends(memory, backend))
        return self._store

    def submission(self) -> Submission:
        """Return what a new process makes of the task."""
        self._store = None
        inputs = self.instance.render(self.ti.try_number)
        self._submission = Submission(
            self._hook,  # type: ignore[arg-type]
            self.store(),
            Claims(self.context),
            inputs,
            max_tries=self.ti.max_tries,
            timeout=TIMEOUT,
            given_up=lambda: self.instance.given_up,
        )
        return self._submission

    def _submit(self, act: Callable[[Attempt], SubmissionStep]) -> Completed | Submitted:
        step = act(self)
        while isinstance(step, (RateLimitedSubmit, UnresolvedSubmit)):
            step = self._continue(step)
        self.instance.reach("the id is known")
        push_request_id(self.context, step.result.request_id if isinstance(step, Completed) else step.request_id)
        return step

    def _continue(self, step: RateLimitedSubmit | UnresolvedSubmit) -> SubmissionStep:
        """Wait or search, in the triggerer if the task is deferred, and go on with what came of it."""
        clock = self.instance.clock
        if isinstance(step, RateLimitedSubmit):
            turn = RateLimitedSubmit.from_json(json.loads(json.dumps(step.as_json())))
            clock.sleep(turn.pause(clock.time()))
            return self._resume(lambda attempt: attempt.submission().continue_rate_limited(turn))
        submit = UnresolvedSubmit.from_json(json.loads(json.dumps(step.as_json())))
        matches = self._outlive(lambda: drive(search_history(submit, clock.time), self._hook))  # type: ignore[arg-type]
        found: HistoryMatches = matches
        return self._resume(lambda attempt: attempt.submission().continue_unresolved(submit, found))

    def _resume(self, act: Callable[[Attempt], SubmissionStep]) -> SubmissionStep:
        """Resume in another process. Nothing promises that Airflow does so only once."""
        instance = self.instance
        if instance.world.deferred:
            self._take_any_clock()
            if instance.segmind.happens(instance.world.twins):
                twin = Attempt(instance, self.ti.try_number)
                twin.ti.max_tries = self.ti.max_tries
                instance.clock.spawn(lambda: twin.run(act), instance.chance.choice([0.0, 1.0, 30.0]))
        return act(self)

    def _outlive(self, act: Callable[[], Any]) -> Any:
        """Do something that begins again if its process dies: a wait in the triggerer."""
        if not self.instance.world.deferred:
            return act()
        self._may_die = False
        self._take_any_clock()
        try:
            return act()
        finally:
            self._may_die = True
            self._take_any_clock()

    def _wait_for_end(self, step: Completed | Submitted) -> Completed:
        if isinstance(step, Completed):
            return step
        request = FollowedRequest(step.request_id, step.sent_at, step.sent_at + TIMEOUT, model=MODEL)
        clock = self.instance.clock
        return Completed(self._outlive(lambda: drive(follow(request, clock.time, Experience()), self._hook)))  # type: ignore[arg-type]

    def _deliver(self, completed: Completed) -> None:
        instance, request_id = self.instance, completed.result.request_id
        self._point("before the output is stored")
        if instance.segmind.happens(instance.world.troubles):
            raise OutputNotStoredError("the bucket is full", request_id=request_id)
        instance.delivered.append(canonical(request_id))
        instance.outdated += self.ti.max_tries < instance.max_tries
        self._point("before the delivery is written down")
        finish(completed, OutputDelivered(), self.store(), self.ti.max_tries)
        self._point("after the delivery is written down")

    def _access_record(self, what: str) -> None:
        self._point(what)
        instance = self.instance
        if what and instance.segmind.happens(instance.world.troubles / 4):
            raise RecordUnavailableError(f"{what} failed")

    def _take_any_clock(self) -> None:
        difference = self.instance.world.clock_difference
        self.instance.clock.set_offset(self.instance.chance.uniform(-difference, difference))

    def _point(self, name: str) -> None:
        """Perhaps die, or be taken for dead and go on."""
        instance = self.instance
        instance.reach(name)
        if not self._may_die:
            return
        if name == "before the POST" and self.ti.max_tries < instance.max_tries:
            instance.outdated += 1
        if name == "the POST is under way":
            instance.invite_neighbors(instance.segmind.posts[-1].sent)
        if instance.segmind.happens(instance.world.deaths):
            raise DiedError
        if instance.current is self and instance.segmind.happens(instance.world.twins):
            instance.ended(self, "died")
            pauses = [0.0, 1.0, 20.0, *([700.0] if instance.world.stops else [])]
            pause = instance.chance.choice(pauses)
            # Between the last look at the record and the submit, nothing can tell an attempt that it is overtaken.
            instance.stops += pause > 100 or name == "a write of the record"
            instance.clock.sleep(pause)
